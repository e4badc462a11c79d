"""`neuronode rollout`: let a share of the requests try a profile, look at both arms, go on or back.

It must not know how arms are compared: the proxy does that.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.table import Table

from neuronode_router.cli.consent import How, PendingChange, carry_out, warmed
from neuronode_router.cli.http import Connection, stated
from neuronode_router.cli.names import profile_names
from neuronode_router.cli.options import (
    Number,
    change_options,
    force_option,
    json_option,
    online,
    warm_options,
)
from neuronode_router.cli.terminal import answer, clean, facts, moment, table
from neuronode_router.domain.names import path_step
from neuronode_router.durations import seconds_of
from neuronode_router.errors import UnknownRollout

_GUARD = re.compile(r"(\w+):(at_most|worse_by|times)=([0-9.]{1,16})", re.ASCII)

_NUMBER = Number()

WORDS = {"good": "ok", "unsure": "not sure", "no_data": "no data", "breached": "BREACHED"}
"""How a verdict is shown."""

PLANNED = ("profile", "edit", "steps", "hold", "guards", "least", "on_breach", "on_done", "force")
"""What a rollout is told; what is left out has the proxy's defaults."""

TIER_PLACE = "tiers."


@click.group("rollout")
def command() -> None:
    """Let a share of the conversations try a profile, watched, and go on or back."""


