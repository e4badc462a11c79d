"""The audit log's table: pages of it, and the proof that it was not tampered with.

It only reads: rows are written by the commit of the revision they belong to. It must not know who may read them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, update

from neuronode_router.control import chain
from neuronode_router.domain.audit import Action, Actor, AuditEntry, profile_path
from neuronode_router.domain.profiles import TaskChange
from neuronode_router.errors import AuditBroken
from neuronode_router.storage.database import Database
from neuronode_router.storage.tables import audit, audit_archive, profile_set, state

logger = logging.getLogger(__name__)

PAGE_LIMIT = 1000

_HEAD = select(state.c.revision).scalar_subquery()
_REWRITTEN = "Somebody wrote the log, or the copy, anew: look into each part of the copy by itself."
_EXPORT = "Export it again: GET /admin/audit?format=ndjson, or `neuronode audit tail --json`."


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows, newest first: `before` and `after` are revisions (exclusive), times are Unix seconds."""

    limit: int = 50
    before: int | None = None
    after: int | None = None
    actor: str | None = None
    action: Action | None = None
    profile: str | None = None
    """Rows that led to or away from this profile, or changed what it says."""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """A row of another table, which an archive keeps beside the entries that named it."""

    table: str
    row: Mapping[str, Any]


_EXPORTED: TypeAdapter[AuditEntry | ArchivedRow] = TypeAdapter(AuditEntry | ArchivedRow)


class AuditLog:
    """Reads the audit table. Methods block and may raise `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        """Return at most `query.limit` (capped at 1000) rows, newest first. The last row's revision is the cursor."""
        with self._database.reading() as connection:
            return tuple(_to_entry(row) for row in connection.execute(_select(query)))

    def verify(self, *, against: Mapping[int, str] | None = None) -> int:
        """Check every row, the head, the stored sets, and a copy if one is given; return the newest revision.

        `against` is the hash of each revision in a copy, as `read_copy` returns it. Raises `AuditBroken` naming the
        first revision that is wrong.
        """
        copied = dict(against or {})
        newest = max(copied, default=None)
        with self._database.reading() as connection:
            head = connection.execute(select(state)).one()
            place, previous = archived_until(connection), None
            if newest is not None and newest < place.revision:
                raise _nothing_compared(newest, place)
            _compare_archived(place, copied)
            for entry in entries(connection, after=place.revision, until=head.revision):
                fault = chain.fault(entry, after=place)
                if fault:
                    raise AuditBroken(f"The audit log is broken: {fault}.", revision=place.revision + 1)
                if copied.pop(entry.revision, entry.hash) != entry.hash:
                    message = f"Row {entry.revision} is another one than in the copy."
                    raise AuditBroken(message, revision=entry.revision)
                place, previous = chain.ChainLink(entry.revision, entry.hash), entry
            _check_head(head, previous)
            _check_sets(connection)
            _check_strays(connection)
        if copied:
            message = f"The copy goes on to revision {max(copied)}, the audit log ends at {head.revision}."
            raise AuditBroken(message, revision=min(copied))
        return int(head.revision)


def read_copy(lines: Iterable[bytes]) -> dict[int, str]:
    """Return the hash of each revision in an exported copy or an archive, one JSON object a line, or in several joined.

    Raises `AuditBroken` for a line that is none or whose hash is not that of its fields, for two that contradict each
    other, and where there is none at all.
    """
    found: dict[int, str] = {}
    follows: dict[int, str] = {}
    for number, line in enumerate(lines, start=1):
        entry = _exported(number, line) if line.strip() else None
        if not isinstance(entry, AuditEntry):
            continue
        if found.setdefault(entry.revision, entry.hash) != entry.hash:
            message = f"Line {number} of the copy is another revision {entry.revision} than a line before it."
            raise AuditBroken(message, revision=entry.revision, fix=_REWRITTEN)
        follows[entry.revision] = entry.previous_hash
    if not found:
        raise AuditBroken("The copy holds no entry of an audit log.", revision=0, fix=_EXPORT)
    for revision in sorted(found):
        if found.get(revision - 1, follows[revision]) != follows[revision]:
            message = f"Revision {revision} of the copy does not follow the one before it."
            raise AuditBroken(message, revision=revision, fix=_REWRITTEN)
    return found


def _exported(number: int, line: bytes) -> AuditEntry | ArchivedRow:
    try:
        entry = _EXPORTED.validate_json(line)
    except ValidationError as error:
        message = f"Line {number} of the copy is no entry of an audit log."
        raise AuditBroken(message, revision=0, fix=_EXPORT) from error
    if isinstance(entry, AuditEntry) and entry.hash != chain.entry_hash(entry):
        message = f"Line {number} of the copy was edited: its hash is not that of revision {entry.revision}."
        raise AuditBroken(message, revision=entry.revision, fix=_EXPORT)
    return entry


