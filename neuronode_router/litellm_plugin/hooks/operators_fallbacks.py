"""Fallbacks that operators configured under a name that clients send: they go along when the group takes its place.

It must not know who may use what: LiteLLM asks that before each fallback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuronode_router.domain import TIERS, Profile, Tier

Configured = Mapping[str, Sequence[Any]]
"""LiteLLM's three settings of fallbacks by their names, each a list of entries `{name: [...]}`."""

GENERAL = "fallbacks"


def targets(entries: Sequence[Any], name: str) -> list[Any] | None:
    """Return where requests for `name` fall back to, None where nothing is configured for it."""
    found = (entry[name] for entry in entries if isinstance(entry, Mapping) and name in entry)
    first = next(found, None)
    return list(first) if isinstance(first, list | tuple) else first and [first]


def carry(data: dict[str, Any], configured: Configured, *, name: str, group: str) -> None:
    """Let what is configured for `name` hold for `group` in this request; what the request brings itself goes first."""
    if name == group:
        return
    for setting, entries in configured.items():
        theirs = targets(entries, name)
        if theirs is not None and setting not in data:
            data[setting] = [{group: theirs}, *entries]


def after_ladder(configured: Configured, *, name: str, profile: Profile, max_tier: Tier) -> list[Any]:
    """Return what follows the ladder of an `auto` request: nothing that belongs to tiers above `max_tier` only."""
    above = _groups(profile, *TIERS[TIERS.index(max_tier) + 1 :]) - _groups(
        profile, *TIERS[: TIERS.index(max_tier) + 1]
    )
    theirs = targets(configured.get(GENERAL, ()), name) or ()
    return [target for target in theirs if not (isinstance(target, str) and target in above)]


def _groups(profile: Profile, *tiers: Tier) -> set[str]:
    return {group for tier in tiers for group in profile.tiers[tier]}
