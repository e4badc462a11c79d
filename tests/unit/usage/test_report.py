"""Reports: groups that add up to the whole, steps, and the period before."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome
from neuronode_router.usage.periods import (
    DAY,
    HOUR,
    HOURS_KEPT,
    MINUTE,
    MINUTES_KEPT,
    TimeSpan,
    aligned,
    before,
    meeting,
    resolution,
)
from neuronode_router.usage.report import GROUPINGS, report
from neuronode_router.usage.store import Rows
from tests.support.usage import NOW, finished, requests

SPAN = TimeSpan(int(NOW) - DAY, int(NOW) + MINUTE)


def rows_of(*found: FinishedRequest) -> Rows:
    buffer, rows = UsageBuffer(), {}
    for one in found:
        buffer.count(one)
    while (batch := buffer.take()) is not None:
        rows |= batch.rows
    return rows


@given(
    st.lists(requests, max_size=30),
    st.lists(st.sampled_from(list(GROUPINGS)), unique=True, max_size=3),
    st.sampled_from([None, MINUTE, HOUR, DAY]),
)
def test_groups_add_up_to_the_total(found: list[FinishedRequest], by: list[str], step: int | None) -> None:
    """However it is grouped and stepped, every request is in exactly one line."""
    result = report(rows_of(*found), {}, span=SPAN, earlier=SPAN.before, by=tuple(by), step=step)

    assert sum(line.figures.sums.requests for line in result.lines) == len(found)
    assert sum(line.figures.sums.cost_nano for line in result.lines) == result.total.sums.cost_nano
    assert sum(line.figures.errors for line in result.lines) == result.total.errors
    assert len({(line.start, line.names) for line in result.lines}) == len(result.lines)


def test_rates_and_counts_of_a_group() -> None:
    """Errors are neither cached answers nor clients that left; a fallback is another group than the chosen one."""
    rows = rows_of(
        finished(),
        finished(served_group="rescue"),
        finished(outcome=RequestOutcome.CACHED, cost=0.0),
        finished(outcome=RequestOutcome.CANCELLED),
        finished(outcome=RequestOutcome.RATE_LIMIT, cost=None),
    )

    figures = report(rows, {}, span=SPAN, earlier=SPAN.before, by=("profile",)).lines[0].figures

    assert (figures.sums.requests, figures.errors, figures.cached, figures.cancelled) == (5, 1, 1, 1)
    assert (figures.error_rate, figures.fallback_rate) == (0.2, 0.2)
    assert figures.outcomes[RequestOutcome.RATE_LIMIT] == 1


def test_a_group_stands_beside_itself_before() -> None:
    """Without steps each line shows the period before, empty where there was nothing."""
    result = report(
        rows_of(finished(), finished(team="b")),
        rows_of(finished(at=NOW - DAY), finished(at=NOW - DAY), finished(at=NOW - DAY, team="c")),
        span=SPAN,
        earlier=SPAN.before,
        by=("team",),
    )

    found = {line.names: line.before.sums.requests for line in result.lines if line.before is not None}
    assert found == {("a",): 2, ("b",): 0}
    assert result.total_before.sums.requests == 3


def test_a_series_is_in_order_of_time() -> None:
    """With steps there are lines per step, and no period before."""
    rows = rows_of(finished(at=NOW), finished(at=NOW - HOUR), finished(at=NOW - HOUR + 1))

    lines = report(rows, {}, span=SPAN, earlier=SPAN.before, by=("profile",), step=HOUR).lines

    assert [line.figures.sums.requests for line in lines] == [2, 1]
    assert [line.start for line in lines] == sorted(line.start or 0 for line in lines)
    assert {line.before for line in lines} == {None}


@given(st.floats(0, 400 * DAY), st.floats(1, 40 * DAY))
def test_the_period_before_is_as_long_as_can_be_told(age: float, length: float) -> None:
    """It ends where the span begins, and is too long or too short by half of what is told apart there at most."""
    span = aligned(NOW - age, NOW - age + length, now=NOW)

    earlier = before(span, now=NOW)

    step = resolution(span.before.since, now=NOW)
    wrong = abs((earlier.until - earlier.since) - (span.until - span.since))
    assert earlier.since < earlier.until == span.since
    assert earlier.since % step == 0
    assert wrong <= step / 2 or earlier.until - earlier.since <= step


@given(st.lists(st.integers(0, 400 * DAY // MINUTE), min_size=3, max_size=6, unique=True))
def test_periods_that_follow_each_other_share_nothing(ages: list[int]) -> None:
    """Reports of months add up in every time zone: where one ends the next begins, half of what is told apart away."""
    asked = [int(NOW) - age * MINUTE for age in sorted(ages, reverse=True)]
    steps = [resolution(at, now=NOW) for at in asked]
    spans = [meeting(since, until, now=NOW) for since, until in pairwise(asked)]
    long = [b - a >= max(x, y) for (a, b), (x, y) in zip(pairwise(asked), pairwise(steps), strict=True)]

    for span, (since, until), (first, last) in zip(spans, pairwise(asked), pairwise(steps), strict=True):
        assert span.since < span.until
        assert span.since % first == 0
        assert span.until % last == 0
        assert abs(span.since - since) <= first
        assert abs(span.until - until) <= last
    for (one, other), both_long in zip(pairwise(spans), map(all, pairwise(long)), strict=True):
        assert one.until == other.since or not both_long


@given(st.floats(0, 400 * DAY), st.floats(1, 40 * DAY))
def test_a_span_covers_what_was_asked_and_whole_periods(age: float, length: float) -> None:
    """The span is widened, never narrowed, to what is told apart at its ends."""
    since, until = NOW - age, NOW - age + length

    span = aligned(since, until, now=NOW)

    assert span.since <= since
    assert span.until >= until
    if age > HOURS_KEPT:
        assert span.since % DAY == 0
    elif age > MINUTES_KEPT:
        assert span.since % HOUR == 0
    assert span.before.until == span.since
    assert span.before.days == span.days
