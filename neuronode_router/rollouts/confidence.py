"""Confidence sequences: intervals that hold at all times at once, so that looking again and again deceives nobody.

An interval at one moment covers the truth with 1 - alpha at that moment only; who looks until it does not will see it
fail. These cover it at every moment together with 1 - alpha. They must not know what was counted.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from neuronode_router.histogram import BUCKETS, GROWTH

BISECTIONS = 20
"""Halvings: a rate is then right to a millionth."""

LOG_BETA_OF_HALVES = math.log(math.pi)
"""The logarithm of the beta function at 1/2 and 1/2."""

MEAN_SAMPLES = 100
"""Below so many values nothing is said of a mean: its interval rests on a central limit."""

TIGHT_AT = 1000
"""The number of values at which the interval of a mean is about as narrow as it can be."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the truth lies. `high` is infinite where nothing bounds it."""

    low: float
    high: float


def rate_interval(hits: int, trials: int, alpha: float) -> Interval:
    """Return where the chance of a hit lies. Never raises for 0 <= hits <= trials.

    The mixture martingale of Robbins (1970) for a Bernoulli chance with Jeffreys' prior, Beta(1/2, 1/2): by Ville's
    inequality it exceeds 1/alpha at any time with a chance of at most alpha. See Howard, Ramdas, McAuliffe and Sekhon,
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49(2), 2021; it is what
    mSPRT is to a test (Johari, Koomen, Pekelis and Walsh, "Always valid inference", Operations Research 70(3), 2022).
    """
    if not trials:
        return Interval(0.0, 1.0)
    refuted = partial(_refuted, hits, trials, limit=_log_mixture(hits, trials) + math.log(alpha))
    seen = hits / trials
    low = _edge(0.0, seen, refuted) if hits else 0.0
    high = _edge(1.0, seen, refuted) if hits < trials else 1.0
    return Interval(low, high)


def quantile_interval(counts: Mapping[int, int], share: float, alpha: float) -> Interval:
    """Return where the value lies that a `share` of all values do not exceed; `counts` are buckets of `histogram`.

    A value is refuted as the quantile where the interval of the chance to stay below it leaves out `share` (Howard and
    Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification",
    Bernoulli 28(3), 2022). Only the edges of buckets are looked at, which widens it.
    """
    buckets = sorted(counts)
    upto = list(accumulate((counts[bucket] for bucket in buckets), initial=0))
    trials = upto[-1]
    seen = bisect_left(upto, share * trials)  # from there on as many as the share are below

    def refuted(place: int) -> bool:
        limit = _log_mixture(upto[place], trials) + math.log(alpha)
        return _refuted(upto[place], trials, share, limit=limit)

    first = next((buckets[place] for place in range(seen - 1, -1, -1) if refuted(place)), 0)
    last = next(
        (
            buckets[place - 1]
            for place in range(seen, len(upto))
            if upto[place] > share * trials and refuted(place)
        ),
        BUCKETS - 1,
    )
    # The first bucket begins, and the last one ends, nowhere.
    return Interval(GROWTH**first if first else 0.0, GROWTH ** (last + 1) if last < BUCKETS - 1 else math.inf)


def mean_interval(counts: Mapping[int, int], total: float, alpha: float) -> Interval:
    """Return where the mean of values lies that make up `total`; `counts` are their buckets, none of them the last.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 52(6), 2024: it needs no bound of the values, and
    many of them. Of their variance it takes the most that there can be within the buckets.
    """
    trials = sum(counts.values())
    if trials < MEAN_SAMPLES:
        return Interval(0.0, math.inf)
    mean = total / trials
    variance = sum(_farthest(mean, bucket) ** 2 * count for bucket, count in counts.items()) / trials
    tuned = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / TIGHT_AT
    grown = trials * tuned + 1
    width = math.sqrt(variance * 2 * grown / (trials * trials * tuned) * math.log(math.sqrt(grown) / alpha))
    return Interval(max(0.0, mean - width), mean + width)


def _farthest(mean: float, bucket: int) -> float:
    """Return how far from the mean a value of a bucket may be."""
    low = GROWTH**bucket if bucket else 0.0
    return max(mean - low, GROWTH ** (bucket + 1) - mean)


def _log_mixture(hits: int, trials: int) -> float:
    """Return the logarithm of the likelihood under the prior."""
    return (
        math.lgamma(hits + 0.5)
        + math.lgamma(trials - hits + 0.5)
        - math.lgamma(trials + 1.0)
        - LOG_BETA_OF_HALVES
    )


def _refuted(hits: int, trials: int, chance: float, *, limit: float) -> bool:
    """Return whether the log likelihood of a chance, between 0 and 1, is as low as the limit."""
    likelihood = hits * math.log(chance) if hits else 0.0
    if hits < trials:
        likelihood += (trials - hits) * math.log1p(-chance)
    return likelihood <= limit


def _edge(refuted_end: float, kept_end: float, refuted: Callable[[float], bool]) -> float:
    """Return where refuted chances end, on their side: beyond it nothing is refuted."""
    out, kept = refuted_end, kept_end
    for _ in range(BISECTIONS):
        middle = (out + kept) / 2
        if refuted(middle):
            out = middle
        else:
            kept = middle
    return out
