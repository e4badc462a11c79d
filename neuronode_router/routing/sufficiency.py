"""What outcomes have shown: how much more, or less, often a tier suffices for a kind of request than its text says.

A recalibration in log odds: for each profile, kind and tier the shift that makes the good outcomes that were seen as
many as the chances that were given for the same requests add up to. That is a logistic regression of its intercept
alone with the text's log odds as offset (D. R. Cox, "Two further applications of a model for binary regression", 1958),
penalised: its most likely value where shifts are normally distributed (`SPREAD`) about what other kinds show of the
tier, and that about nothing. As many good ones as were expected change nothing, more of them never lower a tier, and
what was nearly certain changes little. It needs few outcomes, does not mind which requests went to the tier, and keeps
requests of a kind apart by their text.

Verdicts (of people, of the judge) say whether an answer was good. Hints (its form, what was asked next) say only where
it was not. They lower a tier and never raise it, only for the kind they were seen of, and only by what more of them
are bad than chance explains (`NOISE`).

The newest outcomes count, as far back as they agree with one another: before a change of what a model is worth they
say nothing of it (A. Bifet and R. Gavaldà, "Learning from time-changing data with adaptive windowing", 2007).

It must not know where outcomes come from or are kept, nor classify.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import NamedTuple

from neuronode_router.domain.names import TIERS, Tier

SPREAD = 0.7
"""Standard deviation, in log odds, of the shifts of kinds about that of their tier: of a chance of one half, what
eight outcomes show counts half.
"""

NOISE = 2.0
"""Standard deviations by which more hints must be bad than usual before they say anything."""

MOST = 300.0
"""Outcomes of one kind and tier that count at most, the newest."""

CHANGED = 0.01
"""Chance at most that older outcomes are forgotten for a change that there was not."""

FEW = 40.0
"""Verdicts below which too little is known of a lighter tier, as long as there are not `MOST` hints either."""

TRIED_SHARE = 0.05
"""Share of the requests that are sent one tier lighter where too little is known of that."""

RETRIED_SHARE = 0.01
"""Where enough is: share of those that outcomes alone keep off it, or nobody would learn that it is better again."""

_CERTAIN = 1e-3
"""No chance is taken to be nearer to 0 or 1: log odds stay finite."""

_FARTHEST = 50.0
"""Beyond any shift that outcomes can show, in log odds."""

_HALVINGS = 50

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

    @property
    def surplus(self) -> float:
        """How many more were good than expected."""
        return self.good - self.expected

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
    """Return the sum of the newest outcomes of `spans`, which come newest first: `MOST` of them at most, and none from
    before a change. Never raises.
    """
    found: list[OutcomeCounts] = []
    total = 0.0
    for span in spans:
        if span.total > 0:
            room = MOST - total
            found.append(span if span.total <= room else NONE.plus(span, room / span.total))
            total += found[-1].total
        if total >= MOST:
            break
    while (spans_since := _since_change(found)) < len(found):
        found = found[:spans_since]
    return reduce(OutcomeCounts.plus, found, NONE)


def _since_change(spans: Sequence[OutcomeCounts]) -> int:
    """Return how many of `spans`, the newest first, come after the likeliest change; all of them without one.

    Compared is by how much more of the newer and of the older were good than expected. With Hoeffding's inequality two
    such means differ by `d` with a chance of at most `2 exp(-2 d² n m / (n + m))`; divided among the places to cut at.
    """
    total, surplus = sum(span.total for span in spans), sum(span.surplus for span in spans)
    least = math.log(2.0 * len(spans) / CHANGED) if spans else 0.0
    newer, gained, since = 0.0, 0.0, len(spans)
    for number, span in enumerate(spans[:-1], start=1):
        newer, gained = newer + span.total, gained + span.surplus
        older = total - newer
        difference = gained / newer - (surplus - gained) / older
        found = 2.0 * difference * difference * newer * older / total
        if found > least:
            least, since = found, number
    return since


class Sufficiency:
    """What is known at one moment. Immutable; looking up costs a few microseconds."""

    def __init__(self, verdicts: Counted, hints: Counted = MappingProxyType({})) -> None:
        self._verdicts, self._hints = dict(verdicts), dict(hints)
        self._sums = _by_tier(self._verdicts)
        self._of_tier = {key: _likeliest(found, about=0.0) for key, found in self._sums.items()}
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
        hints = round(self._hints.get(key, NONE).total)  # shares of spans add up to a little less
        return self._verdicts.get(key, NONE).total < FEW and hints < MOST

    def tried_share(self, kind: RequestKind, tier: Tier, *, by_text: Tier) -> float:
        """Return the share (0 to 1) of the requests for a heavier tier that are tried on this one, of those whose text
        alone would have sent them to `by_text`.
        """
        if self.is_open(kind, tier):
            return TRIED_SHARE
        return RETRIED_SHARE if TIERS.index(by_text) <= TIERS.index(tier) else 0.0

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
        own = self._verdicts.get(key, NONE)
        others = self._sums.get((kind.profile, tier), NONE).plus(own, -1.0)
        by_verdicts = _likeliest(own, about=_likeliest(others, about=0.0))
        return by_verdicts + _lowered(self._hints.get(key, NONE))


def lighter(tier: Tier) -> Tier | None:
    """Return the next lighter tier, None below the lightest."""
    place = TIERS.index(tier)
    return TIERS[place - 1] if place else None


def suffices(chances: Sequence[float], tier: Tier) -> float:
    """Return the chance that `tier` suffices: that it, or a lighter one, is the right one."""
    return min(1.0, sum(chances[: TIERS.index(tier) + 1]))


def _by_tier(counts: Counted) -> dict[tuple[str, Tier], OutcomeCounts]:
    sums: dict[tuple[str, Tier], OutcomeCounts] = defaultdict(OutcomeCounts)
    for (kind, tier), found in counts.items():
        sums[kind.profile, tier] = sums[kind.profile, tier].plus(found)
    return sums


def _likeliest(counts: OutcomeCounts, *, about: float, spared: float = 0.0) -> float:
    """Return the shift at which the good outcomes, and `spared` bad ones, are what is expected of all, but for what it
    costs to be so far from `about`: the root of the posterior's slope, found by halving.
    """
    if not round(counts.total):
        return about
    given, good = _log_odds(counts.expected / counts.total), counts.good + spared
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(_HALVINGS):
        shift = (low + high) / 2.0
        if good - counts.total * _chance(given + shift) > (shift - about) / SPREAD**2:
            low = shift
        else:
            high = shift
    return (low + high) / 2.0


def _lowered(hints: OutcomeCounts) -> float:
    """Return the shift, 0 or below, by hints: as many bad ones count as usual as chance explains."""
    if not hints.total:
        return 0.0
    usual = min(1.0, hints.expected / hints.total)
    noise = NOISE * math.sqrt(hints.total * usual * (1.0 - usual))
    return _likeliest(hints, about=0.0, spared=noise) if hints.surplus + noise < 0.0 else 0.0


def _log_odds(chance: float) -> float:
    chance = min(1.0 - _CERTAIN, max(_CERTAIN, chance))
    return math.log(chance / (1.0 - chance))


def _chance(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


NOTHING_SEEN = Sufficiency({})
"""Before any outcome: the text alone decides."""
