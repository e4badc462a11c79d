"""`auto` within a conversation: what a switch has left where it is, and what leaving a warm tier must gain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuronode_router.auto.deciding import decide_tier
from neuronode_router.auto.explain import explain
from neuronode_router.auto.router import Caller
from neuronode_router.classifier import Classification, Classifier, lexicon
from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.fallback_chain import Constraints, DeploymentStatus, Held, Warm
from neuronode_router.routing.inventory import Deployment
from tests.unit.auto.test_router import SENTIMENT, TIERS, Worker

ASKED = Decision("auto", "middle", Reason.ACTIVE_PROFILE, auto=True, profile="balanced")


def test_a_kept_conversation_goes_first_to_its_group_then_up_the_ladder() -> None:
    """Also to a group that the profile does not name; another profile's tiers are only its fallbacks."""
    worker = Worker()

    routed = worker.ask(SENTIMENT, caller=Caller("me", kept=Held(Tier.COMPLEX, "before")))

    found = routed.decision
    assert (found.group, found.tier, found.steps) == ("before", Tier.COMPLEX, (Step.KEPT,))
    assert found.ladder[0] == worker.ask(SENTIMENT).decision.group
    assert found.tiers[0] is Tier.COMPLEX
    assert len(found.tiers) == 1 + len(found.ladder)
    assert explain(routed)["steps"] == ["kept"]


def test_what_has_outgrown_its_group_is_not_kept() -> None:
    """The window there is too small by now."""
    worker = Worker()
    small = DeploymentStatus(Deployment("before-1", "before", context_window=600))
    worker.router._statuses = lambda: {"before": (small,)}
    caller = Caller("me", kept=Held(Tier.FAST, "before"))

    assert worker.ask(SENTIMENT, caller=caller).decision.group == "before"
    assert worker.ask("word " * 4000, caller=caller).decision.group != "before"


def classification(*chances: float, confidence: float = 0.99) -> Classification:
    said = Classifier(lexicon.shipped(), None).classify([{"role": "user", "content": SENTIMENT}])
    return replace(said, confidence=confidence, chances=chances)


@pytest.mark.parametrize(
    ("chances", "share", "tier", "step"),
    [
        # Nearly sure to be simple: one tier too heavy costs 1 a request, two cost 2.
        ((0.9, 0.1, 0.0), 0.9, Tier.FAST, Step.CLASSIFIED),
        ((0.6, 0.3, 0.1), 0.9, Tier.COMPLEX, Step.CACHE),
        ((0.6, 0.3, 0.1), 0.3, Tier.FAST, Step.CLASSIFIED),
        ((0.0, 0.7, 0.3), 0.9, Tier.COMPLEX, Step.CACHE),
        ((0.0, 0.1, 0.9), 0.9, Tier.COMPLEX, Step.CLASSIFIED),
    ],
)
def test_a_warm_conversation_leaves_its_tier_for_more_than_its_cache(
    chances: tuple[float, float, float], share: float, tier: Tier, step: Step
) -> None:
    """The gain by the classification's chances and the profile's prices is held against the share that is cached."""
    constraints = Constraints(tier=Tier.MEDIUM, warm=Warm(Tier.COMPLEX, share))

    found = decide_tier(ASKED, classification(*chances), constraints, tiers=TIERS, groups={})

    assert (found.tier, found.steps[0]) == (tier, step)


def test_doubt_moves_no_warm_conversation() -> None:
    """Where the classification is not sure the profile's `uncertain` tier would be a change for nothing."""
    constraints = Constraints(tier=Tier.MEDIUM, warm=Warm(Tier.FAST, 0.5))
    said = classification(0.5, 0.3, 0.2, confidence=0.1)

    assert decide_tier(ASKED, said, constraints, tiers=TIERS, groups={}).tier is Tier.FAST


def test_a_forced_tier_is_obeyed_whatever_is_cached() -> None:
    """The caller asks for it by name."""
    constraints = Constraints(tier=Tier.MEDIUM, warm=Warm(Tier.COMPLEX, 1.0))
    forced = replace(ASKED, tier=Tier.FAST)

    assert decide_tier(forced, None, constraints, tiers=TIERS, groups={}).tier is Tier.FAST
