"""Names that a shell completes: the profiles, tasks and model groups of the proxy that a command would talk to.

It must not know shells. Whoever presses the key waits for it: a proxy has a second, nobody is asked for anything, and
what cannot be had is no name.
"""

from __future__ import annotations

from typing import Any

import click

from neuronode_router.cli.options import DEFAULT_URL
from neuronode_router.environment import process_environment
from neuronode_router.errors import NeuronodeError


def profile_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the profiles that begin so. Never raises."""
    return sorted(name for name in (p["name"] for p in _profiles(context)) if name.startswith(begun))


def task_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the tasks of any profile that begin so. Never raises."""
    return sorted({task for p in _profiles(context) for task in p["tasks"] if task.startswith(begun)})


def group_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the model groups that any profile names and that begin so. Never raises."""
    named = (
        group
        for profile in _profiles(context)
        for groups in (profile["tasks"].values(), *profile["tiers"].values())
        for group in groups
    )
    return sorted({group for group in named if group.startswith(begun)})


def askable_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the tasks and model groups that begin so. Never raises."""
    return [*task_names(context, parameter, begun), *group_names(context, parameter, begun)]


def _profiles(context: click.Context) -> list[dict[str, Any]]:
    from neuronode_router.cli.http import connect

    url = context.params.get("url") or process_environment().get("LITELLM_BASE_URL") or DEFAULT_URL
    try:
        with connect(url, context.params.get("state_dir"), hurried=True) as connection:
            found: list[dict[str, Any]] = connection.get("/profiles/list").document["profiles"]
            return found
    except NeuronodeError:
        return []
