"""What outcomes have shown: how much more, or less, often a tier suffices for a kind of request than its text says.

A recalibration in log odds: for each profile, kind and tier the outcomes that were seen are compared with the chances
that were given for the same requests, shrunk towards what all kinds show of the tier, and that towards nothing. It
needs few outcomes, does not mind which requests went to the tier, and keeps requests of a kind apart by their text.

Verdicts (of people, of the judge) say whether an answer was good. Hints (its form, what was asked next) say only where
it was not: log odds near 1 are steep, so that many right forms would otherwise promise much. They lower a tier and
never raise it, and only for the kind they were seen of.

It must not know where outcomes come from or are kept, nor classify.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from neuronode_router.domain.names import TIERS, Tier

SHRINK = 20.0
"""Outcomes at which what they show counts half."""

MOST = 300.0
"""Outcomes of one kind and tier that count, the newest: a model that gets worse or better is known after as many."""

FEW = 40.0
"""Verdicts below which a lighter tier is worth a try, as long as there are not `MOST` hints either."""

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


NONE = OutcomeCounts()

Counted = Mapping[tuple[RequestKind, Tier], OutcomeCounts]


def newest(spans: Iterable[OutcomeCounts]) -> OutcomeCounts:
    """Return the newest `MOST` outcomes of `spans`, which come newest first. Never raises."""
    found = NONE
    for span in spans:
        if span.total > 0:
            found = found.plus(span, min(1.0, (MOST - found.total) / span.total))
        if found.total >= MOST:
            break
    return found


class Sufficiency:
    """What is known at one moment. Immutable; looking up costs a few microseconds."""

    def __init__(self, verdicts: Counted, hints: Counted = MappingProxyType({})) -> None:
        self._verdicts, self._hints = dict(verdicts), dict(hints)
        self._of_tier = _by_tier(self._verdicts)
        self._shifts = {key: self._shift(key) for key in self._verdicts.keys() | self._hints.keys()}

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
        key = (kind, tier)
        return self._verdicts.get(key, NONE).total < FEW and self._hints.get(key, NONE).total < MOST

    def counts(self) -> Counted:
        """Return what this rests on, verdicts and hints together."""
        return {
            key: self._verdicts.get(key, NONE).plus(self._hints.get(key, NONE))
            for key in self._verdicts.keys() | self._hints.keys()
        }

    def _moved(self, kind: RequestKind, tier: Tier, chance: float) -> float:
        shift = self.shift(kind, tier)
        return chance if shift == 0.0 else _chance(_log_odds(chance) + shift)

    def _shift(self, key: tuple[RequestKind, Tier]) -> float:
        kind, tier = key
        of_tier = self._of_tier.get((kind.profile, tier), 0.0)
        by_verdicts = _shrunk(self._verdicts.get(key, NONE), towards=of_tier)
        return by_verdicts + min(0.0, _shrunk(self._hints.get(key, NONE), towards=0.0))


def lighter(tier: Tier) -> Tier | None:
    """Return the next lighter tier, None below the lightest."""
    place = TIERS.index(tier)
    return TIERS[place - 1] if place else None


def suffices(chances: Sequence[float], tier: Tier) -> float:
    """Return the chance that `tier` suffices: that it, or a lighter one, is the right one."""
    return min(1.0, sum(chances[: TIERS.index(tier) + 1]))


def _by_tier(counts: Counted) -> dict[tuple[str, Tier], float]:
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
