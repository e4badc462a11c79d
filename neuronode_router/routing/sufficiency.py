"""What outcomes have shown: how much more, or less, often a tier suffices for a kind of request than its text says.

A recalibration in log odds: for each profile, kind and tier the outcomes that were seen are compared with the chances
that were given for the same requests, shrunk towards what all kinds show of the tier, and that towards nothing. It
needs few outcomes, does not mind which requests went to the tier, and keeps requests of a kind apart by their text.

It must not know where outcomes come from or are kept, nor classify.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from neuronode_router.domain.names import TIERS, Tier

SHRINK = 20.0
"""Outcomes at which what they show counts half."""

MOST = 300.0
"""Outcomes of one kind and tier that count, the newest: a model that gets worse or better is known after as many."""

FEW = 40.0
"""Outcomes of the newest `MOST` below which a lighter tier is worth a try."""

_CERTAIN = 1e-3
"""No chance is taken to be nearer to 0 or 1: log odds stay finite."""

Chances = tuple[float, float, float]
"""Of each tier being the right one, from the lightest."""


class RequestKind(NamedTuple):
    """What outcomes are kept apart by."""

    profile: str
    label: str
    """The classifier's task, or the detail of an `other`."""


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Outcomes of requests of one kind that one tier answered, in one span of time or several."""

    good: float = 0.0
    bad: float = 0.0
    expected: float = 0.0
    """The sum of the chances that were given for their being good."""

    @property
    def total(self) -> float:
        """How many there are."""
        return self.good + self.bad

    def plus(self, other: OutcomeCounts, share: float = 1.0) -> OutcomeCounts:
        """Return the sum with a share (0 to 1) of others."""
        return OutcomeCounts(
            self.good + share * other.good,
            self.bad + share * other.bad,
            self.expected + share * other.expected,
        )


def newest(spans: Iterable[OutcomeCounts]) -> OutcomeCounts:
    """Return the newest `MOST` outcomes of `spans`, which come newest first. Never raises."""
    found = OutcomeCounts()
    for span in spans:
        if span.total > 0:
            found = found.plus(span, min(1.0, (MOST - found.total) / span.total))
        if found.total >= MOST:
            break
    return found


class Sufficiency:
    """What is known at one moment. Immutable; looking up costs a few microseconds."""

    def __init__(self, counts: Mapping[tuple[RequestKind, Tier], OutcomeCounts]) -> None:
        self._counts = dict(counts)
        self._of_tier = _by_tier(self._counts)
        self._shifts = {key: self._shift(*key) for key in self._counts}

    def adjusted(self, kind: RequestKind, chances: Sequence[float]) -> Chances:
        """Return the chances of each tier being the right one, by text and outcomes. They add up to 1. Never raises.

        A heavier tier never suffices less often than a lighter one.
        """
        fast, medium, _ = chances
        fast = self._moved(kind, Tier.FAST, fast)
        enough = max(fast, self._moved(kind, Tier.MEDIUM, chances[0] + medium))
        return fast, enough - fast, 1.0 - enough

    def shift(self, kind: RequestKind, tier: Tier) -> float:
        """Return by how much the log odds move that `tier` suffices; 0 where nothing was seen."""
        found = self._shifts.get((kind, tier))
        return self._of_tier.get((kind.profile, tier), 0.0) if found is None else found

    def is_open(self, kind: RequestKind, tier: Tier) -> bool:
        """Return whether too few outcomes were seen to know."""
        counts = self._counts.get((kind, tier))
        return counts is None or counts.total < FEW

    def counts(self) -> Mapping[tuple[RequestKind, Tier], OutcomeCounts]:
        """Return what this rests on."""
        return self._counts

    def _moved(self, kind: RequestKind, tier: Tier, chance: float) -> float:
        shift = self.shift(kind, tier)
        return chance if shift == 0.0 else _chance(_log_odds(chance) + shift)

    def _shift(self, kind: RequestKind, tier: Tier) -> float:
        return _shrunk(self._counts[kind, tier], towards=self._of_tier.get((kind.profile, tier), 0.0))


def lighter(tier: Tier) -> Tier | None:
    """Return the next lighter tier, None below the lightest."""
    place = TIERS.index(tier)
    return TIERS[place - 1] if place else None


def suffices(chances: Sequence[float], tier: Tier) -> float:
    """Return the chance that `tier` suffices: that it, or a lighter one, is the right one."""
    return min(1.0, sum(chances[: TIERS.index(tier) + 1]))


def _by_tier(counts: Mapping[tuple[RequestKind, Tier], OutcomeCounts]) -> dict[tuple[str, Tier], float]:
    sums: dict[tuple[str, Tier], OutcomeCounts] = defaultdict(OutcomeCounts)
    for (kind, tier), found in counts.items():
        sums[kind.profile, tier] = sums[kind.profile, tier].plus(found)
    return {key: _shrunk(found, towards=0.0) for key, found in sums.items()}


def _shrunk(counts: OutcomeCounts, *, towards: float) -> float:
    if not counts.total:
        return towards
    seen = _log_odds((counts.good + 0.5) / (counts.total + 1.0))
    given = _log_odds(counts.expected / counts.total)
    weight = counts.total / (counts.total + SHRINK)
    return weight * (seen - given) + (1.0 - weight) * towards


def _log_odds(chance: float) -> float:
    chance = min(1.0 - _CERTAIN, max(_CERTAIN, chance))
    return math.log(chance / (1.0 - chance))


def _chance(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


NOTHING_SEEN = Sufficiency({})
"""Before any outcome: the text alone decides."""
