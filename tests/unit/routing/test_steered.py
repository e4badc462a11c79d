"""What a policy bends of a snapshot: the tasks it moves, for who follows the active profile, and nobody else."""

from __future__ import annotations

import pytest

from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import Bend, Steering
from neuronode_router.routing.admit import admit
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.control import HOST, make_set

AWAY = Bend("down", True, task="chat", group="chat_cost_effective")


def snapshot(*bends: Bend, canary: Canary | None = None) -> Snapshot:
    state = ControlState(
        1,
        "premium",
        make_set(),
        0.0,
        bindings={"team:a": Binding("balanced")},
        canary=canary,
        steering=Steering("digest", None, bends),
    )
    return build_snapshot(state, HOST)


def test_a_moved_task_goes_elsewhere_and_says_so() -> None:
    """Decision and LiteLLM's alias lead to the same group; other tasks stay."""
    steered = snapshot(AWAY)
    decision = admit(steered, "chat", wanted_profile=None, may_override=lambda _: True)

    assert (decision.group, decision.steps) == ("chat_cost_effective", (Step.POLICY,))
    assert steered.aliases["chat"] == "chat_cost_effective"
    assert steered.decisions["classification"].group == "classification_premium"


def test_who_is_bound_or_chooses_is_not_steered() -> None:
    """They have another profile's group, or the task of this one by its full name."""
    steered = snapshot(AWAY)
    bound = admit(steered, "chat", wanted_profile=None, may_override=lambda _: True, bound=lambda: "balanced")

    assert bound.group == "chat_balanced"
    assert steered.decisions["premium/chat"].group == "chat_premium"
    assert steered.decisions["task_chat"].group == "chat_balanced"


def test_both_arms_of_a_rollout_are_steered() -> None:
    """The group that fails is left by all."""
    steered = snapshot(AWAY, canary=Canary("r-1", "balanced", "00", 100, 0.0))

    assert steered.canary["chat"].group == "chat_cost_effective"
    assert steered.canary["classification"].group == "classification_balanced"


def test_a_group_that_the_host_has_not_is_no_place_to_go() -> None:
    """The task stays where its profile sends it."""
    assert snapshot(Bend("down", True, task="chat", group="gone")).decisions["chat"].group == "chat_premium"


@pytest.mark.parametrize(
    ("tiers", "cap"),
    [((), Tier.COMPLEX), ((Tier.MEDIUM,), Tier.MEDIUM), ((Tier.MEDIUM, Tier.FAST), Tier.FAST)],
)
def test_the_lowest_cap_counts(tiers: tuple[Tier, ...], cap: Tier) -> None:
    """Without one there is none."""
    assert Steering("d", None, tuple(Bend("r", False, max_tier=tier) for tier in tiers)).cap is cap


@pytest.mark.parametrize(
    ("name", "own", "highest"),
    [
        ("auto", Tier.COMPLEX, Tier.MEDIUM),
        ("auto:complex", Tier.COMPLEX, Tier.MEDIUM),
        ("auto", Tier.FAST, Tier.FAST),
        ("premium/auto", Tier.COMPLEX, Tier.COMPLEX),
    ],
)
def test_a_cap_holds_for_who_follows_the_active_profile(name: str, own: Tier, highest: Tier) -> None:
    """And the caller's own one beside it."""
    steered = snapshot(Bend("r", False, max_tier=Tier.MEDIUM))

    assert steered.highest(steered.decisions[name], own) is highest
