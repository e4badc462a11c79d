"""`neuronode usage`: what was used and what it cost, by any grouping, beside the period before.

It must not know how it is counted. What nobody has set a price for is unpriced, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from neuronode_router.cli.http import Connection
from neuronode_router.cli.moment import asked_period, since_option, until_option
from neuronode_router.cli.options import json_option, online
from neuronode_router.cli.terminal import Part, answer, clean, moment, table
from neuronode_router.errors import SettingsError
from neuronode_router.usage.finished import UsageKey

STEPS = {"minute": 60, "hour": 3600, "day": 86_400}
COLUMNS = (">requests", ">cost", ">period before", ">p50", ">p95", ">first token", ">errors")
FALLBACKS, STOOD_IN = ">fallbacks", ">stood in"
"""The share that another group answered than was chosen; by who answered alone it tells of the one that helped out."""

GROUPINGS = UsageKey._fields

Figures = Mapping[str, Any]


def groupings(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return what a list of groupings can end with."""
    given, _, last = begun.rpartition(",")
    return [f"{given},{name}" if given else name for name in GROUPINGS if name.startswith(last)]


@click.group("usage", invoke_without_command=True)
@click.option(
    "--by",
    default="profile",
    show_default=True,
    shell_complete=groupings,
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
    if as_csv and as_json:
        raise click.UsageError("Name one of --csv and --json.")
    if unknown := [name for name in by.split(",") if name not in GROUPINGS]:
        fix = f"Use one of {', '.join(GROUPINGS)}, or several with commas."
        raise SettingsError(f"There is no grouping {unknown[0]!r}.", fix=fix)
    asked = {"by": by, "step": STEPS.get(step or ""), **asked_period(period, connection.now)}
    if as_csv:
        click.echo(connection.text("/usage", **asked, format="csv"), nl=False)
        return
    report = connection.get("/usage", **asked).document
    answer(report, lambda: _parts(report), as_json=as_json)


@command.command("residency")
@click.option("--team", help="Only the requests of this team id.")
@click.option(
    "--within", default="local", show_default=True, help="Places, with commas; local is always within."
)
@since_option
@until_option
@json_option
@online
def residency(connection: Connection, *, team: str | None, within: str, as_json: bool, **period: Any) -> None:
    """Show where requests went, for an audit.

    Exit code 1 where any went, or may have gone, elsewhere, and where nothing is recorded of the team.
    """
    asked = {"team": team, "within": within, **asked_period(period, connection.now)}
    found = connection.get("/usage/residency", **asked).document
    answer(found, lambda: _whereabouts(found), as_json=as_json)
    if found["elsewhere"] or found["unknown"] or found["unattributed"] or _is_unheard_of(found):
        raise SystemExit(1)


def _is_unheard_of(found: Mapping[str, Any]) -> bool:
    """Return whether a team was asked for of which there is no request: its id may be written wrongly."""
    return found["team"] is not None and not (found["requests"] or found["unattributed"])


def _whereabouts(found: Mapping[str, Any]) -> list[Part]:
    if _is_unheard_of(found):
        period = f"{moment(found['from'])} to {moment(found['to'])}"
        return [
            period,
            clean(f"Nothing is recorded of a team {found['team']} in this time. Is that the team's id?"),
        ]
    whose = "any team" if found["team"] is None else f"team {found['team']}"
    places = " or ".join(found["required"])
    left, sure = found["elsewhere"], not (found["unknown"] or found["unattributed"])
    verdict = (
        f"No request of {whose} left {places}"
        if sure and not left
        else f"{left:,} requests of {whose} left {places}"
        if left
        else f"Nobody can tell whether a request of {whose} left {places}"
    )
    lines = [
        f"{moment(found['from'])} to {moment(found['to'])}",
        clean(f"{verdict}: {found['requests']:,} requests, {left:,} elsewhere."),
    ]
    told = {
        "unknown": "sent to deployments of which nobody can tell where they are",
        "unattributed": "of some team, counted without telling teams apart",
        "refused_residency": "refused, for they would have left where their data must stay",
        "refused_personal_data": "refused, for they hold personal data",
        "unasked": "answered from the cache, refused otherwise, or given up before anybody was asked",
    }
    lines += [f"{found[name]:,} {text}" for name, text in told.items() if found[name]]
    rows = sorted(found["places"].items(), key=lambda each: -each[1])
    return [*lines, "", table(("sent to", ">requests"), rows)]


def _parts(report: Mapping[str, Any]) -> list[Part]:
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
    columns = (*(("from",) if stepped else ()), *report["by"], *COLUMNS, fallbacks_of(report["by"]))
    return [f"{moment(report['from'])} to {moment(report['to'])}", "", table(columns, rows)]


def fallbacks_of(by: Sequence[str]) -> str:
    """Return the head of the column of fallbacks under a grouping."""
    return STOOD_IN if "served_group" in by and "chosen_group" not in by else FALLBACKS


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
