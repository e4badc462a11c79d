"""`neuronode team`: which profile answers a team or a key while others follow the active one.

It must not know who may bind whom: the proxy decides that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from neuronode_router.access import key_id
from neuronode_router.cli.commands.usage import dollars
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
from neuronode_router.cli.terminal import answer, table
from neuronode_router.domain.names import path_step

kind_option = click.option(
    "--kind", type=click.Choice(["team", "key"]), default="team", show_default=True, help="What NAME is."
)


@click.group("team")
def command() -> None:
    """Let a team or key have a profile of its own."""


@command.command("list")
@json_option
@online
def list_bindings(connection: Connection, *, as_json: bool) -> None:
    """Show who is bound to which profile."""
    listed = connection.get("/bindings").document
    columns = ("bound", "profile", ">beyond", "then", ">monthly budget")
    others = f"Everybody else follows {listed['active_profile']}."
    answer(listed, lambda: [table(columns, map(_row, listed["bindings"])), others], as_json=as_json)


@command.command("bind")
@click.argument("name")
@click.argument("profile", required=False, shell_complete=profile_names)
@click.option("--beyond", type=Number(0, 1, min_open=True), help="Share of the budget, 0 to 1.")
@click.option("--then", shell_complete=profile_names, help="The profile from that share on.")
@click.option("--monthly", type=Number(0, min_open=True), help="The budget in US dollars a month.")
@kind_option
@warm_options
@force_option
@change_options
@online
def bind(
    connection: Connection, name: str, profile: str | None, *, kind: str, force: bool, **given: Any
) -> None:
    """Let PROFILE answer a team or key.

    Without PROFILE it follows the active one until the share of --beyond is spent, and --then from there on.
    """
    beyond = _beyond(*(given.pop(option) for option in ("beyond", "then", "monthly")))
    warm, patience = warmed(given)
    body = {"profile": profile, "beyond": beyond, **stated({"force": force or None}), **warm}
    change = PendingChange("PUT", _path(kind, name), body, patience=patience)
    sys.exit(carry_out(connection, change, How(**given)))


def _beyond(share: float | None, then: str | None, monthly: float | None) -> dict[str, object] | None:
    if (share is None) != (then is None) or (monthly is not None and share is None):
        raise click.UsageError("--beyond and --then belong together, and --monthly to both.")
    return None if share is None else {"share": share, "profile": then, "monthly_usd": monthly}


@command.command("unbind")
@click.argument("name")
@kind_option
@change_options
@online
def unbind(connection: Connection, name: str, *, kind: str, **how: Any) -> None:
    """Let a team or key follow the active profile again."""
    change = PendingChange("DELETE", _path(kind, name), None, options_in_query=True)
    sys.exit(carry_out(connection, change, How(**how)))


def _path(kind: str, name: str) -> str:
    # A plain key would be logged with the address.
    return f"/bindings/{kind}/{path_step(key_id(name) if kind == 'key' else name)}"


def _row(binding: Mapping[str, Any]) -> tuple[object, ...]:
    beyond = binding["beyond"] or {}
    share = f"{beyond['share']:.0%}" if beyond else None
    monthly = dollars(beyond.get("monthly_usd"))
    return binding["subject"], binding["profile"] or "the active one", share, beyond.get("profile"), monthly
