"""Unfinished decisions become finished ones: the tier, where it came from, and the ladder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from neuronode_router.auto.deciding import decide_tier
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rules import OnOverload
from neuronode_router.domain.state import ControlState
from neuronode_router.routing.admit import admit
from neuronode_router.routing.fallback_chain import Constraints, DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.control import make_profile

GROUPS = frozenset({"chat_balanced", "small", "middle", "large"})
TIERS = {Tier.FAST: ("small",), Tier.MEDIUM: ("middle",), Tier.COMPLEX: ("large", "gone")}


@dataclass(frozen=True)
class Said:
    """What a classifier said."""

    task: str = "summary"
    tier: Tier = Tier.FAST
    confidence: float = 0.9
    confident: bool = True
    dear: Tier | None = None
    """The tier where a request taken too lightly costs more than one taken too heavily."""

    def tier_at(self, *, too_cheap: float, too_dear: float) -> Tier:
        return self.dear if self.dear is not None and too_cheap > too_dear else self.tier


def snapshot(
    *, chat: str = "chat_balanced", uncertain: Tier = Tier.MEDIUM, too_cheap: float = 1.0
) -> Snapshot:
    profile = replace(
        make_profile("balanced"),
        tasks={**dict.fromkeys(TASK_ALIASES, "chat_balanced"), "chat": chat},
        tiers=TIERS,
        uncertain=uncertain,
        on_overload=OnOverload.DOWN,
        too_cheap=too_cheap,
    )
    state = ControlState(3, "balanced", ProfileSet({"balanced": profile}), committed_at=0.0)
    return build_snapshot(state, HostFacts(groups=GROUPS))


def routed(
    name: str,
    said: Said | None,
    current: Snapshot | None = None,
    *,
    why: Step = Step.AUTO_OFF,
    max_tier: Tier = Tier.COMPLEX,
    **health: Health,
) -> Decision:
    current = current or snapshot()
    profile = current.active
    constraints = Constraints(
        profile.uncertain,
        why,
        max_tier,
        policy=profile.on_overload,
        too_cheap=profile.too_cheap,
        too_dear=profile.too_dear,
    )
    decision = admit(current, name, wanted_profile=None, may_override=lambda _: True)
    assert decision.auto
    groups = {group: (DeploymentStatus(Deployment(group, group), state),) for group, state in health.items()}
    return decide_tier(decision, said, constraints, tiers=current.ladders["balanced"], groups=groups)  # type: ignore[arg-type]


def test_a_confident_classification_decides_tier_and_task() -> None:
    """The cheapest tier that is good enough comes first, the others follow by the profile's policy."""
    found = routed("auto", Said())

    assert (found.group, found.ladder) == ("small", ("middle", "large"))
    assert (found.tier, found.wanted, found.task, found.confidence) == (Tier.FAST, Tier.FAST, "summary", 0.9)
    assert found.steps == (Step.CLASSIFIED,)
    assert found.tiers == (Tier.FAST, Tier.MEDIUM, Tier.COMPLEX)


@pytest.mark.parametrize(("too_cheap", "tier"), [(1.0, Tier.FAST), (2.0, Tier.MEDIUM)])
def test_the_profile_prices_the_errors(too_cheap: float, tier: Tier) -> None:
    """A profile that dreads answers from too small a model sends doubtful requests higher."""
    found = routed("auto", Said(dear=Tier.MEDIUM), snapshot(too_cheap=too_cheap))

    assert (found.tier, found.steps) == (tier, (Step.CLASSIFIED,))


@pytest.mark.parametrize("uncertain", Tier)
def test_doubt_goes_to_the_uncertain_tier_and_never_silently_to_the_cheapest(uncertain: Tier) -> None:
    """Low confidence is answered by the profile's own choice, and says so."""
    found = routed("auto", Said(confidence=0.3, confident=False), snapshot(uncertain=uncertain))

    assert (found.tier, found.steps) == (uncertain, (Step.UNCERTAIN,))


@pytest.mark.parametrize("tier", Tier)
def test_a_name_forces_its_tier(tier: Tier) -> None:
    """`auto:<tier>` is not classified."""
    found = routed(f"auto:{tier.value}", Said(tier=Tier.COMPLEX))

    assert (found.tier, found.steps) == (tier, (Step.FORCED_TIER,))


def test_a_task_may_be_automatic() -> None:
    """A task that a profile maps to `auto` keeps its name and is routed by its text."""
    found = routed("chat", Said(task="strategy", tier=Tier.COMPLEX), snapshot(chat="auto"))

    assert (found.task, found.group, found.tier) == ("chat", "large", Tier.COMPLEX)


@pytest.mark.parametrize("without", [Step.AUTO_OFF, Step.SHADOW])
def test_without_classification_the_uncertain_tier_answers(without: Step) -> None:
    """Switched off or only watched: one fixed tier, and the reason."""
    found = routed("auto", None, why=without)

    assert (found.tier, found.steps, found.task) == (Tier.MEDIUM, (without,), None)


def test_overload_moves_down_and_tells() -> None:
    """The next lower tier answers for an overloaded one; the wanted tier is remembered."""
    found = routed("auto", Said(tier=Tier.COMPLEX), large=Health.SLOW)

    assert (found.group, found.tier, found.wanted) == ("middle", Tier.MEDIUM, Tier.COMPLEX)
    assert found.steps == (Step.CLASSIFIED, Step.OVERLOADED)


def test_a_cap_goes_before_what_is_asked_for() -> None:
    """Neither text nor a forced tier gets above the caller's cap, and no fallback leads there."""
    found = routed("auto:complex", None, max_tier=Tier.MEDIUM)

    assert (found.tier, found.steps) == (Tier.MEDIUM, (Step.FORCED_TIER, Step.CAPPED))
    assert "large" not in (found.group, *found.ladder)


def test_groups_the_host_lacks_are_no_rungs() -> None:
    """A ladder names only what LiteLLM can serve."""
    found = routed("auto", Said(tier=Tier.COMPLEX))

    assert "gone" not in (found.group, *found.ladder)
