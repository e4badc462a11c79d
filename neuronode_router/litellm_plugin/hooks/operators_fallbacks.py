"""Fallbacks that operators configured under a name that clients send: they go along when the group takes its place.

It must not know who may use what; it is handed what may be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neuronode_router.routing.targets import EVERY, written

Configured = Mapping[str, Sequence[Any]]
"""LiteLLM's three settings of fallbacks by their names, each a list of entries `{name: [...]}`."""

GENERAL = "fallbacks"

Reaches = Callable[[str], bool]
"""From a group to whether the request may go there."""


def targets(entries: Sequence[Any], name: str) -> list[Any] | None:
    """Return where requests for `name` fall back to, None where nothing is configured for it."""
    found = (entry[name] for entry in entries if isinstance(entry, Mapping) and name in entry)
    first = next(found, None)
    return list(first) if isinstance(first, list | tuple) else first and [first]


def follow(
    entries: Sequence[Any],
    named: Mapping[str, str],
    ladders: Mapping[str, Sequence[str]],
    *,
    reaches: Reaches | None,
) -> list[Any] | None:
    """Return one setting for one request, None where the setting itself will do.

    `named` says which group takes the place of which name: what is configured for the name holds for the group.
    `ladders` are tried before that; where nothing is configured for the name, what is for a group of its ladder, or for
    all, comes last. With `reaches`, what the caller may not reach is left out.
    """
    own: dict[str, list[Any]] = {}
    for name, group in named.items():
        if group in ladders:
            own[group] = _after(ladders[group], entries, (name, group), reaches)
        elif name != group and (theirs := targets(entries, name)) is not None:
            own[group] = _reached(theirs, reaches)
    if ladders and len(named) == 1:
        return written((), own)
    rest = entries if reaches is None else [_entry(entry, reaches) for entry in entries]
    if not own and not (rest and reaches):
        return None
    return [*({group: found} for group, found in own.items()), *rest]


def _after(
    ladder: Sequence[str], entries: Sequence[Any], names: Sequence[str], reaches: Reaches | None
) -> list[Any]:
    found = (targets(entries, name) for name in (*names, *ladder, EVERY))
    theirs = next((configured for configured in found if configured is not None), [])
    tried = {*names, *ladder}
    return [*ladder, *(target for target in _reached(theirs, reaches) if _model(target) not in tried)]


def _entry(entry: Any, reaches: Reaches) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {group: _reached(targets([entry], group) or (), reaches) for group in entry}


def _reached(found: Sequence[Any], reaches: Reaches | None) -> list[Any]:
    return [target for target in found if reaches is None or reaches(_model(target))]


def _model(target: Any) -> str:
    return str(target.get("model")) if isinstance(target, Mapping) else str(target)
