"""The figures of cost against quality, on outcomes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.routing import curves
from benchmarks.routing.curves import Outcomes

ITEMS = 100
OUTCOMES = Outcomes(np.repeat([0.0, 1.0], ITEMS // 2), np.ones(ITEMS))
"""The small one fails the first half, the large one nothing."""
WORTH = OUTCOMES.large - OUTCOMES.small


def test_a_score_that_tells_nothing_is_the_random_mix() -> None:
    """Items that score alike go in random order, so the curve is the diagonal, exactly."""
    score = np.zeros(ITEMS)

    assert curves.apgr(score, OUTCOMES) == pytest.approx(0.5)
    assert curves.below_random(score, OUTCOMES) == pytest.approx(0.0)


def test_who_knows_the_answers_closes_the_gap_at_half_the_cost() -> None:
    """The best order recovers everything with half of the items: three quarters on average; the worst a quarter."""
    assert curves.apgr(WORTH, OUTCOMES) == pytest.approx(0.75)
    assert curves.apgr(-WORTH, OUTCOMES) == pytest.approx(0.25)
    assert curves.below_random(-WORTH, OUTCOMES) == pytest.approx(0.5)


def test_a_decision_is_compared_with_a_mix_of_its_own_cost() -> None:
    """All at one deployment gains nothing over such a mix; the right half gains half of what there is."""
    everything, right = np.ones(ITEMS, dtype=bool), WORTH > 0

    assert (curves.over_random(everything, OUTCOMES), curves.over_random(~everything, OUTCOMES)) == (0.0, 0.0)
    assert (curves.quality(right, OUTCOMES), curves.over_random(right, OUTCOMES)) == (1.0, 0.25)
    assert (curves.cost(everything), curves.cost(right)) == (10.0, 5.5)


def test_an_interval_holds_its_value_and_narrows_with_items() -> None:
    """Resampling four times as many items halves the interval."""

    def width(items: int) -> float:
        values = np.tile([0.0, 1.0], items // 2)
        found = curves.interval(lambda rows: float(values[rows].mean()), items)
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width(400) == pytest.approx(width(100) / 2, rel=0.25)
