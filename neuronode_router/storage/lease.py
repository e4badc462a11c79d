"""A lease: one holder at a time among all workers of all hosts, by one row of the database, with a counter that fences.

It must not know what its holder does. Who had it and was frozen may believe that it has it still: so whatever it writes
must begin with `require`, in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from neuronode_router.errors import LeaseLost
from neuronode_router.storage.database import Database, database_time
from neuronode_router.storage.inserting import insert_into
from neuronode_router.storage.tables import lease

_NAMED = select(lease).where(lease.c.name == bindparam("named"))
_LOCKED = _NAMED.with_for_update()
_WRITE = update(lease).where(lease.c.name == bindparam("named"))


@dataclass(frozen=True, slots=True)
class Fence:
    """What a holder shows with everything it writes: nobody who held the lease before or later has the same."""

    name: str
    count: int


class Lease:
    """One worker's view of a lease. `ttl` is seconds; `holder` names the process, never the same again.

    Time is the database's: of PostgreSQL its server's. SQLite has none but that of this host, `clock` (Unix seconds);
    its workers are all on this host. A clock that jumps ahead passes the lease on early, which the fence makes
    harmless; one that is set back is noticed, because no lease lasts longer than its `ttl`.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        holder: str,
        ttl: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._ttl = ttl
        self._clock = clock

    def take(self) -> tuple[Fence | None, float]:
        """Take the lease, or keep it for longer; return the fence, None where another holds it, and the time.

        Blocks; raises `StoreUnavailable`: then it is not known to be held.
        """
        with (
            self._database.reading() as connection
        ):  # most workers find it held, and need no lock to see that
            now = self.now(connection)
            row = connection.execute(_NAMED, {"named": self._name}).one_or_none()
            if row is not None and row.holder != self._holder and self._runs(row.expires_at, now):
                return None, now
        with self._database.writing(durable=False) as connection:
            if row is None:
                self._make(connection)
            now = self.now(connection)
            return self._taken(connection, now), now

    def release(self) -> None:
        """Let another have it at once. Raises `StoreUnavailable`; then it runs out."""
        with self._database.writing(durable=False) as connection:
            row = connection.execute(_LOCKED, {"named": self._name}).one_or_none()
            if row is not None and row.holder == self._holder:
                connection.execute(_WRITE, {"named": self._name, "holder": "", "expires_at": 0.0})

    def now(self, connection: Connection) -> float:
        """Return Unix time in seconds by the database's clock."""
        return database_time(connection, self._clock)

    def _taken(self, connection: Connection, now: float) -> Fence | None:
        row = connection.execute(_LOCKED, {"named": self._name}).one()
        until = now + self._ttl
        if row.holder == self._holder:  # whether it ran out or not: nobody has taken it meanwhile
            connection.execute(_WRITE, {"named": self._name, "expires_at": until})
            return Fence(self._name, row.fence)
        if self._runs(row.expires_at, now):
            return None
        mine = {"holder": self._holder, "fence": row.fence + 1, "expires_at": until}
        connection.execute(_WRITE, {"named": self._name, **mine})
        return Fence(self._name, row.fence + 1)

    def _make(self, connection: Connection) -> None:
        """Have the row, nobody's yet: of several workers that come first one inserts it."""
        row = {"name": self._name, "holder": "", "fence": 0, "expires_at": 0.0}
        connection.execute(insert_into(connection, lease).values(row).on_conflict_do_nothing())

    def _runs(self, expires_at: float, now: float) -> bool:
        return 0 < expires_at - now <= self._ttl


def require(connection: Connection, fence: Fence) -> None:
    """Insist, in a transaction that writes, that nobody else took the lease. Raises `LeaseLost`: write nothing then."""
    row = connection.execute(_LOCKED, {"named": fence.name}).one_or_none()
    if row is None or row.fence != fence.count:
        raise LeaseLost(f"Another worker has taken over {fence.name}.")
