"""Sums add up: in any order, in any grouping, to what the requests say one by one."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.usage.finished import FinishedRequest, RequestOutcome
from neuronode_router.usage.sums import NANO, Sums
from tests.support.usage import finished, requests


def summed(found: list[FinishedRequest]) -> Sums:
    total = Sums()
    for one in found:
        total.add(one)
    return total


@given(st.lists(requests), st.lists(requests), st.lists(requests))
def test_merging_is_adding(
    first: list[FinishedRequest], second: list[FinishedRequest], third: list[FinishedRequest]
) -> None:
    """Sums of parts merge to the sum of the whole, whatever is merged first."""
    left = summed(first)
    left.merge(summed(second))
    left.merge(summed(third))
    inner = summed(third)
    inner.merge(summed(second))
    inner.merge(summed(first))

    assert left == inner == summed([*first, *second, *third])


@given(requests)
def test_nothing_changes_nothing(one: FinishedRequest) -> None:
    """The empty sums are neutral."""
    sums = summed([one])
    before = deepcopy(sums)

    sums.merge(Sums())

    assert sums == before


@given(st.lists(requests, max_size=50))
def test_dollars_are_exact_to_half_a_billionth_each(found: list[FinishedRequest]) -> None:
    """What is shown differs from LiteLLM's own sum by rounding only."""
    total = summed(found)

    spent = sum(one.cost for one in found if one.cost is not None)
    assert abs(total.cost_nano / NANO - spent) <= len(found) * 0.6e-9


def test_no_price_is_not_zero() -> None:
    """A request without a price is counted as unpriced, a free one as priced; a failure is neither."""
    unpriced = summed([finished(cost=None)])
    free = summed([finished(cost=0.0)])
    failed = summed([finished(cost=None, outcome=RequestOutcome.TIMEOUT)])

    assert (unpriced.cost, unpriced.unpriced) == (None, 1)
    assert (free.cost, free.unpriced) == (0.0, 0)
    assert (failed.cost, failed.unpriced) == (None, 0)


def test_a_fallback_is_from_a_group_that_was_chosen_to_another() -> None:
    """Where none was chosen, or none answered, nothing was fallen back from or to."""
    pairs = [("chat", "spare"), ("chat", "chat"), ("", "chat"), ("chat", ""), ("", "")]

    found = [summed([finished(chosen_group=chosen, served_group=served)]) for chosen, served in pairs]

    assert [sums.fallbacks for sums in found] == [1, 0, 0, 0, 0]


def test_no_cost_is_too_high_to_be_told_from_others() -> None:
    """Single costs are counted while a rollout compares them, each apart from a tenth more, up to the highest."""
    sums = summed([finished(arm="canary", cost=usd) for usd in (0.0, 4.0, 5.0, 50.0, 10_000.0)])
    aside = summed([finished(cost=5.0)])

    assert [*sums.cost_micro.values()] == [1] * 5
    assert not aside.cost_micro


def test_times_are_told_within_five_percent() -> None:
    """Quantiles of the latency and of the first token come from what was added."""
    sums = summed([finished(latency_ms=ms, first_token_ms=ms / 10) for ms in (100.0, 200.0, 1000.0)])

    assert abs((sums.latency_ms(0.5) or 0) / 200 - 1) < 0.05
    assert abs((sums.first_token_ms(0.95) or 0) / 100 - 1) < 0.05
    assert Sums().latency_ms(0.5) is None
