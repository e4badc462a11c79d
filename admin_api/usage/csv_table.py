"""A usage report as CSV that a spreadsheet can open without running anything of it.

It must not know where a report comes from.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from admin_api.usage.schemas import FiguresDocument, UsageDocument

MEDIA_TYPE = "text/csv"
UNPRICED = "unpriced"
"""What stands for a cost that nobody knows: a spreadsheet would add an empty cell up as 0."""

FIGURES = tuple(name for name in FiguresDocument.model_fields if name != "outcomes")
BEFORE = ("requests", "cost_usd", "latency_p50_ms", "latency_p95_ms", "error_rate", "fallback_rate")
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(document: UsageDocument) -> str:
    """Return the lines of a report with a header, each with the span of all; times are Unix seconds. Never raises."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["start", *document.by, *FIGURES, *(f"{name}_before" for name in BEFORE), "from", "to"])
    span = document.from_, document.to
    for line in document.lines:
        names = [_harmless(line.names[name]) for name in document.by]
        before = _cells(line.before, BEFORE) if line.before else [""] * len(BEFORE)
        writer.writerow([_cell(line.start), *names, *_cells(line.figures, FIGURES), *before, *span])
    return text.getvalue()


def _cells(figures: FiguresDocument, names: Sequence[str]) -> list[str]:
    return [
        UNPRICED
        if name == "cost_usd" and figures.unpriced and not figures.priced
        else _cell(getattr(figures, name))
        for name in names
    ]


def _cell(number: float | None) -> str:
    return "" if number is None else str(number)


def _harmless(name: str | int) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    text = str(name)
    return f"'{text}" if text.startswith(_DANGEROUS) else text
