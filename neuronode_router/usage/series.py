"""Figures step by step, for curves: of all requests, and of each profile and tier.

It must not know the store, prices or who asks. Percentiles of a step come from the merged histograms of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neuronode_router.usage.finished import UsageKey
from neuronode_router.usage.periods import DAY, HOUR, MINUTE, TimeSpan
from neuronode_router.usage.report import Figures
from neuronode_router.usage.store import Rows

STEPS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)
"""Seconds of a step."""

FEW = 200
"""Steps that a curve has at most where nobody says how long one is."""

SPLITS = ("profile", "tier")
"""What a curve is drawn for one by one."""

FILTERS = ("profile", "task", "tier", "served_group", "team")
"""What a series can be narrowed to."""


@dataclass(slots=True)
class Series:
    """One `Figures` per step, also where there was nothing."""

    span: TimeSpan
    step: int
    told_apart: int
    """Seconds of the shortest step for which there are records since the span's beginning."""
    steps: list[Figures]
    split: Mapping[str, dict[str, list[Figures]]]
    """By each of `SPLITS`: its names, and their figures in every step."""
    total: Figures = field(default_factory=Figures)
    names: Mapping[str, set[str]] = field(default_factory=dict)
    """By each of `FILTERS`: which names there are in the span, whatever it is narrowed to."""

    @property
    def starts(self) -> Sequence[int]:
        """Unix times at which the steps begin. The last may lie in the future's part of a running step."""
        return starts(self.span, self.step)


def starts(span: TimeSpan, step: int) -> Sequence[int]:
    """Return the Unix times at which the steps of a span begin."""
    return range(span.since // step * step, span.until, step)


def fitting(span: TimeSpan, told_apart: int) -> int:
    """Return the shortest step that the records allow and that gives a curve at most `FEW` of them. Never raises."""
    length = span.until - span.since
    return next((step for step in STEPS if step >= told_apart and length / step <= FEW), STEPS[-1])


def series(rows: Rows, *, span: TimeSpan, step: int, told_apart: int, only: Mapping[str, str]) -> Series:
    """Put every row into its step. `only` narrows it to rows with these names. Never raises for names of `FILTERS`."""
    first, count = span.since // step * step, len(starts(span, step))
    found = Series(span, step, told_apart, _empty(count), {name: {} for name in SPLITS})
    found.names = {name: set() for name in FILTERS}
    for (start, key), sums in rows.items():
        for name in FILTERS:
            found.names[name].add(getattr(key, name))
        if any(getattr(key, name) != wanted for name, wanted in only.items()):
            continue
        place = (start - first) // step
        for figures in (found.total, found.steps[place], *_parts(found.split, key, place, count)):
            figures.add(key, sums)
    return found


def _parts(
    split: Mapping[str, dict[str, list[Figures]]], key: UsageKey, place: int, count: int
) -> list[Figures]:
    named = ((split[name], getattr(key, name)) for name in SPLITS)
    return [lines.setdefault(name, _empty(count))[place] for lines, name in named]


def _empty(count: int) -> list[Figures]:
    return [Figures() for _ in range(count)]
