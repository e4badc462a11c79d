"""Laws of the histogram: merging, and how far a quantile may be off."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.histogram import BUCKETS, GROWTH, RELATIVE_ERROR, Histogram, bucket_of, open_bucket_of

milliseconds = st.floats(1, GROWTH**BUCKETS, exclude_max=True)


def of(values: list[float]) -> Histogram:
    return Histogram(Counter(map(bucket_of, values)))


@given(st.lists(milliseconds, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_a_quantile_is_right_within_the_stated_error(values: list[float], share: float) -> None:
    """Every quantile is within 5 % of the value of nearest rank."""
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]

    estimate = of(values).quantile(share)

    assert estimate is not None
    assert abs(estimate - exact) <= RELATIVE_ERROR * exact


@given(st.lists(milliseconds, min_size=1), st.lists(milliseconds, min_size=1))
def test_merging_loses_nothing(left: list[float], right: list[float]) -> None:
    """The counts of all values are the sum of the parts' counts."""
    assert of(left + right).counts == Counter(of(left).counts) + Counter(of(right).counts)


@pytest.mark.parametrize(("value", "bucket"), [(-5.0, 0), (0.0, 0), (0.3, 0), (1e300, BUCKETS - 1)])
def test_values_out_of_range_go_to_the_outer_buckets(value: float, bucket: int) -> None:
    """Nothing finite is refused or makes another bucket."""
    assert bucket_of(value) == bucket


@given(st.floats(0, 1e300))
def test_where_no_bucket_is_the_last_the_others_are_the_same(value: float) -> None:
    """And what lies beyond has buckets of its own, as wide as the others."""
    found = open_bucket_of(value)

    assert bucket_of(value) == min(found, BUCKETS - 1)
    assert GROWTH**found / 1.001 <= max(1.0, value) <= GROWTH ** (found + 1) * 1.001


def test_an_empty_histogram_has_no_quantile() -> None:
    """Without samples there is no figure, not a zero."""
    assert Histogram().quantile(0.5) is None
