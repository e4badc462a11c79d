"""`neuronode policy`: what is active by the clock and by rules, why, and what will be.

It must not know how windows and rules are judged: the proxy does that. `check` reads a file without one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from neuronode_router.cli.consent import How, PendingChange, carry_out
from neuronode_router.cli.http import Connection
from neuronode_router.cli.options import PATH, Number, change_options, json_option, online, settings_with
from neuronode_router.cli.terminal import Part, answer, clean, facts, moment, table
from neuronode_router.errors import SettingsError


@click.group("policy")
def command() -> None:
    """See what is active by the clock and by rules, why, and what will be."""


@command.command("show")
@json_option
@online
def show(connection: Connection, *, as_json: bool) -> None:
    """Show what the policy makes active now, why, and how its rules stand."""
    found = connection.get("/policy").document
    answer(found, lambda: _shown(found), as_json=as_json)


@command.command("check")
@click.argument("file", type=PATH, required=False)
@json_option
def check(file: Path | None, *, as_json: bool) -> None:
    """Check a policy file without a proxy. Default: the one that a proxy would read here.

    Profiles, tasks and model groups are not looked up: the proxy does that. Exit code 1 where it has problems.
    """
    from neuronode_router.policy.file import parse_policy

    path = file or settings_with({}).policy
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.", fix="Name a policy file.") from error
    policy, problems = parse_policy(raw, file=path.name)
    told = {"digest": policy.digest if policy else None, "problems": [str(problem) for problem in problems]}
    answer(
        told, lambda: [clean(problem) for problem in problems] or [f"{path.name} is valid."], as_json=as_json
    )
    sys.exit(1 if problems else 0)


@command.command("preview")
@click.option("--days", type=Number(0, 62, min_open=True), default=14, show_default=True)
@json_option
@online
def preview(connection: Connection, *, days: float, as_json: bool) -> None:
    """Show what will be active in the days to come, if rules and rollouts stay as they are now."""
    found = connection.get("/policy/preview", days=days).document
    rows = (
        (moment(one["since"]), moment(one["until"]), one["profile"], one["why"]) for one in found["stretches"]
    )
    answer(found, lambda: [table(("from", "until", "profile", "why"), rows)], as_json=as_json)


@command.command("release")
@change_options
@online
def release(connection: Connection, **how: Any) -> None:
    """End what a person holds: the policy decides again."""
    sys.exit(carry_out(connection, PendingChange("POST", "/policy/release", {}), How(**how)))


def _shown(found: Mapping[str, Any]) -> list[Part]:
    hold = found["now"]["hold"]
    told: list[tuple[str, object]] = [
        ("active", found["active"]),
        ("why", found["now"]["why"]),
        ("precedence", " > ".join(found["precedence"])),
        ("policy", found["digest"][:12] or "none in force"),
        ("file", found["file"]),
    ]
    if hold:
        until = "until it is released" if hold["until"] is None else f"until {moment(hold['until'])}"
        told.append(("held", f"{hold['profile']} by {hold['by']} {until}"))
    if found["now"]["then"]:
        told.append(("then", found["now"]["then"]))
    parts: list[Part] = [facts(told)]
    return [*parts, "", _rules(found["rules"])] if found["rules"] else parts


def _rules(rules: Sequence[Mapping[str, Any]]) -> Table:
    rows = ((one["name"], one["wants"], _state(one), moment(one["since"]), one["facts"]) for one in rules)
    return table(("rule", "wants", "state", "since", "now"), rows)


def _state(rule: Mapping[str, Any]) -> str:
    state = "applies" if rule["active"] else "waits"
    return f"{state} (dry run)" if rule["dry_run"] else state
