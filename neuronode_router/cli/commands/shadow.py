"""`neuronode shadow`: have a profile answer some requests once more, unseen, and see how it would have done.

It must not know how answers are compared: the proxy does that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click
from rich.table import Table

from neuronode_router.cli.commands.usage import dollars
from neuronode_router.cli.consent import How, PendingChange, carry_out
from neuronode_router.cli.http import Connection
from neuronode_router.cli.names import group_names, profile_names, task_names
from neuronode_router.cli.options import Number, change_options, json_option, online
from neuronode_router.cli.terminal import answer, clean, facts, moment, table
from neuronode_router.domain.names import path_step
from neuronode_router.errors import UnknownShadow

Finding = Mapping[str, Any]


@click.group("shadow")
def command() -> None:
    """Have a profile answer some requests once more, unseen, and compare."""


@command.command("start")
@click.argument("profile", shell_complete=profile_names)
@click.option("--budget", type=Number(0, min_open=True), required=True, help="US dollars in all.")
@click.option("--share", type=Number(0.1, 100), help="Percent of the requests. Default: 5.")
@click.option("--hours", type=Number(0, min_open=True), help="After so long it ends. Default: 24.")
@click.option("--concurrency", type=click.IntRange(1), help="At the same time in each worker. Default: 2.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    shell_complete=task_names,
    help="Only this task; repeatable. Default: all.",
)
@click.option(
    "--judge",
    shell_complete=group_names,
    help="A model group that says whether the other answer would have done.",
)
@click.option("--sample-text", is_flag=True, help="Keep the newest texts, for administrators.")
@change_options
@online
def start(connection: Connection, profile: str, **given: Any) -> None:
    """Let PROFILE answer a share of the requests once more in the background.

    Clients notice nothing. Their requests' texts go to that profile's model groups.
    """
    named = {"budget_usd": "budget", "max_concurrency": "concurrency"}
    planned = {name: given.pop(named.get(name, name)) for name in (*named, *_PLANNED)}
    body = {name: value for name, value in planned.items() if value not in (None, (), False)}
    body |= {"tasks": list(planned["tasks"])} if planned["tasks"] else {}
    change = PendingChange("POST", "/shadows", {"profile": profile, **body})
    sys.exit(carry_out(connection, change, How(**given)))


_PLANNED = ("share", "hours", "tasks", "judge", "sample_text")


@command.command("status")
@json_option
@online
def status(connection: Connection, *, as_json: bool) -> None:
    """Show the comparison that runs, and earlier ones."""
    listed = connection.get("/shadows").document
    answer(listed, lambda: [*_running(listed["running"]), "", _listed(listed["shadows"])], as_json=as_json)


@command.command("report")
@click.argument("shadow", required=False)
@json_option
@online
def report(connection: Connection, shadow: str | None, *, as_json: bool) -> None:
    """Show by task how often the profile would have agreed, and what it would have cost. Default: of the newest."""
    name = shadow or _newest(connection)
    found = connection.get(f"/shadows/{path_step(name)}").document
    answer(found, lambda: list(_report(found)), as_json=as_json)


@command.command("stop")
@change_options
@online
def stop(connection: Connection, **how: Any) -> None:
    """End the comparison that runs. What was found out stays."""
    running = connection.get("/shadows", limit=1).document["running"]
    if running is None:
        raise UnknownShadow("No shadow comparison runs.")
    change = PendingChange("POST", f"/shadows/{path_step(running['id'])}/stop", {})
    sys.exit(carry_out(connection, change, How(**how)))


def _newest(connection: Connection) -> str:
    listed = connection.get("/shadows", limit=1).document["shadows"]
    if not listed:
        raise UnknownShadow("Nothing was compared yet.")
    return str(listed[0]["id"])


def _running(found: Mapping[str, Any] | None) -> list[Table | str]:
    return ["No shadow comparison runs."] if found is None else [_facts(found), "", clean(found["headline"])]


def _report(found: Mapping[str, Any]) -> Iterator[Table | str]:
    yield _facts(found)
    yield ""
    yield clean(found["headline"])
    if not found["against"]:
        return
    yield ""
    columns = ("task", ">sampled", ">answered", "agreed", "cost", "p95 ms", "refused", "judged")
    yield table(columns, map(_row, found["findings"]))
    for name, title in (("skipped", "not asked again"), ("failed", "failed")):
        counts = found["findings"][0][name]
        if counts:
            yield f"{title}: " + ", ".join(f"{count} {why}" for why, count in counts.items())


def _facts(found: Mapping[str, Any]) -> Table:
    over = found["ended_at"]
    ending = f"until {moment(found['until'])}" if over is None else f"ended {moment(over)}: {found['why']}"
    return facts(
        [
            ("comparison", found["id"]),
            ("profile", f"{found['profile']}, against {', '.join(found['against']) or 'nobody yet'}"),
            ("share", f"{found['share']:g} % of {', '.join(found['tasks']) or 'all tasks'}"),
            ("spent", f"{dollars(found['spent_usd'])} of {dollars(found['budget_usd'])}"),
            ("time", clean(ending)),
        ]
    )


def _row(found: Finding) -> tuple[object, ...]:
    latency, refusals = found["latency"], found["refusals"]
    return (
        found["task"] or "all",
        found["sampled"],
        found["answered"],
        _estimate(found["agreement"]),
        _estimate(found["cost_ratio"]),
        _both(latency["client"]["p95"], latency["other"]["p95"], "{:.0f}".format),
        _both(refusals["client"]["value"], refusals["other"]["value"], "{:.1%}".format),
        _estimate(found["judged"]),
    )


def _estimate(found: Finding) -> str:
    if found["value"] is None:
        return "-"
    within = f" [{found['low']:.1%}, {found['high']:.1%}]" if found["low"] is not None else ""
    return f"{found['value']:.1%}{within}"


def _both(client: float | None, other: float | None, said: Callable[[float], str]) -> str:
    return " / ".join("-" if value is None else said(value) for value in (client, other))


def _listed(shadows: Sequence[Mapping[str, Any]]) -> Table:
    rows = (
        (one["id"], moment(one["started_at"]), one["profile"], one["actor"], one["why"] or "runs")
        for one in shadows
    )
    return table(("comparison", "began", "profile", "by", "end"), rows)
