"""What learning changed: sums with their intervals, and nothing where nothing can be known."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.auto.diverted import LEAST_OUTCOMES, DivertedCounts, DivertedOf, report
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import NOTHING_SEEN, OutcomeCounts, RequestKind, Sufficiency

SUMMARY, CODE = RequestKind("balanced", "summary"), RequestKind("balanced", "code")
DOWN, DOWN_CODE = (DivertedOf(kind, Step.LEARNED, Tier.MEDIUM, Tier.FAST) for kind in (SUMMARY, CODE))
MANY = 10_000.0


def counts_of(saved: list[float], unpriced: int = 0) -> DivertedCounts:
    """Return what is counted of requests that saved so much each, and of some whose prices nobody knows."""
    total = DivertedCounts(unpriced)
    for usd in saved:
        total = total.plus(DivertedCounts(1, 1, usd, usd * usd))
    return total


def known(**bad: tuple[float, float]) -> Sufficiency:
    """Return outcomes: by kind the shares that were not good on the medium tier and on the fast one, of many."""
    counts = {}
    for label, shares in bad.items():
        for tier, share in zip((Tier.MEDIUM, Tier.FAST), shares, strict=True):
            kind = RequestKind("balanced", label)
            counts[kind, tier] = OutcomeCounts(MANY * (1 - share), MANY * share, MANY * 0.8)
    return Sufficiency(counts)


def test_nothing_changed_without_moved_requests() -> None:
    """And of those without prices and outcomes only the number is known."""
    assert report({}, known(summary=(0.1, 0.2))) == []
    (line,) = report({DOWN: counts_of([], unpriced=7)}, NOTHING_SEEN)
    assert (line.requests, line.saved_usd, line.failures) == (7, None, None)
    (line,) = report({DOWN: counts_of([0.1])}, NOTHING_SEEN)
    assert (line.requests, line.saved_usd) == (1, None)


def test_kinds_are_added_up_and_ways_kept_apart() -> None:
    """Money is counted; of failures only those kinds count that were seen on both tiers."""
    tried = DivertedOf(SUMMARY, Step.TRIED, Tier.MEDIUM, Tier.FAST)
    up = DivertedOf(SUMMARY, Step.LEARNED, Tier.MEDIUM, Tier.COMPLEX)
    diverted = {
        DOWN: counts_of([0.01] * 30, unpriced=10),
        DOWN_CODE: counts_of([0.03] * 20),
        tried: counts_of([0.01] * 2),
        up: counts_of([-0.5, -0.7]),
    }

    lines = {(line.step, line.tier): line for line in report(diverted, known(summary=(0.1, 0.3)))}

    down = lines[Step.LEARNED, Tier.FAST]
    assert (down.requests, down.instead, len(lines)) == (60, Tier.MEDIUM, 3)
    assert down.saved_usd is not None
    assert (down.saved_usd.value, down.saved_usd.requests) == (pytest.approx(0.9), 50)
    assert down.saved_usd.low < 0.9 < down.saved_usd.high
    assert down.failures is not None
    assert (down.failures.value, down.failures.requests) == (pytest.approx(40 * 0.2, rel=0.01), 40)
    dearer = lines[Step.LEARNED, Tier.COMPLEX]
    assert dearer.saved_usd is not None
    assert dearer.saved_usd.value == pytest.approx(-1.2)
    assert dearer.failures is None


def test_too_few_outcomes_say_nothing() -> None:
    """On either tier."""
    few = OutcomeCounts(LEAST_OUTCOMES - 1, 0, 5)
    seen = {(SUMMARY, Tier.MEDIUM): OutcomeCounts(90, 10, 80), (SUMMARY, Tier.FAST): few}

    assert report({DOWN: counts_of([])}, Sufficiency(seen))[0].failures is None


@given(st.integers(0, 2**32), st.floats(0.0, 0.4))
def test_nearly_all_intervals_hold_the_truth(seed: int, spread: float) -> None:
    """Of sums of 50 requests: the mean that they were drawn from, 50 times, lies within in about 95 of 100."""
    chance = random.Random(seed)
    hits = 0
    for _ in range(100):
        saved = [chance.gauss(0.2, 0.01 + spread) for _ in range(50)]
        (line,) = report({DOWN: counts_of(saved)}, NOTHING_SEEN)
        assert line.saved_usd is not None
        hits += line.saved_usd.low <= 50 * 0.2 <= line.saved_usd.high

    assert hits >= 80
