"""Idempotency keys: a request that comes back within 24 hours finds the revision of its first run.

It must not know what the request did. The row is written in the transaction that commits the revision, so that no
crash can make a retry act twice. No receipt is stored: it is told anew from the audit row and the workers' state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from neuronode_router.errors import IdempotencyMismatch, RevisionConflict
from neuronode_router.storage.database import Database, database_time
from neuronode_router.storage.tables import idempotency

LIFETIME_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's key (at most 255 characters) and the SHA-256, in hex, of the request it belongs to."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a key led to."""

    revision: int
    changed: bool
    """Whether the request made that revision; else it found nothing to do there."""


class IdempotencyKeys:
    """The table of keys, whose age is by the clock that all hosts share, else by `clock` (Unix seconds). Methods block
    and may raise `StoreUnavailable`.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def recall(self, wanted: Idempotency, *, actor: str) -> Recalled | None:
        """Return what this key led to, or None. Raises `IdempotencyMismatch` for another request's key."""
        with self._database.reading() as connection:
            return self._find(connection, wanted, actor)

    def claim(
        self, connection: Connection, wanted: Idempotency, *, actor: str, revision: int, changed: bool = True
    ) -> None:
        """Write the key within the caller's transaction, which holds the lock of the state row. `changed`: `Recalled`.

        Raises `RevisionConflict` when the same request has come back elsewhere and was faster: `recall` finds it now.
        Raises `IdempotencyMismatch` when another request has used the key since.
        """
        found = self._find(connection, wanted, actor)
        if found is not None:
            raise RevisionConflict(expected=revision, actual=found.revision)
        now = database_time(connection, self._clock)
        connection.execute(delete(idempotency).where(idempotency.c.at < now - LIFETIME_SECONDS))
        connection.execute(
            insert(idempotency).values(
                key=wanted.key,
                actor=actor,
                fingerprint=wanted.fingerprint,
                revision=revision if changed else -revision,
                at=now,
            )
        )

    def _find(self, connection: Connection, wanted: Idempotency, actor: str) -> Recalled | None:
        mine = (idempotency.c.key == wanted.key) & (idempotency.c.actor == actor)
        fresh = idempotency.c.at >= database_time(connection, self._clock) - LIFETIME_SECONDS
        row = connection.execute(select(idempotency).where(mine & fresh)).one_or_none()
        if row is None:
            return None
        if row.fingerprint != wanted.fingerprint:
            raise IdempotencyMismatch("The Idempotency-Key was used before with a different request.")
        return Recalled(abs(row.revision), row.revision > 0)
