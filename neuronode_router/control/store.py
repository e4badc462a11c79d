"""The control state in SQL: one state row, one set of profiles per digest, one audit row per revision.

It must not know files, workers or LiteLLM. All methods block for a bounded time: call them in a thread. Every one may
raise `StoreUnavailable`, and what reads a state `StateUnreadable`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, literal, select, update

from neuronode_router.control.audit import AuditLog, entry_row, set_strays_aside
from neuronode_router.control.chain import entry_hash
from neuronode_router.control.change import REASON_LIMIT, ChangeOrder, ChangeTarget, storable
from neuronode_router.control.idempotency import Idempotency, IdempotencyKeys
from neuronode_router.control.policy_store import PolicyStore
from neuronode_router.control.rollout_store import RolloutStore
from neuronode_router.control.workers import WorkerRegistry
from neuronode_router.domain.audit import AuditEntry
from neuronode_router.domain.bindings import bindings_from_text, bindings_text
from neuronode_router.domain.profiles import ProfileSet, TaskChange
from neuronode_router.domain.rollouts import canary_from_text, canary_text
from neuronode_router.domain.shadows import shadow_from_text
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import NOT_STEERED, steering_from_text, steering_text
from neuronode_router.errors import CommitUnknown, RevisionConflict, StateUnreadable, UnknownRevision
from neuronode_router.profiles.edits import StagedFiles
from neuronode_router.storage.database import Database, commit
from neuronode_router.storage.tables import audit, profile_set, shadow, state

# Built once: building a statement costs more than running it.
_CURRENT = (
    select(state, profile_set.c.document, shadow.c.document.label("shadow"))
    .join(profile_set, profile_set.c.digest == state.c.digest)
    .outerjoin(shadow, shadow.c.ended_at.is_(None))
)
_CURRENT_UNLESS = _CURRENT.where(state.c.revision != bindparam("unless"))
_AT = (
    select(
        audit.c.revision,
        audit.c.profile_after.label("active"),
        audit.c.at.label("committed_at"),
        audit.c.bindings,
        literal(0).label("moved"),
        literal("").label("canary"),  # what was tried then is not tried again by going back to it
        literal("").label("steering"),  # nor is what a policy made of it
        literal("").label("shadow"),
        profile_set.c.document,
    )
    .join(profile_set, profile_set.c.digest == audit.c.digest_after)
    .where(audit.c.revision == bindparam("wanted"))
)
_LAST_WITH = select(func.max(audit.c.revision)).where(audit.c.digest_after == bindparam("wanted"))
_LOCKED = select(state).with_for_update()
_KNOWN_SET = select(profile_set.c.digest).where(profile_set.c.digest == bindparam("wanted"))
_ADD_SET, _ADD_ENTRY, _MOVE = insert(profile_set), insert(audit), update(state)

Fault = Callable[[str], None]
"""Called with the name of each step of a commit; tests make it raise or kill the process there."""


MOVED = "conversations moved"
"""What the audit log says of a switch that kept none of them, before the reason given."""


def no_fault(_step: str) -> None:
    """Do nothing: the `Fault` of production."""


class ControlStore:
    """The truth about revisions. `registry`, `audit`, `keys`, `rollouts` and `policies` are other tables of it.

    `url`: see `Database`. Nothing is connected before the first call, so building one never fails for a dead database;
    it raises `SettingsError` for a URL that can never work. `worker_ttl`: see `WorkerRegistry`.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        worker_ttl: float = 10.0,
        fault: Fault = no_fault,
    ) -> None:
        self.database = Database(url)
        """Further tables of ours live in the same database: their rooms are given it."""
        self._clock = clock
        self._fault = fault
        self.registry = WorkerRegistry(self.database, clock=clock, ttl=worker_ttl)
        self.audit = AuditLog(self.database)
        self.keys = IdempotencyKeys(self.database, clock=clock)
        self.rollouts = RolloutStore(self.database)
        self.policies = PolicyStore(self.database)

    def revision(self) -> int:
        """Return the current revision; 0 when nothing was ever committed."""
        with self.database.reading() as connection:
            return int(connection.execute(select(state.c.revision)).scalar_one())

    def read(self, *, unless: int | None = None) -> ControlState | None:
        """Return the current state, from one query; None when nothing is committed or its revision is `unless`."""
        with self.database.reading() as connection:
            if unless is None:
                row = connection.execute(_CURRENT).one_or_none()
            else:
                row = connection.execute(_CURRENT_UNLESS, {"unless": unless}).one_or_none()
        return None if row is None else _to_state(row)

    def require_readable(self) -> None:
        """Insist that this release can take up what the database holds, without making or migrating anything.

        Raises `SchemaTooNew` and `StateUnreadable`.
        """
        if self.database.settled():
            self.read()

    def read_at(self, revision: int) -> ControlState:
        """Return the state as it was at `revision`. Raises `UnknownRevision`."""
        with self.database.reading() as connection:
            row = connection.execute(_AT, {"wanted": revision}).one_or_none()
        if row is None:
            raise UnknownRevision(f"There is no revision {revision}.")
        return _to_state(row)

    def last_with(self, digest: str) -> int | None:
        """Return the newest revision whose set has this digest; None when there never was one."""
        with self.database.reading() as connection:
            found: int | None = connection.execute(_LAST_WITH, {"wanted": digest}).scalar_one()
        return found

    def commit(
        self, order: ChangeOrder, target: ChangeTarget, changes: tuple[TaskChange, ...], *, expected: int
    ) -> AuditEntry:
        """Make `target` the next revision, in ONE transaction: state, set, audit row, files.

        It was prepared against the state of revision `expected` (0: there was none). Raises `RevisionConflict` when
        that is not the current one or the same request was faster, `ProfilesReadOnly` from publishing its files,
        `IdempotencyMismatch`. After any error nothing has changed and the files are
        as before; but after `CommitUnknown` the change may be in force, and the next reader of the files makes them
        follow.
        """
        with self.database.writing() as connection:
            self._fault("locked")
            entry = self._next_entry(connection, order, target, changes, expected=expected)
            self._write(connection, order, target, entry)
            self._settle_rollout(connection, target, entry)
            self._fault("written")
            with _published(target.edit):
                self._fault("published")
                commit(connection)
        self._fault("committed")
        return entry

    def claim(self, wanted: Idempotency, *, actor: str, revision: int) -> None:
        """Keep the key of a request that found nothing to do: sent again it does nothing, whatever others have done.

        Raises `RevisionConflict` when the current revision is not `revision` any more or the same request was faster,
        and `IdempotencyMismatch`.
        """
        with self.database.writing() as connection:
            current = connection.execute(_LOCKED).one().revision
            if current != revision:
                raise RevisionConflict(expected=revision, actual=current)
            self.keys.claim(connection, wanted, actor=actor, revision=revision, changed=False)

    @contextmanager
    def standstill(self) -> Iterator[str | None]:
        """Hold the lock of commits, so that nobody commits or publishes; yields the digest that is in force."""
        with self.database.writing() as connection:
            yield connection.execute(_LOCKED).one().digest

    def close(self) -> None:
        """Close the connections."""
        self.database.dispose()

    def _next_entry(
        self,
        connection: Connection,
        order: ChangeOrder,
        target: ChangeTarget,
        changes: tuple[TaskChange, ...],
        *,
        expected: int,
    ) -> AuditEntry:
        current = connection.execute(_LOCKED).one()
        if current.revision != expected:
            raise RevisionConflict(expected=expected, actual=current.revision)
        set_strays_aside(connection, head=current.revision)
        entry = AuditEntry(
            revision=current.revision + 1,
            at=self._clock(),
            action=order.action,
            actor=order.actor,
            reason=_reason(order, target),
            profile_before=current.active,
            profile_after=target.active,
            digest_before=current.digest,
            digest_after=target.profiles.digest,
            changes=changes,
            previous_hash=current.head,
            hash="",
            bindings=bindings_text(target.bindings),
            canary=canary_text(target.canary),
            steering=steering_text(target.steering or NOT_STEERED),
        )
        return replace(entry, hash=entry_hash(entry))

    def _write(
        self, connection: Connection, order: ChangeOrder, target: ChangeTarget, entry: AuditEntry
    ) -> None:
        digest = entry.digest_after
        if connection.execute(_KNOWN_SET, {"wanted": digest}).first() is None:
            connection.execute(_ADD_SET, {"digest": digest, "document": target.profiles.canonical()})
        connection.execute(_ADD_ENTRY, entry_row(entry))
        moved: dict[str, Any] = {"revision": entry.revision, "active": entry.profile_after, "digest": digest}
        moved |= {"committed_at": entry.at, "head": entry.hash}
        moved |= {"bindings": entry.bindings, "canary": entry.canary, "steering": entry.steering}
        if order.moves:
            moved["moved"] = entry.revision
        connection.execute(_MOVE, moved)
        if order.idempotency is not None:
            self.keys.claim(connection, order.idempotency, actor=entry.actor.name, revision=entry.revision)

    def _settle_rollout(self, connection: Connection, target: ChangeTarget, entry: AuditEntry) -> None:
        """Write what the change does to a rollout; where it does nothing and tries nothing, it ends what ran."""
        if target.along is not None:
            target.along(connection, entry)
        if target.canary is None and entry.action != "rollout":
            self.rollouts.supersede(connection, entry)