def _nothing_compared(newest: int, place: chain.ChainLink) -> AuditBroken:
    message = (
        f"The copy ends at revision {newest}, the log goes on from {place.revision}: nothing was compared."
    )
    return AuditBroken(message, revision=newest, fix="Join the archives from there on to it.")


def archived_until(connection: Connection) -> chain.ChainLink:
    """Return what the first row follows: the newest one that was archived, or the start."""
    row = connection.execute(select(audit_archive.c.revision, audit_archive.c.hash)).first()
    return chain.START if row is None else chain.ChainLink(*row)


def _compare_archived(place: chain.ChainLink, copied: dict[int, str]) -> None:
    """Take out of a copy what is archived; its newest row must be the one that the log goes on from."""
    if copied.get(place.revision, place.hash) != place.hash:
        message = f"Row {place.revision}, which the log follows, is another one than in the copy."
        raise AuditBroken(message, revision=place.revision)
    for revision in [each for each in copied if each <= place.revision]:
        del copied[revision]


def set_strays_aside(connection: Connection, *, head: int) -> None:
    """Make room for the revision after `head`: rows that nobody committed must not keep anybody from committing.

    They get negative numbers, at which `verify` finds them.
    """
    strays = connection.execute(select(audit.c.revision).where(audit.c.revision > head)).scalars().all()
    if not strays:
        return
    lowest = min(0, connection.execute(select(func.min(audit.c.revision))).scalar_one())
    for number, revision in enumerate(sorted(strays), start=1):
        connection.execute(update(audit).where(audit.c.revision == revision).values(revision=lowest - number))
    logger.error("neuronode: the audit log held rows that nobody committed: %s; set aside", strays)


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
    committed = audit.c.revision.between(1, _HEAD)
    newest_first = select(audit).where(committed).order_by(audit.c.revision.desc())
    statement = newest_first.limit(max(1, min(query.limit, PAGE_LIMIT)))
    bounds = (
        (audit.c.revision, operator.lt, query.before),
        (audit.c.revision, operator.gt, query.after),
        (audit.c.action, operator.eq, query.action),
        (audit.c.at, operator.ge, query.since),
        (audit.c.at, operator.lt, query.until),
    )
    for column, compare, value in bounds:
        if value is not None:
            statement = statement.where(compare(column, value))
    if query.actor is not None:
        statement = statement.where(_is_called(query.actor))
    if query.profile is not None:
        statement = statement.where(_concerns(query.profile))
    return statement


def _concerns(profile: str) -> ColumnElement[bool]:
    # As `entry_row` writes them; within a text its quotes would be escaped.
    place = f'"task": "{profile_path(profile)}'
    edited = audit.c.changes.contains(place, autoescape=True)
    return or_(audit.c.profile_after == profile, audit.c.profile_before == profile, edited)


def _is_called(name: str) -> ColumnElement[bool]:
    """Return whether an actor has this signature, or its name, without what stands behind it in brackets."""
    return or_(audit.c.actor_name == name, audit.c.actor_name.startswith(f"{name} (", autoescape=True))


def entries(connection: Connection, *, after: int, until: int) -> Iterator[AuditEntry]:
    """Yield the rows of some revisions, oldest first. Raises `AuditBroken` for one that cannot be read."""
    # Bounded by a revision: rows that are committed while we read do not disturb. In pages, because a log may be long.
    last = after
    while True:
        window = audit.c.revision.between(last + 1, until)
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
        (0, chain.GENESIS, None, None, "", "", "")
        if last is None
        else (
            last.revision,
            last.hash,
            last.profile_after,
            last.digest_after,
            last.bindings,
            last.canary,
            last.steering,
        )
    )
    if found != (
        head.revision,
        head.head,
        head.active,
        head.digest,
        head.bindings,
        head.canary,
        head.steering,
    ):
        first_bad = min(head.revision, found[0] + 1)  # the row that was cut off, or else the last one
        raise AuditBroken("The audit log does not end where the state says it does.", revision=first_bad)


def _check_strays(connection: Connection) -> None:
    """Every row is a committed revision. In one statement: what is committed meanwhile is none beyond the head."""
    first = select(func.coalesce(func.max(audit_archive.c.revision), 0)).scalar_subquery()
    outside = or_(audit.c.revision <= first, audit.c.revision > _HEAD)
    stray = (
        connection.execute(select(audit.c.revision).where(outside).order_by(audit.c.revision))
        .scalars()
        .first()
    )
    if stray is not None:
        why = (
            "it is no revision"
            if stray < 1
            else "it stands beyond the newest revision or before the oldest one"
        )
        raise AuditBroken(
            f"Nobody committed row {stray}: {why}.",
            revision=stray,
            fix="Find out who can write to the database; keep a copy of the row, then delete it.",
        )


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
