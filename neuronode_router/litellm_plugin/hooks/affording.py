"""Which ways of a request the caller's budgets pay for.

It must not know which name leads where, nor how budgets are judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.domain.decisions import Decision
from neuronode_router.litellm_plugin.hooks import purse
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost


@dataclass(frozen=True, slots=True)
class Way:
    """Where one name of a request leads."""

    name: str
    decision: Decision
    mark: Mapping[str, Any] | None = None
    """What a routed `auto` request carries along."""
    refusal: str | None = None
    """Why it is refused whatever the caller may reach."""


async def afford(host: AdmissionHost, user: UserAPIKeyAuth, ways: Sequence[Way]) -> list[Way]:
    """Return the ways that the caller's budgets pay for: where one is spent, ladders lead to what costs nothing.

    Raises `BudgetExceededError` for a way that it does not pay for, and what `Purse.pay` raises.
    """
    for way in ways:
        await host.within(user, way.decision.group)
    known = purse.held()
    if known is None or known.settled:
        return list(ways)
    for way in ways:
        if host.costs(way.decision.group):
            await known.pay(user)
    if any(host.costs(group) for way in ways for group in way.decision.ladder):
        with suppress(HTTPException):  # the ladder goes to what is free then
            await known.pay(user)
    return [_affordable(host, way) for way in ways]


def pays_for(host: AdmissionHost, group: str) -> bool:
    """Return whether a request may go to a group, by what is known of its caller's budgets."""
    return not purse.is_empty() or not host.costs(group)


def _affordable(host: AdmissionHost, way: Way) -> Way:
    decision = way.decision
    kept = [at for at, group in enumerate(decision.ladder) if pays_for(host, group)]
    if len(kept) == len(decision.ladder):
        return way
    ladder = tuple(decision.ladder[at] for at in kept)
    tiers = tuple(tier for at, tier in enumerate(decision.tiers) if at == 0 or at - 1 in kept)
    return replace(way, decision=replace(decision, ladder=ladder, tiers=tiers))
