"""`neuronode audit`: the log of a running proxy, followed if asked; and the check of a store's hash chain.

It must not know how the log is kept.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from neuronode_router.cli.commands.watch import following
from neuronode_router.cli.http import Connection
from neuronode_router.cli.moment import Moment, resolved, to_moment
from neuronode_router.cli.names import profile_names
from neuronode_router.cli.options import config_option, json_option, online, settings_with, state_dir_option
from neuronode_router.cli.terminal import answer, clean, moment, print_json_line, show, table
from neuronode_router.domain.audit import Action, profile_path
from neuronode_router.errors import AuditBroken, SettingsError

if TYPE_CHECKING:
    from neuronode_router.control.store import ControlStore

ACTIONS = get_args(Action)
BOUND = ("team:", "key:")
SHOWN = 2
"""Changes of a row that are told."""
MOST = 60
"""Characters that are told of either side of one."""


@click.group("audit")
def command() -> None:
    """Look into the audit log."""


@command.command("tail")
@click.option("-n", "--lines", default=10, show_default=True, type=click.IntRange(1, 500), help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on, line by line, until Ctrl-C; reconnects by itself.")
@click.option("--actor", help="Only what this actor did.")
@click.option("--action", type=click.Choice(ACTIONS), help="Only this kind of act.")
@click.option("--profile", shell_complete=profile_names, help="Only acts from, to or on this profile.")
@json_option
@online
def tail(connection: Connection, *, lines: int, follow: bool, as_json: bool, **wanted: str | None) -> None:
    """Show who changed what, when and why, the newest at the end. With --json one line for each entry."""
    now = connection.get("/profiles/status").document["revision"]
    page = connection.get("/audit", limit=lines, before=now + 1, **wanted).document["entries"]
    entries = page[::-1]
    if as_json or follow:
        for entry in entries:
            _print_line(entry, as_json=as_json)
    else:
        show(table(("revision", "when", "action", "what", "actor", "reason"), map(_row, entries)))
    if follow:
        _follow(connection, now, as_json=as_json, wanted=wanted)


def _follow(connection: Connection, after: int, *, as_json: bool, wanted: Mapping[str, str | None]) -> None:
    with following(connection, after) as revisions:
        for event in revisions:
            if event is not None and matches(event.entry, wanted):
                _print_line(event.entry, as_json=as_json)


def _print_line(entry: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json_line(entry)
    else:
        click.echo(entry_line(entry))


def matches(entry: Mapping[str, Any], wanted: Mapping[str, str | None]) -> bool:
    """Return whether the proxy would have answered with an entry, asked for what is wanted."""
    actor, action, profile = (wanted[name] for name in ("actor", "action", "profile"))
    name = entry["actor"]["name"]
    return (
        (actor is None or name == actor or name.startswith(f"{actor} ("))
        and action in (None, entry["action"])
        and (profile is None or _concerns(entry, profile))
    )


def _concerns(entry: Mapping[str, Any], profile: str) -> bool:
    edited = any(each["task"].startswith(profile_path(profile)) for each in entry["changes"])
    return edited or profile in (entry["profile_before"], entry["profile_after"])


@command.command("verify")
@state_dir_option
@config_option
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An exported copy (GET /admin/audit?format=ndjson): the log must hold all of it, unchanged.",
)
@json_option
def verify(*, as_json: bool, against: Path | None, **paths: Path | None) -> None:
    """Check the hash chain of the audit log; exit code 1 names the first revision that is wrong."""
    try:
        with _existing_store(paths) as store:
            count = store.audit.verify(against=_copied(against) if against else None)
        if count == 0:
            raise AuditBroken("The store holds no audit log: nothing was ever committed in it.", revision=0)
    except AuditBroken as error:
        message, fix = error.message, error.fix
        verdict = {"ok": False, "revision": error.revision, "message": message, "fix": fix}
        answer(verdict, lambda: [message, f"Fix: {fix}"], as_json=as_json)
        sys.exit(1)
    intact = f"The audit log is intact: {count} revisions."
    answer({"ok": True, "revisions": count}, lambda: [intact], as_json=as_json)


def _copied(file: Path) -> Mapping[int, str]:
    from neuronode_router.control.audit import read_copy

    # As bytes, whose lines end at \n alone: a reason may hold what else ends lines of text.
    with file.open("rb") as lines:
        return read_copy(lines)


@contextmanager
def _existing_store(paths: Mapping[str, Path | None]) -> Iterator[ControlStore]:
    """Open the store that there is: who looks into one must not make it. Raises `AuditBroken` where there is none."""
    from neuronode_router.control.store import ControlStore

    store = ControlStore(settings_with(paths).state_url)
    try:
        missing = store.database.missing()
        if missing:
            message = f"There is no audit log at {missing}: nothing was ever committed there."
            raise AuditBroken(
                message, revision=0, fix="Say where the proxy keeps its state, with --state-dir."
            )
        yield store
    finally:
        store.close()


@command.command("archive")
@state_dir_option
@config_option
@click.option("--older-than", required=True, callback=to_moment, help="Which rows: 90d, 52w, or 2026-01-01.")
@click.option(
    "--to",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The new file, one JSON object a line.",
)
@json_option
def archive_rows(*, as_json: bool, older_than: Moment, to: Path, **paths: Path | None) -> None:
    """Move old rows of the audit log into a file, which `audit verify --against` reads. The proxy may run."""
    from neuronode_router.control.archive import archive

    try:
        with _existing_store(paths) as store:
            before = resolved(older_than, time.time)
            assert before is not None
            moved = archive(store.database, to, before=before)
    except FileExistsError as error:
        raise SettingsError(
            f"{to} exists.", fix="Name a new file: an archive is never overwritten."
        ) from error
    except OSError as error:
        raise SettingsError(f"{to} cannot be written: {error.strerror}.", fix="Name another file.") from error
    lines = [
        f"Revisions {moved.first} to {moved.last} are in {to}, and no longer in the database.",
        f"So are {moved.sets} sets of profiles that only they named (no rollback leads there any more), "
        f"and {moved.rollouts} rollouts.",
    ]
    answer(asdict(moved) | {"file": str(to)}, lambda: lines, as_json=as_json)


def entry_line(entry: Mapping[str, Any]) -> str:
    """Return an entry of the audit log as one line."""
    return "  ".join(clean(cell) for cell in _row(entry)).rstrip()


def _row(entry: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        entry["revision"], moment(entry["at"]), entry["action"], _deed(entry), entry["actor"]["name"], entry["reason"],
    )  # fmt: skip


def _deed(entry: Mapping[str, Any]) -> str:
    """Return from what to what, as the page's `parts/deed.js` says it: of a switch the tasks go unsaid."""
    before, after = entry["profile_before"], entry["profile_after"]
    switched = before != after
    told = [f"{before} -> {after}" if before else str(after)] if switched else []
    told += [_change(**each) for each in entry["changes"] if not switched or not _is_task(each["task"])]
    if len(told) > SHOWN + 1:
        told[SHOWN:] = [f"and {len(told) - SHOWN} more"]
    return "; ".join(told) or str(after)


def _is_task(name: str) -> bool:
    """Return whether a change is of a task: not of who is bound, a rollout, a policy, or a place in a profile."""
    return not name.startswith(("@", *BOUND)) and "." not in name


def _change(*, task: str, before: str | None, after: str | None) -> str:
    kind, _, name = task.partition(":")
    if task.startswith(BOUND):
        return f"{kind} {name}: {_bound(before)} -> {_bound(after)}"
    return f"{task.removeprefix('@')}: {_side(before)} -> {_side(after)}"


def _side(value: str | None) -> str:
    return f"{value[:MOST]}..." if value and len(value) > MOST else value or "-"


def _bound(binding: str | None) -> str:
    return re.sub(r"^active\b", "the active one", binding or "active")
