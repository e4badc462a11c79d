"""Requests are chosen by a keyed hash; sums of pairs add up in any order; estimates have their intervals."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.shadows import Shadow, shadow_from_text, shadow_text
from neuronode_router.shadows.pairs import AnswerFacts, Pair, PairSums, Skip, is_chosen
from neuronode_router.shadows.report import (
    ShadowEstimate,
    ShadowFinding,
    by_task,
    cost_ratio,
    finding,
    findings,
    headline,
    in_percent,
    share,
)
from neuronode_router.tasks.agreement import ComparedBy


def shadow(share_of: int, salt: str = "ab" * 16) -> Shadow:
    """Return a comparison of this share."""
    return Shadow("s-1", "cheap", salt, share=share_of, until=9e9, budget_usd=5, concurrency=2)


@given(
    tasks=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    judge=st.none() | st.text(max_size=8),
    until=st.floats(0, 9e9),
)
def test_a_comparison_is_read_as_it_was_written(
    tasks: tuple[str, ...], judge: str | None, until: float
) -> None:
    """Every field, as JSON."""
    made = Shadow("s", "p", "ab", 5, until, 1.5, 3, tasks, judge, sample_text=True)

    assert shadow_from_text(shadow_text(made)) == made
    assert shadow_from_text(None) is shadow_from_text("") is None


@given(call_id=st.text(max_size=40), one=st.integers(0, 1000), more=st.integers(0, 1000))
def test_who_is_chosen_stays_chosen_as_the_share_grows(call_id: str, one: int, more: int) -> None:
    """The same in every worker, and for the whole always, for nothing never."""
    low, high = sorted((one, more))

    assert is_chosen(shadow(low), call_id) == is_chosen(shadow(low), call_id)
    assert is_chosen(shadow(low), call_id) <= is_chosen(shadow(high), call_id)
    assert not is_chosen(shadow(0), call_id)
    assert is_chosen(shadow(1000), call_id)


@pytest.mark.parametrize("thousandths", [10, 100, 500])
def test_about_as_many_are_chosen_as_were_ordered(thousandths: int) -> None:
    """Others under another salt, so that no client can choose an id that is chosen."""
    ids = [f"call-{number}" for number in range(20_000)]

    chosen = {name for name in ids if is_chosen(shadow(thousandths), name)}
    others = {name for name in ids if is_chosen(shadow(thousandths, "cd" * 16), name)}

    assert abs(len(chosen) - 20 * thousandths) < 5 * (20 * thousandths) ** 0.5
    assert chosen != others


_MONEY = st.none() | st.floats(0, 10)
_TIMES = st.none() | st.floats(0, 1e6)
_FACTS = st.builds(
    AnswerFacts,
    latency_ms=_TIMES,
    first_token_ms=_TIMES,
    cost_usd=_MONEY,
    length=st.integers(0, 10_000),
    refused=st.booleans(),
    formed=st.none() | st.booleans(),
)
_PAIRS = st.builds(
    Pair,
    client=_FACTS,
    other=_FACTS,
    agrees=st.none() | st.tuples(st.sampled_from(ComparedBy), st.booleans()),
    judged=st.none() | st.booleans(),
    judge_failed=st.booleans(),
)
_EVENTS = st.lists(_PAIRS | st.sampled_from(Skip) | st.sampled_from(["timeout", "unavailable"]), max_size=8)


def summed(events: list[Any]) -> PairSums:
    """Return the sums of what happened."""
    sums = PairSums()
    for event in events:
        if isinstance(event, Pair):
            sums.add(event)
        elif isinstance(event, Skip):
            sums.skip(event)
        else:
            sums.fail(event)
    return sums


def said(sums: PairSums) -> str:
    """Return sums in the form in which they are kept."""
    return sums.to_text()


@given(one=_EVENTS, two=_EVENTS, three=_EVENTS, order=st.randoms(use_true_random=False))
def test_sums_add_up_in_any_order(one: Any, two: Any, three: Any, order: random.Random) -> None:
    """Exactly, through the form in which they are kept, and the same as all at once."""
    parts = [said(summed(part)) for part in (one, two, three)]
    order.shuffle(parts)
    total = PairSums()
    for part in parts:
        total.merge(PairSums.from_text(part))

    assert said(total) == said(summed([*one, *two, *three]))


@given(events=_EVENTS)
def test_every_chosen_request_is_told_once(events: Any) -> None:
    """As answered, as an error or with the reason why it was not asked; shares are shares."""
    found = finding("chat", summed(events))

    asked = found.answered + sum(found.failed.values())
    assert found.sampled == len(events) == asked + sum(found.skipped.values())
    assert found.answers.samples == asked
    for estimate in (found.answers, found.agreement, found.judged, found.forms.client, found.refusals.other):
        if estimate.value is not None:
            assert 0 <= (estimate.low or 0) <= estimate.value <= (estimate.high or 0) <= 1


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (971, 1000, 0.9587, 0.9797)],
)
def test_shares_have_wilsons_interval(hits: int, trials: int, low: float, high: float) -> None:
    """As tables have it; of nothing nothing is said."""
    found = share(hits, trials)

    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert share(0, 0) == ShadowEstimate()


def priced(pairs: list[tuple[float, float]]) -> PairSums:
    """Return the sums of pairs that cost this."""
    return summed([Pair(AnswerFacts(cost_usd=one), AnswerFacts(cost_usd=two)) for one, two in pairs])


def test_the_ratio_of_costs_covers_the_truth() -> None:
    """In about 95 of 100 samples; where both move together it is narrow, and a constant ratio is certain."""
    chance = random.Random(12)
    covered = 0
    for _ in range(400):
        client = [chance.uniform(0.5, 1.5) for _ in range(80)]
        found = cost_ratio(priced([(each, each * chance.uniform(0.1, 0.5)) for each in client]))
        covered += (found.low or 0) <= 0.3 <= (found.high or 0)
    exact = cost_ratio(priced([(0.1, 0.04), (0.3, 0.12), (0.7, 0.28)]))

    assert 0.92 <= covered / 400 <= 0.98
    assert (exact.value, exact.low, exact.high) == (pytest.approx(0.4),) * 3


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], ShadowEstimate()),
        ([(0.2, 0.1)], ShadowEstimate(0.5, samples=1)),
        ([(0.0, 0.1), (0.0, 0.2)], ShadowEstimate(samples=2)),
    ],
)
def test_of_too_little_no_ratio_is_told(pairs: list[tuple[float, float]], expected: ShadowEstimate) -> None:
    """No interval of one pair; no ratio to what costs nothing."""
    assert cost_ratio(priced(pairs)) == expected


def test_a_finding_is_one_sentence() -> None:
    """What could be compared, what the judge says, and the cost, each with its interval."""
    alike = Pair(
        AnswerFacts(cost_usd=0.01), AnswerFacts(cost_usd=0.004), (ComparedBy.SHORT, True), judged=True
    )
    unlike = Pair(AnswerFacts(cost_usd=0.01), AnswerFacts(cost_usd=0.004), (ComparedBy.SHORT, False))

    told = headline("cheap", finding("chat", summed([alike] * 97 + [unlike] * 3)))

    assert told == (
        "cheap would have agreed in 97.0 % [91.5, 99.0] of 100 comparable answers "
        "and have done by the judge's word in 100.0 % [96.2, 100.0] and have cost 40.0 % [40.0, 40.0]."
    )


def test_nothing_is_made_of_nothing() -> None:
    """Without answers, and without anything to compare them by."""
    bare = finding("", summed([Pair(AnswerFacts(), AnswerFacts())]))

    assert "nothing of it could be compared" in headline("cheap", bare)
    assert "answered nothing yet" in headline("cheap", finding("", PairSums()))
    assert (in_percent(ShadowEstimate()), in_percent(ShadowEstimate(0.5))) == ("-", "50.0 %")


def test_tasks_stand_beside_all_together() -> None:
    """Whichever profile answered the clients."""
    one, two = summed([Skip.QUEUE]), summed([Skip.QUEUE, "timeout"])

    found = findings(by_task([(("a", "chat"), one), (("b", "chat"), two), (("a", "summary"), two)]))

    assert [(each.task, each.sampled) for each in found] == [("", 5), ("chat", 3), ("summary", 2)]
    assert isinstance(found[0], ShadowFinding)


def test_what_the_other_profile_would_have_refused() -> None:
    """Is told apart from what was left out for other reasons."""
    found = finding("", summed([Skip.RESIDENCY, Skip.WINDOW, Skip.ACCESS, Skip.QUEUE, Skip.SAME_GROUP]))

    assert (found.refused_by_gate, found.same_group, found.sampled) == (3, 1, 5)
