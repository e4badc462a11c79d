"""Laws of the confidence sequences: they hold the truth at all times, and grow narrow."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.histogram import bucket_of, open_bucket_of
from neuronode_router.rollouts.confidence import mean_interval, quantile_interval, rate_interval

ALPHA = 0.05


@given(trials=st.integers(0, 100_000), data=st.data())
def test_a_rate_lies_within_its_interval(trials: int, data: st.DataObject) -> None:
    """What was seen is never outside, and the interval stays within 0 and 1."""
    hits = data.draw(st.integers(0, trials))

    found = rate_interval(hits, trials, ALPHA)

    assert 0 <= found.low <= (hits / trials if trials else 1) <= found.high <= 1 or not trials


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 100, 0.0, 0.0721), (10, 100, 0.0235, 0.2487), (100, 100, 0.9279, 1.0)],
)
def test_intervals_of_rates(hits: int, trials: int, low: float, high: float) -> None:
    """Some of them, as they must stay."""
    found = rate_interval(hits, trials, 0.01)

    assert (found.low, found.high) == pytest.approx((low, high), abs=0.0001)


@pytest.mark.parametrize("chance", [0.01, 0.2])
def test_peeking_deceives_nobody(chance: float) -> None:
    """Looked at after every request of 400 series, the share that ever leaves the truth out is within alpha."""
    generator, missed = random.Random(12), 0
    for _ in range(400):
        hits = 0
        for trials in range(1, 150):
            hits += generator.random() < chance
            found = rate_interval(hits, trials, ALPHA)
            if not found.low <= chance <= found.high:
                missed += 1
                break

    assert missed <= 400 * ALPHA


def test_a_quantile_is_bounded_by_edges_of_buckets() -> None:
    """It holds the true quantile of a known distribution, and is narrow after many values."""
    generator = random.Random(7)
    counts = Counter(bucket_of(generator.expovariate(1 / 200)) for _ in range(20_000))

    found = quantile_interval(counts, 0.95, 0.001)

    assert found.low < 200 * math.log(20) < found.high
    assert found.high < 1.3 * found.low


def test_of_few_values_nothing_is_known() -> None:
    """Neither of a quantile nor of a mean."""
    assert quantile_interval({10: 5}, 0.95, 0.001).high == math.inf
    assert mean_interval({10: 99}, 270.0, 0.001).high == math.inf
    assert quantile_interval({}, 0.95, 0.001).low == 0


def test_a_mean_is_held() -> None:
    """At each of many looks at one series, and narrowly in the end."""
    generator, counts, total = random.Random(5), Counter[int](), 0.0
    for number in range(1, 20_001):
        value = generator.lognormvariate(5, 1)
        counts[open_bucket_of(value)] += 1
        total += value
        if number % 500 == 0:
            found = mean_interval(counts, total, 0.001)
            assert found.low <= math.exp(5.5) <= found.high

    assert found.high < 1.2 * found.low


@given(st.lists(st.floats(0, 1e9), min_size=100, max_size=300))
def test_no_mean_is_more_certain_than_its_values(values: list[float]) -> None:
    """Within buckets values vary as well: the interval is as wide as that of the values, or wider."""
    counts = Counter(map(open_bucket_of, values))
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))

    found = mean_interval(counts, math.fsum(values), 0.001)

    assert found.high - mean >= 0.2 * deviation
    assert found.low <= mean
