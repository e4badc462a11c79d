"""What learning changed: requests that went to another tier than their text alone would have sent them to.

What that saved is counted request by request, at the prices of both groups; what it did to failures is inferred from
how requests of the same kinds turned out on both tiers. It must not know where counts are kept.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import OutcomeCounts, RequestKind, Sufficiency

NORMAL_95 = 1.959964
"""Standard deviations to either side of a mean in which 95 % lie."""

LEAST_OUTCOMES = 10.0
"""Outcomes that a kind must have on both tiers before anything is said of its failures."""


class DivertedOf(NamedTuple):
    """What such requests are counted by."""

    kind: RequestKind
    step: Step
    """`LEARNED` or `TRIED`."""
    instead: Tier
    """What the text alone would have chosen."""
    tier: Tier
    """What answered."""


@dataclass(frozen=True, slots=True)
class DivertedCounts:
    """Answered requests, and what was saved with those whose two prices are known."""

    requests: int = 0
    priced: int = 0
    saved: float = 0.0
    """US dollars; below zero: more was spent."""
    squares: float = 0.0
    """The sum of the squares of what each one saved."""

    def plus(self, other: DivertedCounts) -> DivertedCounts:
        """Return the sum."""
        return DivertedCounts(
            self.requests + other.requests,
            self.priced + other.priced,
            self.saved + other.saved,
            self.squares + other.squares,
        )


@dataclass(frozen=True, slots=True)
class EstimatedSum:
    """A sum over some requests, with its 95 % interval."""

    value: float
    low: float
    high: float
    requests: int
    """Those of which it is known."""


@dataclass(frozen=True, slots=True)
class DivertedLine:
    """What became of the requests of a profile that went from one tier to another for one reason."""

    profile: str
    step: Step
    instead: Tier
    tier: Tier
    requests: int
    saved_usd: EstimatedSum | None
    """None where no two prices are known."""
    failures: EstimatedSum | None
    """By how many more of them were not good; None where too few outcomes of their kinds are known on both tiers."""


Diverted = Mapping[DivertedOf, DivertedCounts]


def report(diverted: Diverted, known: Sufficiency) -> list[DivertedLine]:
    """Return a line for each profile, reason and pair of tiers. Never raises."""
    lines: dict[tuple[str, Step, Tier, Tier], dict[str, DivertedCounts]] = defaultdict(dict)
    for (kind, step, instead, tier), counts in sorted(diverted.items()):
        lines[kind.profile, step, instead, tier][kind.label] = counts
    return [_line(key, by_label, known.counts()) for key, by_label in lines.items()]


def _line(
    key: tuple[str, Step, Tier, Tier],
    by_label: Mapping[str, DivertedCounts],
    outcomes: Mapping[tuple[RequestKind, Tier], OutcomeCounts],
) -> DivertedLine:
    profile, step, instead, tier = key
    total = DivertedCounts()
    more: list[tuple[int, float, float]] = []
    for label, counts in by_label.items():
        total = total.plus(counts)
        kind = RequestKind(profile, label)
        before, after = outcomes.get((kind, instead)), outcomes.get((kind, tier))
        if before and after and min(before.total, after.total) >= LEAST_OUTCOMES:
            more.append((counts.requests, *_difference(before, after)))
    return DivertedLine(
        profile, step, instead, tier, total.requests, saved_usd=_saved(total), failures=_failures(more)
    )


def _saved(total: DivertedCounts) -> EstimatedSum | None:
    """Return what was saved; how far single requests scatter says how sure the sum is."""
    if total.priced < 2:
        return None
    mean = total.saved / total.priced
    variance = max(0.0, total.squares - total.priced * mean * mean) / (total.priced - 1)
    return _estimate(total.saved, total.priced * variance, total.priced)


def _failures(more: Sequence[tuple[int, float, float]]) -> EstimatedSum | None:
    """Return the sum over kinds, of each of which so many requests were diverted."""
    if not more:
        return None
    value = sum(requests * difference for requests, difference, _ in more)
    variance = sum(requests**2 * variance for requests, _, variance in more)
    return _estimate(value, variance, sum(requests for requests, _, _ in more))


def _difference(before: OutcomeCounts, after: OutcomeCounts) -> tuple[float, float]:
    """Return by how much more often answers were not good, and the variance of that: Beta counts, Jeffreys' prior."""
    (bad_before, one), (bad_after, other) = _bad(before), _bad(after)
    return bad_after - bad_before, one + other


def _bad(counts: OutcomeCounts) -> tuple[float, float]:
    share = (counts.bad + 0.5) / (counts.total + 1.0)
    return share, share * (1.0 - share) / (counts.total + 2.0)


def _estimate(value: float, variance: float, requests: int) -> EstimatedSum:
    half = NORMAL_95 * math.sqrt(variance)
    return EstimatedSum(value, value - half, value + half, requests)
