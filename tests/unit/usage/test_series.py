"""Series: steps without gaps, percentiles of merged histograms, parts that add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.usage.finished import FinishedRequest
from neuronode_router.usage.periods import DAY, HOUR, MINUTE, TimeSpan
from neuronode_router.usage.series import FEW, STEPS, fitting, series
from neuronode_router.usage.sums import Sums
from tests.support.usage import NOW, finished, requests
from tests.unit.usage.test_report import rows_of

SPAN = TimeSpan(int(NOW) - 2 * DAY, int(NOW) + MINUTE)


@given(st.lists(requests, max_size=30), st.sampled_from([HOUR, 6 * HOUR, DAY]))
def test_every_request_is_in_one_step_and_in_one_part(found: list[FinishedRequest], step: int) -> None:
    """However long the steps are, they and the parts of each split add up to the total."""
    result = series(rows_of(*found), span=SPAN, step=step, told_apart=MINUTE, only={})

    assert len(result.steps) == len(result.starts)
    assert sum(each.sums.requests for each in result.steps) == result.total.sums.requests == len(found)
    for parts in result.split.values():
        assert sum(each.sums.requests for steps in parts.values() for each in steps) == len(found)


def test_percentiles_of_a_step_are_those_of_all_its_requests() -> None:
    """Ninety fast requests of one profile and ten slow ones of another: the p95 is slow, no mean of the two p95s."""
    slow, fast = Sums(), Sums()
    found = [finished(latency_ms=100.0)] * 90 + [finished(latency_ms=8000.0, profile="balanced")] * 10
    for one in found:
        (slow if one.key.profile == "balanced" else fast).add(one)

    result = series(rows_of(*found), span=SPAN, step=DAY, told_apart=MINUTE, only={})

    p95 = result.total.sums.latency_ms(0.95)
    assert p95 == slow.latency_ms(0.95)
    assert p95 != fast.latency_ms(0.95)


def test_a_series_is_narrowed_to_names_and_still_knows_the_others() -> None:
    """Filters leave out rows; the names to choose from stay."""
    rows = rows_of(finished(), finished(team="b"), finished(team="b", task="summary"))

    result = series(rows, span=SPAN, step=HOUR, told_apart=MINUTE, only={"team": "b", "task": "chat"})

    assert result.total.sums.requests == 1
    assert result.names["team"] == {"a", "b"}


@given(st.integers(MINUTE, 4000 * DAY), st.sampled_from([MINUTE, HOUR, DAY]))
def test_a_step_is_chosen_that_fits(length: int, told_apart: int) -> None:
    """Never finer than the records, and few enough to be drawn, unless even days are too many."""
    step = fitting(TimeSpan(0, length), told_apart)

    assert step in STEPS
    assert step >= told_apart
    assert length / step <= FEW or step == STEPS[-1]
