"""`neuronode audit`: the log of a running proxy, followed if asked; and the check of a store's hash chain.

It must not know how the log is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from neuronode_router.cli.connection import Connection
from neuronode_router.cli.options import config_option, json_option, online, settings_with, state_dir_option
from neuronode_router.cli.output import clean, moment, print_json, print_json_line, show, table
from neuronode_router.errors import AuditBroken

ACTIONS = ("bootstrap", "switch", "rollback", "edit", "reload")


@click.group("audit")
def command() -> None:
    """Look into the audit log."""


@command.command("tail")
@click.option("-n", "--lines", default=10, show_default=True, type=click.IntRange(1, 500), help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on, line by line, until Ctrl-C; reconnects by itself.")
@click.option("--actor", help="Only what this actor did.")
@click.option("--action", type=click.Choice(ACTIONS), help="Only this kind of act.")
@click.option("--profile", help="Only acts from or to this profile.")
@json_option
@online
def tail(connection: Connection, *, lines: int, follow: bool, as_json: bool, **wanted: str | None) -> None:
    """Show who changed what, when and why, the newest at the end. With --json one line for each entry."""
    entries = connection.get("/profiles/audit", limit=lines, **wanted).document["entries"][::-1]
    if as_json:
        for entry in entries:
            print_json_line(entry)
    elif entries and not follow:
        show(table(("revision", "when", "action", "profile", "actor", "reason"), map(_row, entries)))
    else:
        for entry in entries:
            click.echo(entry_line(entry))
    if follow:
        _follow(connection, entries, as_json=as_json, wanted=wanted)


def _follow(
    connection: Connection, shown: list[dict[str, Any]], *, as_json: bool, wanted: dict[str, str | None]
) -> None:
    from neuronode_router.cli.watch import following

    after = connection.get("/profiles/status").document["revision"]
    after = min(after, shown[-1]["revision"]) if shown and not any(wanted.values()) else after
    with following(connection, after) as revisions:
        for event in revisions:
            if event is not None and _matches(event.entry, wanted):
                print_json_line(event.entry) if as_json else click.echo(entry_line(event.entry))


def _matches(entry: dict[str, Any], wanted: dict[str, str | None]) -> bool:
    found = {
        "actor": (entry["actor"]["name"],),
        "action": (entry["action"],),
        "profile": (entry["profile_before"], entry["profile_after"]),
    }
    return all(value is None or value in found[name] for name, value in wanted.items())


@command.command("verify")
@state_dir_option
@config_option
@json_option
def verify(*, as_json: bool, **paths: Path | None) -> None:
    """Check the hash chain of the audit log; exit code 1 names the first revision that is wrong."""
    from neuronode_router.control.store import ControlStore

    store = ControlStore(settings_with(paths).state_url)
    try:
        count = store.audit.verify()
        if count == 0:
            raise AuditBroken("The store holds no audit log: nothing was ever committed in it.", revision=0)
    except AuditBroken as error:
        verdict = {"ok": False, "revision": error.revision, "message": error.message}
        print_json(verdict) if as_json else show(error.message)
        sys.exit(1)
    finally:
        store.close()
    print_json({"ok": True, "revisions": count}) if as_json else show(
        f"The audit log is intact: {count} revisions."
    )


def entry_line(entry: dict[str, Any]) -> str:
    """Return an entry of the audit log as one line."""
    return "  ".join(clean(cell) for cell in _row(entry)).rstrip()


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    before, after = entry["profile_before"], entry["profile_after"]
    profile = after if before in (None, after) else f"{before} -> {after}"
    return (
        entry["revision"], moment(entry["at"]), entry["action"], profile, entry["actor"]["name"], entry["reason"],
    )  # fmt: skip