def _seconds(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    if (seconds := seconds_of(text)) is None:
        raise click.BadParameter(f"{text!r} is no duration: write 30s, 10m, 2h or 1d.")
    return seconds


def _shares(context: click.Context, parameter: click.Parameter, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [_NUMBER.convert(share, parameter, context) for share in text.split(",")]
    except click.BadParameter as error:
        raise click.BadParameter(f"{text!r} are no percentages: write 1,10,50,100.") from error


def _guards(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> list[dict[str, object]] | None:
    found: dict[str, dict[str, object]] = {}
    for text in texts:
        parts = _GUARD.fullmatch(text)
        if parts is None:
            raise click.BadParameter(f"{text!r} is no guard: write error_rate:worse_by=0.02.")
        found.setdefault(parts[1], {"metric": parts[1]})[parts[2]] = _NUMBER.convert(
            parts[3], parameter, context
        )
    return list(found.values()) or None


def _edit(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, dict[str, object]] | None:
    found: dict[str, dict[str, object]] = {}
    kind: str
    value: object
    for text in texts:
        place, separator, named = text.partition("=")
        if not (place and separator and named):
            raise click.BadParameter(
                f"{text!r} is no edit: write chat=tier_complex, or tiers.fast=tier_fast,tier_medium."
            )
        if place.startswith(TIER_PLACE):
            kind, name, value = "tiers", place.removeprefix(TIER_PLACE), named.split(",")
        else:
            kind, name, value = "tasks", place, named
        if name in found.setdefault(kind, {}):
            raise click.BadParameter(f"{place} is set twice: name it once.")
        found[kind][name] = value
    return found or None


@command.command("start")
@click.argument("profile", required=False, shell_complete=profile_names)
@click.option(
    "--set",
    "edit",
    multiple=True,
    callback=_edit,
    help="Instead of PROFILE: what the active one is to say, such as chat=tier_complex or "
    "tiers.fast=tier_fast,tier_medium; repeatable.",
)
@click.option("--steps", callback=_shares, help="Percent of the conversations. Default: 1,10,50,100.")
@click.option("--hold", callback=_seconds, help="How long each step is watched: 30s, 10m, 2h. Default: 10m.")
@click.option(
    "--guard", "guards", multiple=True, callback=_guards, help="Such as error_rate:worse_by=0.02; repeatable."
)
@click.option("--least", type=click.IntRange(1), help="Requests of each arm that a step needs. Default: 100.")
@click.option("--on-breach", type=click.Choice(["rollback", "pause"]), help="Default: rollback.")
@click.option("--on-done", type=click.Choice(["promote", "ask"]), help="Default: ask.")
@warm_options
@force_option
@change_options
@online
def start(connection: Connection, **given: Any) -> None:
    """Let PROFILE, or the active one with what --set says, answer a growing share of the conversations.

    It goes back by itself when it is worse than the active one, and on when it is not.
    """
    if (given["profile"] is None) is (given["edit"] is None):
        raise click.UsageError("Name a profile, or what to change of the active one with --set.")
    planned = stated({name: given.pop(name) for name in PLANNED})
    warm, patience = warmed(given)
    change = PendingChange("POST", "/rollouts", {**planned, **warm}, patience=patience)
    sys.exit(carry_out(connection, change, How(**given)))


@command.command("status")
@click.argument("rollout", required=False)
@json_option
@online
def status(connection: Connection, rollout: str | None, *, as_json: bool) -> None:
    """Show both arms side by side, and what comes next. Exit code 1 where a guard is breached."""
    path = f"/rollouts/{path_step(rollout)}" if rollout else "/rollouts"
    document = connection.get(path).document
    found = document if rollout else document["running"]
    if found is None:
        answer(None, lambda: ["No rollout runs."], as_json=as_json)
        return
    answer(found, lambda: _shown(found), as_json=as_json)
    sys.exit(1 if any(one["verdict"] == "breached" for one in found["findings"]) else 0)


@command.command("history")
@click.argument("rollout", required=False)
@json_option
@online
def history(connection: Connection, rollout: str | None, *, as_json: bool) -> None:
    """Show earlier rollouts, or what was done to one of them and why, with the newest figures of both arms."""
    if rollout is None:
        listed = connection.get("/rollouts").document
        answer(listed, lambda: [_listed(listed["rollouts"])], as_json=as_json)
        return
    told = connection.get(f"/rollouts/{path_step(rollout)}/history").document
    answer(told, lambda: _told(told["events"]), as_json=as_json)


@command.command("promote")
@change_options
@online
def promote(connection: Connection, **how: Any) -> None:
    """Make what is tried what answers everybody, now."""
    _act(connection, "promote", how)


@command.command("pause")
@change_options
@online
def pause(connection: Connection, **how: Any) -> None:
    """Leave the share as it is; guards are watched on."""
    _act(connection, "pause", how)


@command.command("resume")
@change_options
@online
def resume(connection: Connection, **how: Any) -> None:
    """Let a paused rollout go on."""
    _act(connection, "resume", how)


@command.command("abort")
@change_options
@online
def abort(connection: Connection, **how: Any) -> None:
    """End the rollout: the active profile answers everybody again."""
    _act(connection, "abort", how)


def _act(connection: Connection, act: str, how: Mapping[str, Any]) -> None:
    running = connection.get("/rollouts", limit=1).document["running"]
    if running is None:
        raise UnknownRollout("No rollout runs.")
    change = PendingChange("POST", f"/rollouts/{path_step(running['id'])}/{act}", {})
    sys.exit(carry_out(connection, change, How(**how)))


def _shown(found: Mapping[str, Any]) -> list[Table | str]:
    steps = ", ".join(f"{share:g} %" for share in found["steps"])
    told = [
        ("rollout", found["id"]),
        ("tries", f"{found['profile']}, against {found['control']}"),
        *_edited(found),
        ("phase", found["phase"]),
        ("share", f"{found['share']:g} % (steps {steps}, then all)"),
        ("watched", f"{found['held']:.0f} of {found['hold']:.0f} s"),
        ("next", f"{found['next'] or 'nothing'}: {found['why']}"),
    ]
    return [facts(told), *_arms(found["findings"], "")]


def _arms(findings: Sequence[Mapping[str, Any]], above: str) -> list[Table | str]:
    """Return the figures of both arms, under a line; nothing where there are none."""
    columns = ("guard", "task", ">bound", ">control", ">requests", ">canary", ">requests", "")
    return [above, table(columns, map(_row, findings))] if findings else []


def _edited(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    edit = found.get("edit") or {}
    ladders = {f"{TIER_PLACE}{tier}": ", ".join(groups) for tier, groups in edit.get("tiers", {}).items()}
    for place, group in ({**edit.get("tasks", {}), **ladders}).items():
        yield "edits", clean(f"{place} -> {group}")


def _row(finding: Mapping[str, Any]) -> tuple[object, ...]:
    metric, control, canary = finding["metric"], finding["control"], finding["canary"]
    return (
        metric,
        finding["task"] or "all",
        f"{finding['limit']} {finding['bound']:g}",
        _figure(metric, control),
        control["samples"],
        _figure(metric, canary),
        canary["samples"],
        WORDS.get(finding["verdict"], finding["verdict"]),
    )


def _figure(metric: str, figure: Mapping[str, Any]) -> str:
    """Return what was seen, and between which bounds the truth lies."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "-"
    style = ".1%" if metric.endswith("_rate") else ".4g"
    above = "" if high is None else format(high, style)
    return f"{value:{style}} [{low or 0:{style}}, {above}]"


def _listed(rollouts: Sequence[Mapping[str, Any]]) -> Table:
    rows = (
        (one["id"], moment(one["started_at"]), one["control"], one["profile"], one["phase"], one["share"])
        for one in rollouts
    )
    return table(("rollout", "began", "control", "tries", "phase", ">percent"), rows)


def _told(events: Sequence[Mapping[str, Any]]) -> list[Table | str]:
    newest = next((one for one in events if one["evidence"]), None)
    if newest is None:
        return [_events(events)]
    at = f"The figures of both arms at revision {newest['revision']} ({newest['act']}):"
    return [_events(events), *_arms(newest["evidence"], f"\n{at}")]


def _events(events: Sequence[Mapping[str, Any]]) -> Table:
    rows = (
        (one["revision"], moment(one["at"]), one["act"], one["actor"], clean(one["why"])) for one in events
    )
    return table((">revision", "when", "act", "by", "why"), rows)
