"""`neuronode usage`: what was used and what it cost, by any grouping, beside the period before.

It must not know how it is counted. What nobody has set a price for is unpriced, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table

from neuronode_router.cli.http import Connection
from neuronode_router.cli.moment import since_option, until_option
from neuronode_router.cli.options import json_option, online
from neuronode_router.cli.terminal import answer, moment, table
from neuronode_router.errors import SettingsError
from neuronode_router.usage.finished import UsageKey

STEPS = {"minute": 60, "hour": 3600, "day": 86_400}
COLUMNS = (">requests", ">cost", ">period before", ">p50", ">p95", ">first token", ">errors", ">fallbacks")

GROUPINGS = UsageKey._fields

Figures = Mapping[str, Any]


@click.command("usage")
@click.option(
    "--by",
    default="profile",
    show_default=True,
    help=f"Grouping: {', '.join(GROUPINGS)}; or several, with commas.",
)
@since_option
@until_option
@click.option("--step", type=click.Choice(list(STEPS)), help="One line for each step of time.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@json_option
@online
def command(
    connection: Connection, *, by: str, step: str | None, as_csv: bool, as_json: bool, **period: Any
) -> None:
    """Show what was used, and what it cost.

    The last 24 hours unless --since says otherwise.
    """
    if unknown := [name for name in by.split(",") if name not in GROUPINGS]:
        fix = f"Use one of {', '.join(GROUPINGS)}, or several with commas."
        raise SettingsError(f"There is no grouping {unknown[0]!r}.", fix=fix)
    asked = {"by": by, "from": period["since"], "to": period["until"], "step": STEPS.get(step or "")}
    if as_csv:
        click.echo(connection.text("/usage", **asked, format="csv"), nl=False)
        return
    report = connection.get("/usage", **asked).document
    answer(report, lambda: _parts(report), as_json=as_json)


def _parts(report: Mapping[str, Any]) -> list[Table | str]:
    stepped = report["step"] is not None
    rows = [
        (
            *((moment(line["start"]),) if stepped else ()),
            *(line["names"][name] or "-" for name in report["by"]),
            *_cells(line["figures"], line["before"]),
        )
        for line in report["lines"]
    ]
    blank = ("",) * (len(report["by"]) + stepped - 1)
    rows.append(("total", *blank, *_cells(report["total"], report["total_before"])))
    columns = (*(("from",) if stepped else ()), *report["by"], *COLUMNS)
    return [f"{moment(report['from'])} to {moment(report['to'])}", "", table(columns, rows)]


def _cells(figures: Figures, before: Figures | None) -> tuple[object, ...]:
    return (
        figures["requests"],
        cost(figures),
        cost(before) if before else "-",
        milliseconds(figures["latency_p50_ms"]),
        milliseconds(figures["latency_p95_ms"]),
        milliseconds(figures["first_token_p50_ms"]),
        share(figures["error_rate"]),
        share(figures["fallback_rate"]),
    )


def cost(figures: Figures) -> str:
    """Return the cost of some requests, and for how many of them nobody knows it."""
    if figures["priced"] and figures["unpriced"]:
        return f"{dollars(figures['cost_usd'])} + {figures['unpriced']} unpriced"
    if figures["unpriced"]:
        return "unpriced"
    return dollars(figures["cost_usd"])


def dollars(amount: float | None) -> str:
    """Return an amount with as many digits as a small one needs."""
    if amount is None:
        return "-"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.6f}".rstrip("0").rstrip(".")


def milliseconds(value: float | None) -> str:
    """Return a time as it was measured."""
    return "-" if value is None else f"{value:.0f} ms"


def share(value: float | None) -> str:
    """Return a share in per cent."""
    return "-" if value is None else f"{value:.1%}"
