"""Decides the tier of one `auto` request: by its text, by what outcomes have taught, and by what its cache is worth.

It must not know requests, sessions or who asks: all of that comes as constraints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from neuronode_router.classifier import Classification
from neuronode_router.classifier.classification import cheapest, expected_cost
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.routing.fallback_chain import Classified, Constraints, DeploymentStatus, Warm, climb
from neuronode_router.routing.sufficiency import RequestKind, Sufficiency, lighter

LEARNT = frozenset({Step.LEARNED, Step.TRIED})
"""How a tier comes about that the text alone would not have chosen."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What outcomes have taught, for one request."""

    known: Sufficiency
    chance: float
    """A number drawn from 0 to 1: below the share that is tried, it may be sent one tier lighter, to learn whether that
    suffices.
    """


def decide_tier(
    decision: Decision,
    said: Classification | None,
    constraints: Constraints,
    *,
    tiers: Mapping[Tier, Sequence[str]],
    groups: Mapping[str, Sequence[DeploymentStatus]],
    learned: Learned | None = None,
) -> Decision:
    """Return the finished form of a Decision with `auto`. Never raises.

    The constraints' own tier holds where the name forces none and nothing was classified, or not surely enough. A
    conversation that is `warm` leaves its tier only for more than its cache is worth.
    """
    tier, why = constraints.tier, constraints.why
    if said is not None:
        why = Step.UNCERTAIN
        if said.confident:
            tier, why = _by_text_and_outcomes(said, decision.profile or "", constraints, learned)
        warm = constraints.warm
        if warm is not None and tier is not warm.tier and not _pays(said, tier, warm, constraints):
            tier, why = warm.tier, Step.CACHE
    if decision.tier is not None:
        tier, why = decision.tier, Step.FORCED_TIER
    if tier is not constraints.tier or why is not constraints.why:
        constraints = replace(constraints, tier=tier, why=why)
    heard = None if said is None else Classified(decision.task or str(said.task), said.confidence)
    climbed = climb(decision, constraints, tiers=tiers, groups=groups, said=heard)
    instead = None if said is None or learned is None else _instead(climbed, said, constraints)
    return climbed if instead is None else replace(climbed, instead=instead)


def _instead(decision: Decision, said: Classification, constraints: Constraints) -> Tier | None:
    """Return what the text alone would have chosen, None where that is what was chosen, or something else decided."""
    if LEARNT.isdisjoint(decision.steps[:1]) or decision.tier is not decision.wanted:
        return None
    by_text = said.tier_at(too_cheap=constraints.too_cheap, too_dear=constraints.too_dear)
    within = min(by_text, constraints.max_tier, key=TIERS.index)
    return None if within is decision.tier else within


def _by_text_and_outcomes(
    said: Classification, profile: str, constraints: Constraints, learned: Learned | None
) -> tuple[Tier, Step]:
    """Return the tier whose expected error costs least, and what it rests on."""
    prices = {"too_cheap": constraints.too_cheap, "too_dear": constraints.too_dear}
    tier = said.tier_at(**prices)
    if learned is None or said.chances is None:
        return tier, Step.CLASSIFIED
    kind = RequestKind(profile, said.detail or said.task.value)
    better = cheapest(learned.known.adjusted(kind, said.chances), **prices)
    below = lighter(better)
    if below is not None and learned.chance < learned.known.tried_share(kind, below, by_text=tier):
        return below, Step.TRIED
    return better, Step.CLASSIFIED if better is tier else Step.LEARNED


def _pays(said: Classification, tier: Tier, warm: Warm, constraints: Constraints) -> bool:
    """Return whether another tier gains more than the cache is worth.

    A prompt that must be read anew is about as much dearer as one tier is: what `too_dear` prices. The cache is worth
    that, times the share of the prompts' tokens that it answers. Nothing is known to gain where there are no chances.
    """
    if said.chances is None:
        return False
    prices = {"too_cheap": constraints.too_cheap, "too_dear": constraints.too_dear}
    gain = expected_cost(said.chances, warm.tier, **prices) - expected_cost(said.chances, tier, **prices)
    return gain > constraints.too_dear * warm.share