def _reason(order: ChangeOrder, target: ChangeTarget) -> str:
    moved = MOVED if order.moves else ""
    said = (target.gate_result.remark, moved, target.remark, order.reason)
    reason = "; ".join(text for text in said if text)
    return storable(reason, REASON_LIMIT)


@contextmanager
def _published(edit: StagedFiles | None) -> Iterator[None]:
    """Publish the files; put them back, still under the lock, when the body (the commit) fails, else let them stand.

    Where nobody can tell which, they are left to the next reader.
    """
    if edit is None:
        yield
        return
    edit.publish()
    try:
        yield
    except CommitUnknown:
        edit.leave()
        raise
    except BaseException:
        edit.revert()
        raise
    edit.finish()


@lru_cache(maxsize=4)
def _read_set(document: str) -> ProfileSet:
    """Return the set of a stored document: the same one is read at every switch."""
    return ProfileSet.from_canonical(document)


def _to_state(row: Row[*tuple[Any, ...]]) -> ControlState:
    try:
        return _readable(row)
    except (KeyError, TypeError, ValueError) as error:
        message = f"Revision {row.revision} cannot be read by this release: {error}."
        raise StateUnreadable(message, revision=row.revision) from error


def _readable(row: Row[*tuple[Any, ...]]) -> ControlState:
    return ControlState(
        revision=row.revision,
        active=row.active,
        profiles=_read_set(row.document),
        committed_at=row.committed_at,
        bindings=bindings_from_text(row.bindings),
        moved=row.moved,
        canary=canary_from_text(row.canary),
        steering=steering_from_text(row.steering),
        shadow=shadow_from_text(row.shadow),
    )
