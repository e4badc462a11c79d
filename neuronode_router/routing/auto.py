"""From the Decision for an `auto` name to the finished one, with tier and ladder: pure, synchronous, microseconds.

It must not know who classified the request, who the caller is, or how deployments are measured; it is handed the facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from neuronode_router.domain import Decision, Profile, Step, Tier
from neuronode_router.routing.ladder import Held, Ladder, Needs, Standing, Wish, climb


class Classified(Protocol):
    """What a classifier says of a request, as far as it is routed by it."""

    @property
    def task(self) -> str:
        """The task it is taken for."""
        ...

    def tier_at(self, *, too_cheap: float, too_dear: float) -> Tier:
        """How heavy an answer it needs, given what one tier too light or too heavy costs."""
        ...

    @property
    def confidence(self) -> float:
        """Chance that the task is right, 0 to 1."""
        ...

    @property
    def confident(self) -> bool:
        """Whether the evidence suffices to go by it."""
        ...


NOTHING_SPECIAL = Needs()


@dataclass(frozen=True, slots=True)
class Asked:
    """One `auto` request, as far as its route depends on it. `classified` is None where automatic routing is off."""

    classified: Classified | None = None
    without: Step = Step.AUTO_OFF
    """Why nothing was classified: switched off, or only watched."""
    max_tier: Tier = Tier.COMPLEX
    needs: Needs = NOTHING_SPECIAL
    held: Held | None = None
    in_tool_loop: bool = False
    chance: float = 1.0
    """A random number from 0 to 1."""


def route(
    decision: Decision,
    profile: Profile,
    asked: Asked,
    *,
    tiers: Mapping[Tier, Sequence[str]],
    groups: Mapping[str, Sequence[Standing]],
) -> tuple[Decision, Ladder]:
    """Return the finished Decision, and the ladder it was made from. Never raises.

    `tiers` are the profile's groups that the host has, `groups` how their deployments stand. Where there is no
    group at all the Decision keeps the group that LiteLLM alone would serve.
    """
    tier, why = _tier(decision, profile, asked)
    wish = Wish(
        tier=tier,
        why=why,
        max_tier=asked.max_tier,
        policy=profile.on_overload,
        needs=asked.needs,
        stickiness=profile.stickiness,
        held=asked.held,
        in_tool_loop=asked.in_tool_loop,
        chance=asked.chance,
    )
    ladder = climb(wish, tiers, groups)
    said = asked.classified
    found = replace(
        decision,
        group=ladder.groups[0] if ladder.groups else decision.group,
        ladder=ladder.groups[1:],
        tiers=ladder.tiers,
        task=decision.task or (str(said.task) if said else None),
        tier=ladder.tier,
        wanted=ladder.wanted,
        steps=ladder.reasons,
        confidence=said.confidence if said else None,
        keep=ladder.keep,
    )
    return found, ladder


def _tier(decision: Decision, profile: Profile, asked: Asked) -> tuple[Tier, Step]:
    if decision.tier is not None:
        return decision.tier, Step.FORCED_TIER
    if asked.classified is None:
        return profile.uncertain, asked.without
    if not asked.classified.confident:
        return profile.uncertain, Step.UNCERTAIN
    tier = asked.classified.tier_at(too_cheap=profile.too_cheap, too_dear=profile.too_dear)
    return tier, Step.CLASSIFIED
