"""The course of a rollout: what it does itself, what may be done to it, and what time counts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import ProfileEdit
from neuronode_router.rollouts.course import (
    ALLOWED,
    MAX_GAP_SECONDS,
    Act,
    OnBreach,
    OnDone,
    Phase,
    Rollout,
    RolloutPlan,
    after,
    changes_of,
    from_text,
    next_act,
    to_text,
    watched,
)
from neuronode_router.rollouts.facts import AnswerOutcome, ArmFacts, BothArms
from neuronode_router.rollouts.guards import Guard, GuardVerdict, Metric, judge
from neuronode_router.usage.finished import FinishedRequest, UsageKey
from neuronode_router.usage.sums import Sums
from tests.support.control import make_profile

ERRORS = (Guard(Metric.ERROR_RATE, worse_by=0.02),)


def rollout(**changed: object) -> Rollout:
    """Return a rollout in its first step, whose hold is over."""
    plan = RolloutPlan("premium", steps=(10, 100), hold_seconds=60, guards=ERRORS, least=50)
    begun = Rollout("r-1", plan, "balanced", "00", tests=10, started_at=0.0, held=60.0, since_revision=3)
    return replace(begun, **changed)  # type: ignore[arg-type]


def arms(canary: tuple[int, int], control: tuple[int, int] = (0, 1000)) -> dict[str, BothArms]:
    """Return facts of one task: errors and requests of each arm."""
    (failed, asked), (broken, total) = canary, control
    return {"chat": BothArms(ArmFacts(total, broken), ArmFacts(asked, failed))}


def verdict(found: Rollout, facts: dict[str, BothArms]) -> tuple[Act | None, str]:
    """Return what the rollout does by these facts."""
    findings = judge(found.plan.guards, facts, alpha=found.alpha, least=found.plan.least)
    done = next_act(found, findings)
    return done.act, done.why


@pytest.mark.parametrize(
    ("changed", "facts", "act"),
    [
        ({}, arms((0, 100)), Act.STEP),
        ({"step": 1}, arms((0, 100)), Act.ASK),
        ({"held": 59.0}, arms((0, 100)), None),
        ({}, arms((0, 49)), None),
        ({}, arms((0, 100), (0, 49)), None),
        ({}, {}, None),
        ({}, arms((4, 100)), None),
        ({}, arms((20, 20)), Act.ABORT),
        ({"held": 0.0}, arms((20, 20)), Act.ABORT),
        ({"phase": Phase.PAUSED}, arms((20, 20)), Act.ABORT),
        ({"phase": Phase.ASKING}, arms((20, 20)), Act.ABORT),
        ({"phase": Phase.PAUSED}, arms((0, 100)), None),
        ({"phase": Phase.ASKING}, arms((0, 100)), None),
        ({"phase": Phase.ABORTED}, arms((20, 20)), None),
        ({}, arms((20, 20), (1000, 1000)), None),
        ({}, arms((50, 50), (0, 0)), None),
    ],
)
def test_what_a_rollout_does_itself(
    changed: dict[str, object], facts: dict[str, BothArms], act: Act | None
) -> None:
    """It goes on by evidence only, and back at any time; while nothing can be compared it does nothing."""
    assert verdict(rollout(**changed), facts)[0] is act


@pytest.mark.parametrize(
    ("changed", "facts", "act"),
    [
        ({}, arms((0, 100)), Act.STEP),
        ({"step": 1}, arms((0, 100)), Act.ASK),
        ({"plan": replace(rollout().plan, steps=(10,), on_done=OnDone.PROMOTE)}, arms((0, 100)), Act.PROMOTE),
        ({}, arms((20, 20)), Act.ABORT),
        ({"plan": replace(rollout().plan, on_breach=OnBreach.PAUSE)}, arms((20, 20)), Act.PAUSE),
    ],
)
def test_every_act_has_its_figures(changed: dict[str, object], facts: dict[str, BothArms], act: Act) -> None:
    """All of them, of both arms, and not of a breach alone."""
    found = rollout(**changed)
    findings = judge(found.plan.guards, facts, alpha=found.alpha, least=found.plan.least)
    done = next_act(found, findings)

    assert (done.act, done.findings) == (act, tuple(findings))


def test_it_promotes_only_where_it_was_told_to() -> None:
    """After the last step."""
    told = rollout(step=1)
    told = replace(told, plan=replace(told.plan, on_done=OnDone.PROMOTE))

    assert verdict(told, arms((0, 100)))[0] is Act.PROMOTE


CHANGES = ProfileEdit({"chat": "c"}, {Tier.FAST: ("f",)})


@pytest.mark.parametrize(
    ("changes", "decided", "act"),
    [
        (CHANGES, 0, None),
        (CHANGES, 49, None),
        (CHANGES, 50, Act.STEP),
        (ProfileEdit(), 0, Act.STEP),
    ],
)
def test_it_goes_on_only_where_what_is_changed_was_tried(
    changes: ProfileEdit, decided: int, act: Act | None
) -> None:
    """Requests that both arms answer alike say nothing, however many there are."""
    found = rollout(changes=changes)
    findings = judge(ERRORS, arms((0, 100)), alpha=found.alpha, least=50)

    done = next_act(found, findings, decided=decided)

    assert done.act is act
    assert done.act or f"(chat, tiers.fast) has decided {decided} of the 50 requests" in done.why


def test_an_untried_change_is_taken_back_all_the_same() -> None:
    """A breach needs no such evidence."""
    found = rollout(changes=CHANGES)
    findings = judge(ERRORS, arms((20, 20)), alpha=found.alpha, least=50)

    assert next_act(found, findings, decided=0).act is Act.ABORT


def test_what_another_profile_maps_otherwise_is_its_changes() -> None:
    """Tasks and ladders that differ, with what they lead to; nothing where two are alike."""
    one = make_profile("balanced")
    other = CHANGES.of(one)

    assert changes_of(one, other) == CHANGES
    assert changes_of(one, one) == ProfileEdit()


def test_a_breach_pauses_where_it_was_told_to() -> None:
    """And then only once; the share stays."""
    told = rollout()
    told = replace(told, plan=replace(told.plan, on_breach=OnBreach.PAUSE))

    assert verdict(told, arms((20, 20)))[0] is Act.PAUSE
    assert verdict(after(told, Act.PAUSE, now=1.0), arms((20, 20)))[0] is None


def test_one_broken_task_is_enough() -> None:
    """Among others that are well and many."""
    facts = {
        "chat": BothArms(ArmFacts(90_000), ArmFacts(900)),
        "summary": BothArms(ArmFacts(2_000), ArmFacts(20, 20)),
    }

    act, why = verdict(rollout(), facts)

    assert act is Act.ABORT
    assert "error_rate of summary: canary 100.00% in 20 requests, control 0.00% in 2000 requests" in why


def test_a_guard_without_data_holds_it() -> None:
    """Of what was to be guarded and was never recorded nobody knows that it is good."""
    guarded = rollout()
    guarded = replace(guarded, plan=replace(guarded.plan, guards=(*ERRORS, Guard(Metric.COST_USD, times=2))))

    act, why = verdict(guarded, arms((0, 100)))

    assert (act, why) == (None, "fewer than 50 samples of an arm for cost_usd")


@pytest.mark.parametrize(
    ("metric", "field"), [(Metric.LATENCY_P95_MS, "latency"), (Metric.FIRST_TOKEN_P95_MS, "first_token")]
)
def test_slower_is_seen(metric: Metric, field: str) -> None:
    """Twice as much in each request is a breach of 1.5 times, and none of 2.5 times."""
    guards = (Guard(metric, times=1.5), Guard(metric, times=2.5))
    facts = BothArms(ArmFacts(2000, **{field: {50: 2000}}), ArmFacts(2000, **{field: {58: 2000}}))

    closer, wider = judge(guards, {"chat": facts}, alpha=1e-5, least=100)[::2]

    assert (closer.verdict, wider.verdict) == (GuardVerdict.BREACHED, GuardVerdict.GOOD)
    assert closer.control.value == pytest.approx(1.1**50.5)


@pytest.mark.parametrize(
    ("control", "canary", "guard", "expected"),
    [
        (0.001049, 0.001052, Guard(Metric.COST_USD, times=1.05), GuardVerdict.GOOD),
        (0.001049, 0.001052, Guard(Metric.COST_USD, worse_by=0.00005), GuardVerdict.GOOD),
        (0.001049, 0.001052, Guard(Metric.COST_USD, at_most=0.0011), GuardVerdict.GOOD),
        (0.001, 0.00107, Guard(Metric.COST_USD, times=1.05), GuardVerdict.UNSURE),
        (0.001, 0.00107, Guard(Metric.COST_USD, times=1.1), GuardVerdict.GOOD),
        (0.001, 0.002, Guard(Metric.COST_USD, times=1.5), GuardVerdict.BREACHED),
        (0.0, 0.001, Guard(Metric.COST_USD, worse_by=0.0005), GuardVerdict.BREACHED),
        (5.0, 50.0, Guard(Metric.COST_USD, times=1.2), GuardVerdict.BREACHED),
        (5.0, 50.0, Guard(Metric.COST_USD, at_most=4.2), GuardVerdict.BREACHED),
        (4.0, 4.1, Guard(Metric.COST_USD, at_most=4.2), GuardVerdict.GOOD),
    ],
)
@pytest.mark.parametrize("asked", [100, 300])
def test_what_requests_cost_is_known_to_the_dollar(
    control: float, canary: float, guard: Guard, expected: GuardVerdict, asked: int
) -> None:
    """However close or dear requests of one price each are: what was paid is what is compared."""
    facts = BothArms(_paid(control, asked), _paid(canary, asked))

    found, *_ = judge((guard,), {"chat": facts}, alpha=1e-4, least=100)

    assert found.verdict is expected
    assert (found.control.value, found.canary.value) == pytest.approx((control, canary))


def _paid(price: float, requests: int) -> ArmFacts:
    """Return what usage has counted of requests of one price."""
    sums = Sums()
    for number in range(requests):
        sums.add(FinishedRequest(str(number), 0, UsageKey(profile="p", arm="canary"), cost=price))
    return ArmFacts(sums.requests, cost=sums.cost_micro, cost_usd=sums.cost or 0.0)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("act", list(Act))
def test_only_what_is_allowed_can_be_done(phase: Phase, act: Act) -> None:
    """Everything else raises; nothing can be done to what is over."""
    if act in ALLOWED.get(phase, ()):
        assert after(rollout(phase=phase), act, now=5.0).phase is not Phase.RUNNING or act in (
            Act.STEP,
            Act.RESUME,
        )
    else:
        with pytest.raises(ValueError, match="cannot"):
            after(rollout(phase=phase), act, now=5.0)
    assert not (phase.over and act in ALLOWED.get(phase, ()))


def test_it_does_not_go_on_while_a_guard_is_breached() -> None:
    """The next look would pause it again, for the same breach. All else may be done to it."""
    paused = rollout(phase=Phase.PAUSED)
    bad, good = (
        judge(ERRORS, facts, alpha=paused.alpha, least=paused.plan.least)
        for facts in (arms((20, 20)), arms((0, 100)))
    )

    with pytest.raises(ValueError, match="breached, so it cannot go on: error_rate: canary 100"):
        after(paused, Act.RESUME, now=5.0, findings=bad)

    assert after(paused, Act.RESUME, now=5.0, findings=good).phase is Phase.RUNNING
    assert after(paused, Act.PROMOTE, now=5.0, findings=bad).phase is Phase.PROMOTED


@given(st.lists(st.floats(0, 2e9), max_size=20))
def test_clocks_that_jump_hold_nothing(moments: list[float]) -> None:
    """Whatever a clock says, each look counts a little at most and never takes time away."""
    found = rollout(held=0.0)
    for moment in moments:
        before, found = found, watched(found, moment)
        assert 0 <= found.held - before.held <= MAX_GAP_SECONDS + 1e-6


def test_text_and_back() -> None:
    """A rollout is kept as it is."""
    found = rollout(phase=Phase.PAUSED, changes=CHANGES)

    assert from_text(to_text(found)) == found


def test_what_was_kept_before_changes_were_is_read() -> None:
    """It needs nothing of them."""
    kept = json.loads(to_text(rollout(changes=CHANGES)))
    del kept["changes"]

    assert from_text(json.dumps(kept)) == rollout()


TURNED = {
    Metric.LABEL_FAILURE_RATE: (AnswerOutcome.NO_LABEL, AnswerOutcome.LABEL),
    Metric.SCHEMA_FAILURE_RATE: (AnswerOutcome.NO_SCHEMA, AnswerOutcome.SCHEMA),
    Metric.ESCALATION_RATE: (AnswerOutcome.ESCALATED, AnswerOutcome.RUN),
    Metric.NEGATIVE_FEEDBACK_RATE: (AnswerOutcome.NEGATIVE, None),
}


@pytest.mark.parametrize("metric", TURNED)
def test_how_answers_turned_out_is_a_share_like_errors(metric: Metric) -> None:
    """Of what was looked at, per task; what nobody looked at is no data, and goes nowhere."""
    hit, trial = TURNED[metric]

    def facts(bad: int, of: int) -> ArmFacts:
        return ArmFacts(of, outcomes={hit: bad} | ({trial: of} if trial else {}))

    def done(canary: ArmFacts) -> tuple[Act | None, str]:
        plan = replace(rollout().plan, guards=(Guard(metric, worse_by=0.02),))
        arms_of = {"classify": BothArms(facts(5, 1000), canary)}
        return verdict(rollout(plan=plan), arms_of)

    assert done(facts(1, 200))[0] is Act.STEP
    assert done(facts(150, 200)) == (
        Act.ABORT,
        f"{metric}: canary 75.00% in 200 requests, control 0.50% in 1000 requests (worse_by 0.02); "
        f"{metric} of classify: canary 75.00% in 200 requests, control 0.50% in 1000 requests (worse_by 0.02)",
    )
    nothing = done(ArmFacts(0 if trial is None else 200))
    assert nothing == (None, f"fewer than 50 samples of an arm for {metric}")
