"""`neuronode profile`: show, compare and check profiles; switch and roll back.

It must not know what a change needs besides its name: `consent` carries it out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from neuronode_router.cli.commands.plan import plan
from neuronode_router.cli.commands.proof import matrix, validate
from neuronode_router.cli.consent import How, PendingChange, carry_out, warmed
from neuronode_router.cli.http import Connection, stated
from neuronode_router.cli.moment import Moment, resolved, to_future
from neuronode_router.cli.names import profile_names
from neuronode_router.cli.options import (
    change_options,
    force_option,
    json_option,
    online,
    warm_options,
)
from neuronode_router.cli.profile.edit import edit
from neuronode_router.cli.profile.outlook import outlook
from neuronode_router.cli.profile.text import in_order
from neuronode_router.cli.terminal import Part, answer, changes_table, clean, facts, table
from neuronode_router.errors import UnknownProfile


@click.group("profile")
def command() -> None:
    """Show, compare, check and change profiles."""


command.add_command(plan)
command.add_command(edit)
command.add_command(validate)
command.add_command(matrix)


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
@click.argument("name", shell_complete=profile_names)
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


def _parts(profile: Mapping[str, Any]) -> list[Part]:
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
@click.argument("before", shell_complete=profile_names)
@click.argument("after", shell_complete=profile_names)
@json_option
@online
def diff(connection: Connection, before: str, after: str, *, as_json: bool) -> None:
    """Show which tasks two profiles send elsewhere."""
    difference = connection.get("/diff", **{"from": before, "to": after}).document
    changes = difference["changes"]
    same = f"{clean(before)} and {clean(after)} send every task to the same group."
    answer(difference, lambda: [changes_table(changes) if changes else same], as_json=as_json)


@command.command("switch")
@click.argument("name", shell_complete=profile_names)
@click.option("--move", is_flag=True, help="Keep no conversation where it is, whatever the profiles say.")
@click.option(
    "--until", callback=to_future, help="When the policy decides again: 18:00, 2h, 2026-11-01T08:00."
)
@click.option("--hold", is_flag=True, help="Hold it until `neuronode policy release`, also without a policy.")
@warm_options
@force_option
@change_options
@online
def switch(
    connection: Connection,
    name: str,
    *,
    move: bool,
    until: Moment | None,
    hold: bool,
    force: bool,
    **how: Any,
) -> None:
    """Let another profile answer, in every worker.

    While a policy is in force the switch is held: rules and windows wait until `neuronode policy release`, or --until.
    """
    warm, patience = warmed(how)
    # An older proxy understands a body without what nobody asked for.
    asked = {
        "until": resolved(until, connection.now),
        "hold": hold or None,
        "conversations": "move" if move else None,
    }
    body = {"profile": name, **warm, **stated({**asked, "force": force or None})}
    change = PendingChange("POST", "/profiles/switch", body, patience=patience)
    sys.exit(carry_out(connection, change, How(**how), outlook=lambda: outlook(connection, name)))


@command.command("rollback")
@click.argument("revision", required=False, type=click.IntRange(min=1))
@warm_options
@force_option
@change_options
@online
def rollback(connection: Connection, revision: int | None, *, force: bool, **how: Any) -> None:
    """Bring back an earlier revision.

    Profile and mappings of REVISION, or of the revision before, return as a new revision."""
    warm, patience = warmed(how)
    body = {"to": revision or "previous", **warm, **stated({"force": force or None})}
    sys.exit(carry_out(connection, PendingChange("POST", "/rollback", body, patience=patience), How(**how)))
