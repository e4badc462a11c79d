"""`neuronode profile`: show, compare and check profiles; switch and roll back.

It must not know what a change needs besides its name: `consent` carries it out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from neuronode_router.cli.connection import Connection, checked
from neuronode_router.cli.consent import Change, How, carry_out
from neuronode_router.cli.options import (
    PATH,
    dry_run_option,
    json_option,
    online,
    reason_option,
    wait_option,
    yes_option,
)
from neuronode_router.cli.output import answer, changes_table, clean, facts, table
from neuronode_router.cli.plan import plan
from neuronode_router.cli.profile_edit import edit
from neuronode_router.cli.profile_text import in_order, read_profile
from neuronode_router.errors import UnknownProfile


@click.group("profile")
def command() -> None:
    """Show, compare, check and change profiles."""


command.add_command(plan)
command.add_command(edit)


@command.command("list")
@json_option
@online
def list_profiles(connection: Connection, *, as_json: bool) -> None:
    """Show the profiles, the active one marked."""
    listed = connection.get("/profiles/list").document
    rows = (
        (
            "*" if profile["name"] == listed["active_profile"] else "",
            profile["name"],
            profile["cost_level"],
            profile["performance_level"],
            profile["description"],
        )
        for profile in listed["profiles"]
    )
    columns = ("", "profile", "cost", "performance", "description")
    answer(listed, lambda: [table(columns, rows)], as_json=as_json)


@command.command("show")
@click.argument("name")
@json_option
@online
def show_profile(connection: Connection, name: str, *, as_json: bool) -> None:
    """Show one profile with its mappings and tiers."""
    listed = connection.get("/profiles/list").document["profiles"]
    found = [profile for profile in listed if profile["name"] == name]
    if not found:
        raise UnknownProfile(name, [profile["name"] for profile in listed])
    profile = in_order(found[0])
    answer(profile, lambda: _parts(profile), as_json=as_json)


def _parts(profile: Mapping[str, Any]) -> list[Table | str]:
    told = [(key, value) for key, value in profile.items() if not isinstance(value, dict | list)]
    tiers = ((tier, ", ".join(groups)) for tier, groups in profile["tiers"].items())
    return [
        facts([*told, ("allowed_teams", ", ".join(profile["allowed_teams"]) or "-")]),
        "",
        table(("task", "group"), profile["tasks"].items()),
        "",
        table(("tier", "groups"), tiers),
    ]


@command.command("diff")
@click.argument("before")
@click.argument("after")
@json_option
@online
def diff(connection: Connection, before: str, after: str, *, as_json: bool) -> None:
    """Show which tasks two profiles send elsewhere."""
    difference = connection.get("/profiles/diff", **{"from": before, "to": after}).document
    changes = difference["changes"]
    same = f"{clean(before)} and {clean(after)} send every task to the same group."
    answer(difference, lambda: [changes_table(changes) if changes else same], as_json=as_json)


@command.command("validate")
@click.argument("file", required=False, type=PATH)
@json_option
@online
def validate(connection: Connection, file: Path | None, *, as_json: bool) -> None:
    """Check the proxy's profile files.

    With FILE that one is checked instead, as if it were one of them. Nothing is changed. Exit code 1 when there
    are problems.
    """
    if file is None:
        problems = checked(connection, None)
    else:
        text = read_profile(file)
        problems = [
            text.located(problem)
            for problem in checked(connection, {"name": file.stem, "profile": text.document})
        ]
    verdict = {"valid": not problems, "problems": [asdict(problem) for problem in problems]}
    summary = f"{len(problems)} problems." if problems else "Valid."
    answer(verdict, lambda: [*map(clean, problems), summary], as_json=as_json)
    sys.exit(1 if problems else 0)


@command.command("switch")
@click.argument("name")
@yes_option
@dry_run_option
@reason_option
@wait_option
@json_option
@online
def switch(connection: Connection, name: str, **how: Any) -> None:
    """Let another profile answer, in every worker."""
    code = carry_out(connection, Change("POST", "/profiles/switch", {"profile": name}), How(**how))
    sys.exit(code)


@command.command("rollback")
@click.argument("revision", required=False, type=click.IntRange(min=1))
@yes_option
@dry_run_option
@reason_option
@wait_option
@json_option
@online
def rollback(connection: Connection, revision: int | None, **how: Any) -> None:
    """Bring back an earlier revision.

    Profile and mappings of REVISION, or of the revision before, return as a new revision."""
    body: Mapping[str, Any] = {"to": revision or "previous"}
    sys.exit(carry_out(connection, Change("POST", "/profiles/rollback", body), How(**how)))
