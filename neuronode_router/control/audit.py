"""The audit log's table: pages of it, and the proof that it was not tampered with.

It only reads: rows are written by the commit of the revision they belong to. It must not know who may read them.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from neuronode_router.control import chain
from neuronode_router.domain import Action, Actor, AuditEntry, TaskChange
from neuronode_router.errors import AuditBroken
from neuronode_router.storage.database import Database
from neuronode_router.storage.tables import audit, profile_set, state

PAGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows, newest first: `before` and `after` are revisions (exclusive), times are Unix seconds."""

    limit: int = 50
    before: int | None = None
    after: int | None = None
    actor: str | None = None
    action: Action | None = None
    profile: str | None = None
    """Rows that led to or away from this profile."""
    since: float | None = None
    until: float | None = None


class AuditLog:
    """Reads the audit table. Methods block and may raise `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        """Return at most `query.limit` (capped at 1000) rows, newest first. The last row's revision is the cursor."""
        with self._database.reading() as connection:
            return tuple(_to_entry(row) for row in connection.execute(_select(query)))

    def verify(self) -> int:
        """Check every row, the head and the stored sets; return how many rows are good.

        Raises `AuditBroken` naming the first revision that is wrong.
        """
        with self._database.reading() as connection:
            head = connection.execute(select(state)).one()
            previous: AuditEntry | None = None
            for entry in _entries_up_to(connection, head.revision):
                expected = 1 if previous is None else previous.revision + 1
                fault = chain.fault(entry, previous=previous)
                if fault:
                    raise AuditBroken(f"The audit log is broken: {fault}.", revision=expected)
                previous = entry
            _check_head(head, previous)
            _check_sets(connection)
        return int(head.revision)


def entry_row(entry: AuditEntry) -> dict[str, Any]:
    """Return `entry` as the columns of its table. Never raises."""
    row = asdict(entry)
    row["changes"] = json.dumps(row["changes"])
    actor = row.pop("actor")
    return {**row, "actor_name": actor["name"], "actor_kind": actor["kind"]}


def _to_entry(row: Row[*tuple[Any, ...]]) -> AuditEntry:
    columns = dict(row._mapping)
    columns["actor"] = Actor(columns.pop("actor_name"), columns.pop("actor_kind"))
    columns["changes"] = tuple(TaskChange(**change) for change in json.loads(columns["changes"]))
    return AuditEntry(**columns)


def _select(query: AuditQuery) -> Select[Any]:
    statement = select(audit).order_by(audit.c.revision.desc()).limit(max(1, min(query.limit, PAGE_LIMIT)))
    bounds = (
        (audit.c.revision, operator.lt, query.before),
        (audit.c.revision, operator.gt, query.after),
        (audit.c.actor_name, operator.eq, query.actor),
        (audit.c.action, operator.eq, query.action),
        (audit.c.at, operator.ge, query.since),
        (audit.c.at, operator.lt, query.until),
    )
    for column, compare, value in bounds:
        if value is not None:
            statement = statement.where(compare(column, value))
    if query.profile is not None:
        statement = statement.where(
            or_(audit.c.profile_after == query.profile, audit.c.profile_before == query.profile)
        )
    return statement


def _entries_up_to(connection: Connection, revision: int) -> Iterator[AuditEntry]:
    # Bounded by the revision read first: rows that are committed while we read do not disturb. In pages, because a log
    # may be long.
    last = -1
    while True:
        window = audit.c.revision.between(last + 1, revision)
        page = select(audit).where(window).order_by(audit.c.revision).limit(PAGE_LIMIT)
        rows = connection.execute(page).all()
        if not rows:
            return
        for row in rows:
            last = row.revision
            yield _readable(row)


def _readable(row: Row[*tuple[Any, ...]]) -> AuditEntry:
    try:
        return _to_entry(row)
    except (ValueError, TypeError) as error:
        raise AuditBroken(
            f"The audit log is broken: row {row.revision} cannot be read.", revision=row.revision
        ) from error


def _check_head(head: Row[*tuple[Any, ...]], last: AuditEntry | None) -> None:
    found = (
        (0, chain.GENESIS, None, None, "")
        if last is None
        else (last.revision, last.hash, last.profile_after, last.digest_after, last.bindings)
    )
    if found != (head.revision, head.head, head.active, head.digest, head.bindings):
        first_bad = min(head.revision, found[0] + 1)  # the row that was cut off, or else the last one
        raise AuditBroken("The audit log does not end where the state says it does.", revision=first_bad)


def _check_sets(connection: Connection) -> None:
    """Every set that a row names is there, and is what its digest says."""
    statement = (
        select(audit.c.digest_after, profile_set.c.document)
        .join(profile_set, profile_set.c.digest == audit.c.digest_after, isouter=True)
        .distinct()
    )
    for digest, document in connection.execute(statement):
        if document is None or hashlib.sha256(document.encode()).hexdigest() != digest:
            first = select(audit.c.revision).where(audit.c.digest_after == digest).order_by(audit.c.revision)
            raise AuditBroken(
                "The profiles stored for a revision were edited or deleted.",
                revision=int(connection.execute(first).scalars().first() or 0),
            )
