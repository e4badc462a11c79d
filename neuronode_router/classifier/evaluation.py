"""What `auto` would have done with requests that were logged, beside simple ways to route the same ones.

It must not know files or how a request is classified. Rows are judged by what is written beside them: which tiers would
have done, or how each tier answered. Intervals are percentiles of a bootstrap over rows (Efron 1979), 95 %.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuronode_router.domain.names import TIERS, Tier

COSTS: Mapping[Tier, float] = {Tier.FAST: 1.0, Tier.MEDIUM: 3.0, Tier.COMPLEX: 10.0}
"""Of one answer, in units of the light tier's."""
SHORT, LONG = 120, 400
"""Characters of the last turn: by length, up to the first it is a light tier's, beyond the second the heavy one's."""
DRAWS = 1000
"""Of the bootstrap."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request as far as it is judged: nothing of its text."""

    tier: Tier
    """Where `auto` sends it."""
    length: int
    """Characters of its last turn."""
    allowed: frozenset[Tier] = frozenset()
    """The tiers that would have done; empty where nobody said."""
    right: Mapping[Tier, float] | None = None
    """How good each tier's answer was, 0 to 1, for all tiers; None where nobody tried."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How a tier meets the tiers that would have done."""

    step: int
    """Below 0 too light by so many tiers, above 0 too heavy."""
    hard: bool
    """The light tier would not have done."""
    tier: Tier


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over rows, and its 95 % interval."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class WayFigures:
    """What one way does with all rows. None where no row tells."""

    name: str
    shares: Mapping[Tier, float]
    cost: Estimate
    """Of an answer."""
    too_light: Estimate | None
    too_heavy: Estimate | None
    hard_sent_light: Estimate | None
    """Of the rows that the light tier would not have done for."""
    right: Estimate | None
    over_random: Estimate | None
    """By how much more is right than where the shares of tiers that those rows got are dealt to them blindly."""


def judge(tier: Tier, allowed: Collection[Tier]) -> Judged:
    """Return how a tier meets the tiers that would have done. Raises `ValueError` where there are none."""
    places, place = [TIERS.index(each) for each in allowed], TIERS.index(tier)
    step = min(0, place - min(places)) + max(0, place - max(places))
    return Judged(step, min(places) > 0, tier)


def by_length(characters: int) -> Tier:
    """Return the tier by nothing but the length of the last turn."""
    return TIERS[(characters > SHORT) + (characters > LONG)]


def compare(
    requests: Sequence[LoggedRequest], costs: Mapping[Tier, float] = COSTS, *, seed: int = 0
) -> list[WayFigures]:
    """Return the figures of every way on the same requests, ours first. Raises `ValueError` without requests."""
    if not requests:
        raise ValueError("there are no requests to compare on")
    order = np.random.default_rng(seed).permutation(len(requests))
    ways = {
        "auto": [request.tier for request in requests],
        "length of the last turn": [by_length(request.length) for request in requests],
        "random, shares of auto": [requests[number].tier for number in order.tolist()],
        **{f"always {tier}": [tier] * len(requests) for tier in TIERS},
    }
    return [_figures(name, tiers, requests, costs, seed) for name, tiers in ways.items()]


def _figures(
    name: str,
    tiers: Sequence[Tier],
    requests: Sequence[LoggedRequest],
    costs: Mapping[Tier, float],
    seed: int,
) -> WayFigures:
    judged = [
        judge(tier, request.allowed) for tier, request in zip(tiers, requests, strict=True) if request.allowed
    ]
    tried = [
        (tier, request.right)
        for tier, request in zip(tiers, requests, strict=True)
        if request.right is not None
    ]
    dealt = _shares([tier for tier, _ in tried])
    blind = [sum(dealt[tier] * right[tier] for tier in TIERS) for _, right in tried]

    def mean(values: Sequence[float]) -> Estimate | None:
        return estimate(values, seed=seed) if values else None

    cost = estimate([costs[tier] for tier in tiers], seed=seed)
    return WayFigures(
        name=name,
        shares=_shares(tiers),
        cost=cost,
        too_light=mean([item.step < 0 for item in judged]),
        too_heavy=mean([item.step > 0 for item in judged]),
        hard_sent_light=mean([item.tier is Tier.FAST for item in judged if item.hard]),
        right=mean([right[tier] for tier, right in tried]),
        over_random=mean([right[tier] - less for (tier, right), less in zip(tried, blind, strict=True)]),
    )


def _shares(tiers: Sequence[Tier]) -> Mapping[Tier, float]:
    return {tier: tiers.count(tier) / max(1, len(tiers)) for tier in TIERS}


def estimate(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """Return the mean of at least one value, and the interval in which 95 % of resampled means lie."""
    given, dice = np.array(values, dtype=float), np.random.default_rng(seed)
    means = [float(given[dice.integers(0, given.size, given.size)].mean()) for _ in range(DRAWS)]
    low, high = np.percentile(means, (2.5, 97.5)).tolist()
    return Estimate(float(given.mean()), low, high, given.size)


def read_log(
    rows: Sequence[Mapping[str, object]],
    classified: Callable[[Mapping[str, object]], tuple[Tier, int] | None],
) -> Iterator[LoggedRequest]:
    """Yield the rows that have text: `classified` gives tier and length of a body, None where it has none.

    Raises `ValueError` for marks that are none, with the number of the row, counted from 1.
    """
    for number, row in enumerate(rows, start=1):
        found = classified(row)
        if found is not None:
            try:
                yield LoggedRequest(*found, _allowed(row), _right(row))
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(f"row {number}: {error}") from error


def _allowed(row: Mapping[str, object]) -> frozenset[Tier]:
    given = row.get("ok_tiers", [row["tier"]] if row.get("tier") else [])
    if not isinstance(given, list):
        raise TypeError("`ok_tiers` is no list of tiers")
    return frozenset(Tier(tier) for tier in given)


def _right(row: Mapping[str, object]) -> Mapping[Tier, float] | None:
    given = row.get("right")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError('`right` is not like {"fast": 0, "medium": 1, "complex": 1}')
    right = {Tier(tier): float(value) for tier, value in given.items()}
    if right.keys() != set(TIERS) or not all(0 <= value <= 1 for value in right.values()):
        raise ValueError("`right` does not give a number from 0 to 1 for fast, medium and complex")
    return right
