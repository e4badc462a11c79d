"""Names that a shell completes: the profiles, tasks and model groups of the proxy that a command would talk to.

It must not know shells. Whoever presses the key waits for it: a proxy has a second, nobody is asked for anything, and
what cannot be had is no name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import click

from neuronode_router.cli.options import DEFAULT_URL
from neuronode_router.environment import process_environment
from neuronode_router.errors import NeuronodeError

Profile: TypeAlias = Mapping[str, Any]


def profile_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the profiles that begin so. Never raises."""
    return _begun(begun, _offered(context, lambda profile: [profile["name"]]))


def task_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the tasks of any profile that begin so. Never raises."""
    return _begun(begun, _offered(context, lambda profile: profile["tasks"]))


def group_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the model groups that any profile names and that begin so. Never raises."""
    return _begun(begun, _offered(context, _groups))


def askable_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the tasks and model groups that begin so. Never raises."""
    return [*task_names(context, parameter, begun), *group_names(context, parameter, begun)]


def _groups(profile: Profile) -> Iterator[str]:
    for groups in (profile["tasks"].values(), *profile["tiers"].values()):
        yield from groups


def _begun(begun: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(begun)})


def _offered(context: click.Context, read: Callable[[Profile], Iterable[str]]) -> list[str]:
    """Return what `read` finds in each profile of the proxy; nothing where that cannot be had."""
    from neuronode_router.cli.http import connect

    url = context.params.get("url") or process_environment().get("LITELLM_BASE_URL") or DEFAULT_URL
    try:
        with connect(url, context.params.get("state_dir"), hurried=True) as connection:
            listed = connection.get("/profiles/list").document["profiles"]
            return [name for profile in listed for name in read(profile)]
    except NeuronodeError:
        return []
