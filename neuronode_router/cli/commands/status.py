"""`neuronode status`: what is in force and in which workers, once or for as long as somebody watches.

It must not know how a proxy comes to it; the screen shows what `GET /status` answers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from neuronode_router.cli.commands.usage import dollars, milliseconds, share
from neuronode_router.cli.http import Connection, Refused, Unreachable, problem_of
from neuronode_router.cli.options import json_option, online
from neuronode_router.cli.terminal import (
    Part,
    answer,
    clean,
    facts,
    moment,
    print_json_line,
    problem,
    table,
    terminal,
    warning,
)
from neuronode_router.errors import NeuronodeError

REFRESH_SECONDS = 2.0
"""How often a watched status is read again where no event says to: a worker may die without one."""

TRAFFIC_SECONDS = 900
"""What the line about traffic looks back on."""

FEW = 3
"""Groups that are named where there are many."""

Status = Mapping[str, Any]


@click.command("status")
@click.option("--watch", is_flag=True, help="Show every change until Ctrl-C; reconnects by itself.")
@json_option
@online
def command(connection: Connection, *, watch: bool, as_json: bool) -> None:
    """Show what is in force, in every worker.

    Exit code 1 when nothing is in force, a live worker lags behind, or the profiles have problems. With --watch
    and --json every change is one line.
    """
    status = connection.get("/profiles/status").document
    if watch:
        _watch(connection, status, as_json=as_json)
        return
    answer(status, lambda: _parts(status, traffic(connection)), as_json=as_json)
    sys.exit(0 if healthy(status) else 1)


def healthy(status: Status) -> bool:
    """Whether all is as it should be, as far as this key may see."""
    return bool(status["ready"]) and status["converged"] is not False and not status["problems"]


def traffic(connection: Connection) -> str | None:
    """Return in one line how well it goes and what it costs; None where nobody counts, or this key may not see it."""
    now = connection.now()
    try:
        return _told(connection.get("/usage", **{"from": now - TRAFFIC_SECONDS, "to": now}).document["total"])
    except NeuronodeError:
        return None


def _told(total: Mapping[str, Any]) -> str:
    minutes = TRAFFIC_SECONDS // 60
    if not total["requests"]:
        return f"no requests in {minutes} minutes"
    hourly = None if total["cost_usd"] is None else round(total["cost_usd"] * 3600 / TRAFFIC_SECONDS, 4)
    counted = f"{total['requests']:,} request{'s' * (total['requests'] != 1)} in {minutes} minutes"
    rates = f"{share(total['error_rate'])} errors, {share(total['fallback_rate'])} fallbacks"
    unpriced = f", {total['unpriced']} unpriced" if total["unpriced"] else ""
    return f"{counted}, p95 {milliseconds(total['latency_p95_ms'])}, {rates}, {dollars(hourly)} an hour{unpriced}"


def _watch(connection: Connection, status: Status, *, as_json: bool) -> None:
    # What a glance does not need: it answers the sooner.
    from rich.console import Group
    from rich.live import Live

    from neuronode_router.cli.commands.watch import following

    live = (
        Live(console=terminal(sys.stdout), auto_refresh=False)
        if sys.stdout.isatty() and not as_json
        else None
    )
    with following(connection, status["revision"], every=REFRESH_SECONDS) as events:
        if live is None:
            _print_changes(connection, status, events, as_json=as_json)
            return
        with live:
            live.update(Group(*_parts(status)), refresh=True)
            for _ in events:
                status = _again(connection, status)
                live.update(Group(*_parts(status)), refresh=True)


def _print_changes(connection: Connection, status: Status, events: Any, *, as_json: bool) -> None:
    """Print a line now, and one whenever something that matters is another than before."""
    _print_line(status, as_json=as_json)
    for _ in events:
        before, status = status, _again(connection, status)
        if _essence(status) != _essence(before):
            _print_line(status, as_json=as_json)


def _print_line(status: Status, *, as_json: bool) -> None:
    if as_json:
        print_json_line(status)
    else:
        profile = f"revision {status['revision']}  {clean(status['active_profile'])}"
        click.echo(f"{moment(status['committed_at'])}  {profile}  {_convergence(status)}")


def _again(connection: Connection, before: Status) -> Status:
    """Read the status again; what was last known where the proxy does not answer."""
    try:
        return connection.get("/profiles/status").document
    except (Unreachable, Refused) as error:
        if error.passing:
            return before  # the stream says so, and connects again
        raise


def _essence(status: Status) -> tuple[object, ...]:
    workers = sorted((w["instance"], w["live"], w["revision"]) for w in status["workers"] or ())
    return (
        status["ready"],
        status["revision"],
        status["converged"],
        workers,
        status["problems"],
        status["warnings"],
    )


def _convergence(status: Status) -> str:
    if not status["ready"]:
        return "nothing in force"
    if status["workers"] is None:
        return "in force"
    live = [worker for worker in status["workers"] if worker["live"]]
    current = sum(worker["revision"] == status["revision"] for worker in live)
    return f"in force in {current} of {len(live)} workers"


def _parts(status: Status, traffic: str | None = None) -> list[Part]:
    metadata = status["profile_metadata"] or {}
    why = status.get("why")  # a member is not told, and an older proxy does not tell
    parts: list[Part] = [
        facts(
            [
                ("profile", status["active_profile"]),
                ("", metadata.get("description", "")),
                (
                    "levels",
                    f"cost {metadata.get('cost_level')}, performance {metadata.get('performance_level')}",
                ),
                ("revision", f"{status['revision']}, committed {moment(status['committed_at'])}"),
                ("state", Text(_convergence(status), "green" if healthy(status) else "bold red")),
                *([("why", why)] if why else []),
                *([("traffic", traffic)] if traffic else []),
                *_conversations(status),
            ]
        ),
    ]
    if status["workers"]:
        parts += ["", _workers(status), *map(clean, _warming(status))]
    if status["embedded_groups"]:
        parts += ["", _embedded(status["embedded_groups"])]
    if status["warnings"] or status["problems"]:
        parts += [""]
    parts += [warning(f"Warning: {text}") for text in status["warnings"] or ()]
    parts += [problem(f"Problem: {problem_of(place)}") for place in status["problems"] or ()]
    return [*parts, "", table(("task", "group"), status["active_mappings"].items())]


def _embedded(groups: Sequence[str]) -> str:
    shown = clean(", ".join(groups[:FEW])) + (", ..." if len(groups) > FEW else "")
    return f"Answered by the built-in tiny model: {len(groups)} of the model groups ({shown})"


def _conversations(status: Status) -> list[tuple[str, str]]:
    """Return how many conversations the last switch has left where they were; nothing where it left none."""
    reports = [worker["report"] for worker in status["workers"] or () if worker["live"]]
    held, drained = (
        sum(report.get(name, 0) for report in reports)
        for name in ("conversations_held", "conversations_drained")
    )
    return (
        [("conversations", f"{held} stay with their group, {drained} no longer")] if held or drained else []
    )


def _warming(status: Status) -> Iterator[str]:
    """Yield which models are being fetched or loaded now."""
    reports = [worker["report"] for worker in status["workers"] or () if worker["live"]]
    for each in (found for report in reports for found in report.get("warming", ())):
        far = f", {each['done'] / 1e9:.1f} of {each['total'] / 1e9:.1f} GB" if each["done"] else ""
        yield f"{each['step']} {each['model']} on {each['server']}{far}"


def _workers(status: Status) -> Table:
    rows = (
        (w["host"], w["pid"], w["version"], w["revision"], "live" if w["live"] else "gone", w["detail"])
        for w in sorted(status["workers"], key=lambda w: (w["host"], w["pid"]))
    )
    return table(("host", ">pid", "version", ">revision", "state", "detail"), rows)
