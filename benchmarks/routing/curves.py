"""Cost-quality figures of a way to route: its curve, APGR, and both against the random mix.

It must not know who routes. Outcomes are arrays of what the small and the large deployment solved, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COST_SMALL, COST_LARGE = 1.0, 10.0
"""The plan's cost factors of the 8B and the 70B deployment."""
SAMPLES = 1000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What both deployments solved, item by item."""

    small: Floats
    large: Floats

    def __len__(self) -> int:
        return len(self.small)

    def take(self, rows: npt.NDArray[np.int64]) -> Outcomes:
        """Return some items."""
        return Outcomes(self.small[rows], self.large[rows])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def recovered(score: Floats, outcomes: Outcomes) -> Floats:
    """Return the share of the gap between small and large that is closed with 0, 1, ... n items at the large one.

    The highest scores go there first; items that score alike go in random order, in expectation.
    """
    gain = outcomes.large - outcomes.small
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=gain) / size
    ordered = mean[np.sort(place)[::-1]]
    closed: Floats = np.concatenate([[0.0], np.cumsum(ordered)]) / gain.sum()
    return closed


def apgr(score: Floats, outcomes: Outcomes) -> float:
    """Return the average performance gap recovered over all shares of the large deployment: random has 0.5."""
    curve = recovered(score, outcomes)
    return float(((curve[1:] + curve[:-1]) / 2).mean())


def below_random(score: Floats, outcomes: Outcomes) -> float:
    """Return the most that the curve falls below the random mix at a tenth, two tenths ... of items; 0 if never."""
    curve = recovered(score, outcomes)
    shares = np.linspace(0.1, 0.9, 9)
    return float(max(0.0, (shares - curve[(shares * len(outcomes)).astype(int)]).max()))


def quality(large: npt.NDArray[np.bool_], outcomes: Outcomes) -> float:
    """Return the share of items solved when those marked go to the large deployment."""
    return float(np.where(large, outcomes.large, outcomes.small).mean())


def over_random(large: npt.NDArray[np.bool_], outcomes: Outcomes) -> float:
    """Return how much more is solved than by a random mix of the same cost."""
    mix = outcomes.small.mean() + large.mean() * (outcomes.large - outcomes.small).mean()
    return float(quality(large, outcomes) - mix)


def cost(large: npt.NDArray[np.bool_]) -> float:
    """Return the mean cost of an item, in units of the small deployment's."""
    return float(COST_SMALL + (COST_LARGE - COST_SMALL) * large.mean())


def interval(figure: Callable[[npt.NDArray[np.int64]], float], items: int) -> Estimate:
    """Return a figure of all items and its interval, resampling items. `figure` is given the numbers of items."""
    random = np.random.default_rng(0)
    found = sorted(figure(random.integers(0, items, items)) for _ in range(SAMPLES))
    return Estimate(figure(np.arange(items)), found[int(0.025 * SAMPLES)], found[int(0.975 * SAMPLES)])
