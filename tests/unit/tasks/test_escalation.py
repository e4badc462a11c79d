"""What follows an attempt: one retry, one tier up, an end; and the results that tell of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import Tier
from neuronode_router.tasks import Done, Escalate, EscalationReason, Retry, Step, TaskAttempt, plan_next
from neuronode_router.tasks.results import ChatResult, Routing, SentimentResult

FAST, MEDIUM, COMPLEX = Tier
BAR = 0.6


def good(tier: Tier, worth: float = 0.9) -> TaskAttempt:
    """A valid answer."""
    return TaskAttempt(tier, valid=True, confidence=worth)


def bad(tier: Tier) -> TaskAttempt:
    """An answer outside labels or schema."""
    return TaskAttempt(tier, valid=False, confidence=0)


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ([good(FAST)], Done(0, EscalationReason.ACCEPTED)),
        ([good(FAST, BAR)], Done(0, EscalationReason.ACCEPTED)),
        ([bad(FAST)], Retry()),
        ([replace(bad(FAST), cut=True)], Retry(EscalationReason.CUT)),
        ([bad(FAST), replace(bad(FAST), cut=True)], Escalate(MEDIUM, EscalationReason.CUT)),
        ([replace(good(FAST), cut=True)], Done(0, EscalationReason.ACCEPTED)),
        ([bad(FAST), good(FAST)], Done(1, EscalationReason.ACCEPTED)),
        ([bad(FAST), bad(FAST)], Escalate(MEDIUM, EscalationReason.INVALID)),
        ([bad(FAST), good(FAST, 0.3)], Escalate(MEDIUM, EscalationReason.UNCERTAIN)),
        ([good(FAST, 0.3)], Escalate(MEDIUM, EscalationReason.UNCERTAIN)),
        ([good(MEDIUM, 0.3)], Escalate(COMPLEX, EscalationReason.UNCERTAIN)),
        ([good(FAST, 0.3), good(MEDIUM, 0.4)], Done(1, EscalationReason.UNCERTAIN)),
        ([good(FAST, 0.5), good(MEDIUM, 0.4)], Done(0, EscalationReason.UNCERTAIN)),
        ([good(FAST, 0.4), good(MEDIUM, 0.4)], Done(1, EscalationReason.UNCERTAIN)),
        ([good(FAST, 0.3), bad(MEDIUM)], Done(0, EscalationReason.UNCERTAIN)),
        ([bad(FAST), bad(FAST), bad(MEDIUM)], Done(2, EscalationReason.INVALID)),
        ([bad(FAST), bad(FAST), good(MEDIUM)], Done(2, EscalationReason.ACCEPTED)),
        ([good(COMPLEX, 0.3)], Done(0, EscalationReason.UNCERTAIN)),
        ([bad(COMPLEX)], Retry()),
        ([bad(COMPLEX), bad(COMPLEX)], Done(1, EscalationReason.INVALID)),
    ],
)
def test_the_table_of_steps(attempts: list[TaskAttempt], step: Step) -> None:
    """Invalid: once more, then one tier up. Uncertain: one tier up. Then the best there is."""
    assert plan_next(attempts, threshold=BAR) == step


def test_a_cap_is_never_passed() -> None:
    """A key that may use only small models gets the best small answer."""
    assert plan_next([good(FAST, 0.3)], threshold=BAR, highest=FAST) == Done(0, EscalationReason.UNCERTAIN)
    assert plan_next([bad(COMPLEX), bad(COMPLEX)], threshold=BAR, highest=FAST) == Done(
        1, EscalationReason.INVALID
    )


def test_there_must_have_been_an_attempt() -> None:
    """Nothing follows nothing."""
    with pytest.raises(ValueError, match="attempt"):
        plan_next([], threshold=BAR)


@given(
    start=st.sampled_from(Tier),
    highest=st.sampled_from(Tier),
    threshold=st.floats(0, 1),
    outcomes=st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=3, max_size=3),
)
def test_it_always_ends_after_three_attempts_with_the_best(
    start: Tier, highest: Tier, threshold: float, outcomes: list[tuple[bool, float]]
) -> None:
    """Walk the machine to its end with any outcomes: bounded, one tier at most, and honest about the result."""
    attempts: list[TaskAttempt] = []
    step: Step = Escalate(start, EscalationReason.ACCEPTED)
    for valid, worth in outcomes:
        tier = step.tier if isinstance(step, Escalate) else attempts[-1].tier
        attempts.append(TaskAttempt(tier, valid=valid, confidence=worth))
        step = plan_next(attempts, threshold=threshold, highest=highest)
        if isinstance(step, Done):
            break

    assert isinstance(step, Done)
    ladder = list(Tier)
    climbed = [ladder.index(attempt.tier) - ladder.index(start) for attempt in attempts]
    assert climbed == sorted(climbed)
    assert climbed[-1] <= max(0, min(1, ladder.index(highest) - ladder.index(start)))
    chosen = attempts[step.chosen]
    assert (step.why is EscalationReason.ACCEPTED) == (chosen.valid and chosen.confidence >= threshold)
    assert chosen.valid or not any(attempt.valid for attempt in attempts)
    assert chosen.confidence == max((a.confidence for a in attempts if a.valid), default=chosen.confidence)


def test_results_carry_the_fields_of_the_plan() -> None:
    """Clients find the response fields by their names, as JSON."""
    routing = Routing(
        was_fallback=False,
        confidence=1.0,
        original_tier=FAST,
        routing_time_ms=0.1,
        attempts=2,
        reasons=("invalid", "accepted"),
    )

    sentiment = SentimentResult(
        sentiment="BULLISH",
        confidence=0.9,
        valid=True,
        model_used="m",
        tier=FAST,
        latency_ms=200.0,
        routing=routing,
    )
    chat = ChatResult(
        response="Hallo",
        model="m",
        confidence=0.6,
        valid=True,
        model_used="m",
        tier=FAST,
        latency_ms=200.0,
        routing=routing,
    )

    document = json.loads(json.dumps(asdict(sentiment)))
    assert document["sentiment"] == "BULLISH"
    assert {"confidence", "model_used", "tier", "latency_ms", "routing"} <= document.keys()
    assert document["routing"]["was_fallback"] is False
    assert document["routing"]["reasons"] == ["invalid", "accepted"]
    assert {"response", "model", "tier", "latency_ms", "routing"} <= asdict(chat).keys()
