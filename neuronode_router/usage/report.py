"""From sums to what is read: figures by any grouping and step, beside those of the period before.

It must not know the store, prices or who asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from neuronode_router.usage.finished import GOOD_ENDS, RequestOutcome, UsageKey
from neuronode_router.usage.periods import TimeSpan
from neuronode_router.usage.store import Rows
from neuronode_router.usage.sums import Sums

Names = tuple[str | int, ...]
"""Values of the names a report is grouped by, in their order."""

GROUPINGS = UsageKey._fields
"""What a report can be grouped by."""


@dataclass(slots=True)
class Figures:
    """What was counted of some requests, and what follows from it."""

    sums: Sums = field(default_factory=Sums)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        """Requests that ended neither with an answer nor by the client's leaving."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in GOOD_ENDS)

    @property
    def error_rate(self) -> float | None:
        """Errors per request, None without requests."""
        return self.errors / self.sums.requests if self.sums.requests else None

    @property
    def fallback_rate(self) -> float | None:
        """Fallbacks per request, None without requests."""
        return self.sums.fallbacks / self.sums.requests if self.sums.requests else None

    @property
    def cached(self) -> int:
        """Requests that LiteLLM's own cache answered."""
        return self.outcomes[RequestOutcome.CACHED]

    @property
    def cancelled(self) -> int:
        """Requests whose client left."""
        return self.outcomes[RequestOutcome.CANCELLED]

    def add(self, key: UsageKey, sums: Sums) -> None:
        """Count one row. Never raises."""
        self.sums.merge(sums)
        self.outcomes[key.outcome] += sums.requests


@dataclass(frozen=True, slots=True)
class Line:
    """One group of requests in one step of time."""

    start: int | None
    """Unix seconds at which the step begins; None where the whole span is one."""
    names: Names
    figures: Figures
    before: Figures | None
    """The same group in the span before; None in a series of steps."""


@dataclass(frozen=True, slots=True)
class Report:
    """The lines by time, then by requests, most first."""

    span: TimeSpan
    by: tuple[str, ...]
    step: int | None
    lines: Sequence[Line]
    total: Figures
    total_before: Figures
    earlier: TimeSpan
    """The span before, which may be somewhat longer or shorter: what is old is not told apart finely."""


def report(
    rows: Rows,
    rows_before: Rows,
    *,
    span: TimeSpan,
    earlier: TimeSpan,
    by: tuple[str, ...],
    step: int | None = None,
) -> Report:
    """Group the rows of `span`, and those of `earlier` beside them. Raises `KeyError` for an unknown grouping."""
    groups, before = _grouped(rows, by, step), _grouped(rows_before, by, None)
    lines = [
        Line(start, names, figures, None if step else before.get((start, names), Figures()))
        for (start, names), figures in groups.items()
    ]
    lines.sort(key=lambda line: (line.start or 0, -line.figures.sums.requests, [str(n) for n in line.names]))
    totals = _total(groups.values()), _total(before.values())
    return Report(span, by, step, lines, *totals, earlier=earlier)


def _grouped(rows: Rows, by: tuple[str, ...], step: int | None) -> dict[tuple[int | None, Names], Figures]:
    places = [GROUPINGS.index(name) for name in by]
    groups: dict[tuple[int | None, Names], Figures] = {}
    for (start, key), sums in rows.items():
        at = start // step * step if step else None
        groups.setdefault((at, tuple(key[place] for place in places)), Figures()).add(key, sums)
    return groups


def _total(groups: Iterable[Figures]) -> Figures:
    total = Figures()
    for figures in groups:
        total.sums.merge(figures.sums)
        total.outcomes += figures.outcomes
    return total
