"""Rollouts from a terminal: begun, looked at, ended; and what is no option."""

from __future__ import annotations

import json

import pytest

from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import ProfileEdit
from neuronode_router.rollouts.course import OnBreach, OnDone
from neuronode_router.rollouts.guards import Guard, Metric
from tests.admin_api.test_rollouts import count
from tests.unit.cli.conftest import Remote, Terminal
from tests.unit.cli.test_golden import check


def running(remote: Remote) -> str:
    """Return the id of the rollout that runs."""
    found = remote.world.store.rollouts.running()
    assert found is not None
    return found.id


def test_a_rollout_begins_and_is_shown_with_both_arms(remote: Remote, neuronode: Terminal) -> None:
    """The receipt first; then figures side by side, and what comes next."""
    check("rollout_start", neuronode("rollout", "start", "balanced", "--least", "10", "-y"))
    remote.do(count(remote.world, broken=1))

    check("rollout_status", neuronode("rollout", "status"), hide=running(remote))
    check("rollout_abort", neuronode("rollout", "abort", "--reason", "enough", "-y"))
    name = remote.world.store.rollouts.page(1)[0].id
    check("rollout_history", neuronode("rollout", "history", name), hide=name)
    check("rollout_history_all", neuronode("rollout", "history"), hide=name)
    listed = json.loads(neuronode("rollout", "history", "--json").out)
    assert [one["id"] for one in listed["rollouts"]] == [name]


def test_every_option_is_part_of_the_plan(remote: Remote, neuronode: Terminal) -> None:
    """As the proxy takes it."""
    shape = ("--steps", "0.5,20", "--hold", "2h", "--least", "7", "--on-breach", "pause")
    guards = ("--guard", "error_rate:at_most=0.1", "--guard", "error_rate:times=2", "--on-done", "promote")

    assert neuronode("rollout", "start", "balanced", *shape, *guards, "-y").code == 0

    found = remote.world.store.rollouts.running()
    assert found is not None
    plan = found.plan
    assert (plan.steps, plan.hold_seconds, plan.least) == ((5, 200), 7200, 7)
    assert (plan.on_breach, plan.on_done) == (OnBreach.PAUSE, OnDone.PROMOTE)
    assert plan.guards == (Guard(Metric.ERROR_RATE, at_most=0.1, times=2),)


@pytest.mark.parametrize("place", ["chat", "tiers.fast"])
def test_a_place_that_is_set_twice_is_wrong_usage(place: str, remote: Remote, neuronode: Terminal) -> None:
    """The first of them would be dropped in silence."""
    outcome = neuronode("rollout", "start", "--set", f"{place}=one", "--set", f"{place}=two", "-y")

    assert outcome.code == 2
    assert f"{place} is set twice" in outcome.err


def test_an_edit_of_the_active_profile_is_tried(remote: Remote, neuronode: Terminal) -> None:
    """Tasks and ladders, as many as are named; the status says what is tried."""
    changes = ("--set", "chat=chat_balanced", "--set", "tiers.fast=chat_balanced,tier_fast")

    assert neuronode("rollout", "start", *changes, "-y").code == 0

    found = remote.world.store.rollouts.running()
    assert found is not None
    assert found.plan.edit == ProfileEdit(
        {"chat": "chat_balanced"}, {Tier.FAST: ("chat_balanced", "tier_fast")}
    )
    told = neuronode("rollout", "status").out
    assert "premium+edit, against premium" in told
    assert "tiers.fast -> chat_balanced, tier_fast" in told


@pytest.mark.parametrize("named", [(), ("balanced", "--set", "chat=tier"), ("--set", "chat")])
def test_either_a_profile_or_an_edit_is_named(
    remote: Remote, neuronode: Terminal, named: tuple[str, ...]
) -> None:
    """Neither, both, or half of one is a mistake of whoever types."""
    assert neuronode("rollout", "start", *named, "-y").code == 2
    assert remote.world.store.rollouts.running() is None


@pytest.mark.parametrize(
    "wrong", [("--hold", "soon"), ("--steps", "many"), ("--guard", "errors"), ("--on-done", "maybe")]
)
def test_what_is_no_option(remote: Remote, neuronode: Terminal, wrong: tuple[str, str]) -> None:
    """It is said what to write, and nothing begins."""
    outcome = neuronode("rollout", "start", "balanced", *wrong, "-y")

    assert outcome.code == 2
    assert remote.world.store.rollouts.running() is None


def test_pause_resume_promote(remote: Remote, neuronode: Terminal) -> None:
    """Whichever runs is meant; where none runs that is said."""
    assert neuronode("rollout", "start", "balanced", "-y").code == 0

    done = [neuronode("rollout", act, "-y").code for act in ("pause", "resume", "promote", "abort")]

    assert done == [0, 0, 0, 1]
    state = remote.do(remote.world.manager.current())
    assert state is not None
    assert (state.active, state.canary) == ("balanced", None)
    assert neuronode("rollout", "status").out == "No rollout runs.\n"
