"""States of a deployment: when they begin, when they end, and that none lasts for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import (
    NEW,
    Health,
    HealthReason,
    HealthVerdict,
    Load,
    OverloadLimits,
    judge,
    judge_all,
)

LIMITS = OverloadLimits()
KNOWN = Deployment(id="a", group="g", expected_ms=200.0)
SERIAL = replace(KNOWN, parallel=1)
UNDESCRIBED = Deployment(id="a", group="g")

loads = st.builds(
    Load,
    latency_ms=st.none() | st.floats(1, 100_000),
    samples=st.integers(0, 50),
    errors=st.integers(0, 50),
    in_flight=st.integers(0, 50),
    cooling=st.booleans(),
)
deployments = st.builds(
    Deployment,
    id=st.just("a"),
    group=st.just("g"),
    expected_ms=st.none() | st.floats(10, 5000),
    parallel=st.none() | st.integers(1, 8),
    available=st.booleans(),
)


def after(*steps: Load, deployment: Deployment = KNOWN, seconds: float = 1.0) -> HealthVerdict:
    """Judge one step after the other, `seconds` apart."""
    verdict = NEW
    for number, load in enumerate(steps, start=1):
        verdict = judge(verdict, deployment, load, now=number * seconds)
    return verdict


def measured(latency_ms: float, samples: int = 10, **more: int) -> Load:
    return Load(latency_ms=latency_ms, samples=samples, **more)


QUIET = Load()
SLOW = measured(900.0)


@pytest.mark.parametrize(
    ("load", "health", "why"),
    [
        (QUIET, Health.OK, HealthReason.NO_EVIDENCE),
        (measured(200), Health.OK, HealthReason.WITHIN_LIMITS),
        (measured(400), Health.OK, HealthReason.WITHIN_LIMITS),
        (measured(401), Health.SLOW, HealthReason.LATENCY),
        (measured(401, samples=4), Health.OK, HealthReason.WITHIN_LIMITS),
        (measured(200, errors=9), Health.OK, HealthReason.WITHIN_LIMITS),
        (measured(200, errors=10), Health.FAILING, HealthReason.ERRORS),
        (Load(errors=5), Health.FAILING, HealthReason.ERRORS),
        (Load(errors=4), Health.OK, HealthReason.NO_EVIDENCE),
        (replace(SLOW, cooling=True), Health.COOLDOWN, HealthReason.HOST_COOLDOWN),
        (replace(SLOW, errors=90), Health.FAILING, HealthReason.ERRORS),
    ],
)
def test_a_state_begins_at_its_limit(load: Load, health: Health, why: HealthReason) -> None:
    """Overloaded is what takes twice the expected latency, with enough samples; errors and cooldown beside it."""
    verdict = after(load)

    assert (verdict.health, verdict.why) == (health, why)


def test_what_is_not_there_is_unavailable_and_comes_back_well() -> None:
    """Absence is no misbehaviour: once it is there again nothing has to be proved."""
    gone = judge(NEW, replace(KNOWN, available=False), QUIET, now=1)
    back = judge(gone, KNOWN, QUIET, now=2)

    assert (gone.health, back.health) == (Health.UNAVAILABLE, Health.OK)


def test_a_verdict_explains_itself() -> None:
    """The value, the limit it met and the time it began are in the verdict."""
    verdict = after(measured(200), SLOW, measured(950))

    assert (verdict.value, verdict.limit, verdict.baseline_ms) == (950, 1.5 * 200, 200)
    assert (verdict.since, verdict.judged_at) == (2, 3)


def test_slow_ends_lower_than_it_begins() -> None:
    """Between 1.5 and 2 times the expected latency a deployment stays as it was."""
    between = measured(350)

    assert after(between).health is Health.OK
    assert after(SLOW, between).health is Health.SLOW
    assert after(SLOW, measured(300)).health is Health.OK


def test_failing_ends_lower_than_it_begins() -> None:
    """The same for errors: half of the requests to begin, a fifth to end."""
    third = measured(200, samples=20, errors=10)

    assert after(third).health is Health.OK
    assert after(Load(errors=10), third).health is Health.FAILING
    assert after(Load(errors=10), measured(200, samples=20, errors=2)).health is Health.OK


@pytest.mark.parametrize("bad", [SLOW, Load(errors=10), Load(cooling=True)])
def test_after_silence_a_trickle_finds_out(bad: Load) -> None:
    """When nothing is heard any more it is probing; three good answers end that, three bad ones end it badly."""
    assert after(bad, QUIET).health is Health.PROBING
    assert after(bad, QUIET, measured(200, samples=2)).health is Health.PROBING
    assert after(bad, QUIET, measured(200, samples=3)).health is Health.OK
    assert after(bad, QUIET, measured(900, samples=3)).health is Health.SLOW
    assert after(bad, QUIET, Load(errors=3)).health is Health.FAILING


def test_a_queue_is_seen_before_its_answers_are() -> None:
    """One at a time and one waiting takes twice as long; two waiting thrice: that is too long."""
    assert after(measured(200, in_flight=1), deployment=SERIAL).health is Health.OK

    queued = after(measured(200, in_flight=2), deployment=SERIAL)
    assert (queued.health, queued.why, queued.value, queued.limit) == (Health.SLOW, HealthReason.QUEUE, 2, 1)


def test_a_queue_counts_before_anything_was_measured() -> None:
    """How many wait needs no latency: a new deployment without a description is protected from its first burst."""
    unmeasured = replace(UNDESCRIBED, parallel=1)

    assert after(Load(in_flight=2), deployment=unmeasured).why is HealthReason.QUEUE


def test_a_queue_that_is_gone_needs_no_probe() -> None:
    """The depth itself says that it is well again."""
    assert after(Load(in_flight=5), QUIET, deployment=SERIAL).health is Health.OK


def test_where_nobody_said_what_to_expect_it_is_learned() -> None:
    """The first latency is the baseline; four times that is slow."""
    learned = after(measured(100), deployment=UNDESCRIBED)
    later = after(measured(100), measured(400), deployment=UNDESCRIBED)

    assert (learned.health, learned.baseline_ms) == (Health.OK, 100)
    assert later.health is Health.SLOW


def test_a_lasting_overload_does_not_become_normal() -> None:
    """After ten minutes at five times its latency it is still slow; the baseline has risen by a tenth."""
    verdict = after(measured(100), *[measured(500)] * 600, deployment=UNDESCRIBED)

    assert verdict.health is Health.SLOW
    assert verdict.baseline_ms == pytest.approx(110, rel=0.01)


@given(st.lists(loads, max_size=20), deployments, st.floats(1, 30))
def test_no_state_is_a_permanent_ban(steps: list[Load], deployment: Deployment, seconds: float) -> None:
    """Whatever happened: when no bad news comes any more, everything available is well in the end."""
    present = replace(deployment, available=True)
    verdict = NEW
    for number, load in enumerate(steps, start=1):
        verdict = judge(verdict, deployment, load, now=number * seconds)
    began = len(steps) * seconds + 1

    silent = judge(verdict, present, QUIET, now=began)
    patient = judge(silent, present, QUIET, now=began + LIMITS.patience_seconds + 1)

    assert silent.health in {Health.OK, Health.PROBING}
    assert patient.health is Health.OK


@given(st.lists(loads, min_size=1, max_size=10), deployments)
def test_the_same_inputs_give_the_same_verdict(steps: list[Load], deployment: Deployment) -> None:
    """It is a function: equal histories, equal verdicts, and every bad one carries a reason of its own."""
    verdict = after(*steps, deployment=deployment)

    assert verdict == after(*steps, deployment=deployment)
    assert (verdict.health is Health.OK) == (
        verdict.why in {HealthReason.NO_EVIDENCE, HealthReason.WITHIN_LIMITS}
    )


@given(loads, deployments, st.floats(0, 10_000))
def test_more_latency_never_makes_it_better(load: Load, deployment: Deployment, more: float) -> None:
    """Of two equal deployments with expectations the slower one does not have the better state."""
    known = replace(deployment, expected_ms=deployment.expected_ms or 100.0)
    slower = replace(load, latency_ms=None if load.latency_ms is None else load.latency_ms + more)

    assert after(slower, deployment=known).health.rank >= after(load, deployment=known).health.rank


def test_all_are_judged_and_the_gone_are_forgotten() -> None:
    """The map of verdicts follows the registry, so that it cannot grow."""
    before = judge_all({}, {"a": KNOWN, "b": KNOWN}, {"a": SLOW}, now=1)
    later = judge_all(before, {"a": KNOWN}, {}, now=2)

    assert {name: verdict.health for name, verdict in before.items()} == {"a": Health.SLOW, "b": Health.OK}
    assert {name: verdict.health for name, verdict in later.items()} == {"a": Health.PROBING}
