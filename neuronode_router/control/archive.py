"""Moves the oldest rows of the audit log, and what only they name, into a file: sets of profiles and rollouts.

The file goes on to prove what it proved in the database: it is the same chain, and the log remembers the hash that its
first row follows. It must not know when this is done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, or_, select, update

from neuronode_router.control.audit import ArchivedRow, AuditLog, archived_until, entries
from neuronode_router.domain.audit import AuditEntry
from neuronode_router.errors import SettingsError
from neuronode_router.rollouts.course import Phase
from neuronode_router.storage.database import Database
from neuronode_router.storage.tables import (
    audit,
    audit_archive,
    profile_set,
    rollout,
    rollout_event,
    state,
)

SHORTER = "Name a shorter time with --older-than."


@dataclass(frozen=True, slots=True)
class Archived:
    """What was moved."""

    first: int
    last: int
    """Revisions."""
    sets: int
    """Sets of profiles that nothing names any more."""
    rollouts: int = 0
    """Those that were over by then, with what was done to them."""


def archive(database: Database, file: Path, *, before: float) -> Archived:
    """Move the rows that are older than `before` (Unix time) into a new file, one JSON object a line; behind them, as
    `ArchivedRow`, what only they name.

    The newest row stays, whatever its age. The whole log is verified first, and the file is on the disk before a row is
    deleted: after a crash rows may be in both, in no case in neither. Raises `AuditBroken`, `SettingsError` where
    nothing is that old, `StoreUnavailable`, and `OSError` for the file, which must not exist.
    """
    AuditLog(database).verify()
    with database.reading() as connection:
        rows = _older(connection, before)
        if not rows:
            raise SettingsError("No revision but the newest is as old as that.", fix=SHORTER)
        along = list(_named(connection, rows[-1].revision))
    _write(file, [*rows, *along])
    with database.writing() as connection:
        connection.execute(select(state).with_for_update()).one()
        if archived_until(connection).revision + 1 != rows[0].revision:
            raise SettingsError("Somebody else has archived these rows meanwhile.", fix=SHORTER)
        gone = _drop(connection, rows[-1])
    return Archived(rows[0].revision, rows[-1].revision, gone[profile_set], gone[rollout])


def _older(connection: Connection, before: float) -> list[AuditEntry]:
    """Return the rows before the first one that is not older: clocks may have been set back in between."""
    head = connection.execute(select(state.c.revision)).scalar_one()
    young = select(func.min(audit.c.revision)).where(audit.c.revision >= 1, audit.c.at >= before)
    first = connection.execute(young).scalar_one()
    until = head - 1 if first is None else min(head, first) - 1
    return list(entries(connection, after=archived_until(connection).revision, until=until))


def _write(file: Path, rows: Sequence[AuditEntry | ArchivedRow]) -> None:
    with file.open("x", encoding="utf-8") as lines:
        file.chmod(0o600)
        for row in rows:
            lines.write(json.dumps(asdict(row), separators=(",", ":")) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def _drop(connection: Connection, last: AuditEntry) -> dict[Table, int]:
    place = {"revision": last.revision, "hash": last.hash}
    # What only old rows name is less than when it was written to the file, if anything: what is committed adds names.
    gone = {
        table: connection.execute(delete(table).where(condition)).rowcount
        for table, condition in _only_named_by(connection, last.revision)
    }
    connection.execute(delete(audit).where(audit.c.revision.between(1, last.revision)))
    if not connection.execute(update(audit_archive).values(**place)).rowcount:
        connection.execute(insert(audit_archive).values(id=1, **place))
    return gone


def _named(connection: Connection, last: int) -> Iterator[ArchivedRow]:
    for table, condition in _only_named_by(connection, last):
        for row in connection.execute(select(table).where(condition)):
            yield ArchivedRow(table.name, dict(row._mapping))


def _only_named_by(connection: Connection, last: int) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield which rows of which tables only revisions up to `last` name.

    Policies stay: by them alone an old copy of the policy file is known for one.
    """
    stay = audit.c.revision > last
    named = or_(
        profile_set.c.digest.in_(select(audit.c.digest_after).where(stay)),
        profile_set.c.digest.in_(
            select(audit.c.digest_before).where(stay, audit.c.digest_before.is_not(None))
        ),
        profile_set.c.digest.in_(select(state.c.digest).where(state.c.digest.is_not(None))),
    )
    yield profile_set, ~named
    ended = rollout.c.phase.in_([phase.value for phase in Phase if phase.over])
    acted_on = rollout.c.id.in_(select(rollout_event.c.rollout).where(rollout_event.c.revision > last))
    over = connection.execute(select(rollout.c.id).where(ended, ~acted_on)).scalars().all()
    yield rollout_event, rollout_event.c.rollout.in_(over)
    yield rollout, rollout.c.id.in_(over)
