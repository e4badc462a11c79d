"""The proof matrix in SQL: the newest evidence of each target, and the turn to refresh it.

It must not know profiles. What it keeps is by the one clock that all hosts share, what it takes and returns by this
host's: an age is right wherever it is read. All methods block for a bounded time: call them in a thread. Every one may
raise `StoreUnavailable`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, or_, select, update

from neuronode_router.proof.matrix import LEEWAY_SECONDS, ProbeEvidence, ProbeTarget
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.storage.database import Database, database_time
from neuronode_router.storage.tables import proof, proof_turn

KEPT_SECONDS = 90 * 86_400.0
"""After so long without a newer one evidence goes: of groups that no profile names any more, there is none."""

_TURN = 1


class ProofStore:
    """The tables of the proof room. `clock` is this host's, Unix time in seconds."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def known(self) -> dict[ProbeTarget, ProbeEvidence]:
        """Return the newest evidence of every target that was probed lately."""
        with self._database.reading() as connection:
            rows = connection.execute(select(proof)).all()
            here, there = self._clocks(connection)
        found = (
            ProbeEvidence(
                ProbeTarget(group, Shape(shape)),
                ProbeReason(why),
                checked_at + (here - there),
                latency_ms,
                cost_usd,
            )
            for group, shape, why, checked_at, latency_ms, cost_usd in rows
        )
        return {evidence.target: evidence for evidence in found}

    def keep(self, evidence: ProbeEvidence) -> None:
        """Replace what is known of a target, unless something newer is; forget what is by far too old."""
        target = evidence.target
        values = {
            "why": evidence.why.value,
            "latency_ms": evidence.latency_ms,
            "cost_usd": evidence.cost_usd,
        }
        known = (proof.c.group == target.group, proof.c.shape == target.shape.value)
        with self._database.writing(durable=False) as connection:
            # Writers take turns at this row, so that two of them never insert the same target.
            connection.execute(select(proof_turn).where(proof_turn.c.id == _TURN).with_for_update()).one()
            here, now = self._clocks(connection)
            checked_at = values["checked_at"] = evidence.checked_at + (now - here)
            newest = connection.execute(select(proof.c.checked_at).where(*known)).scalar()
            if newest is None:
                row = {"group": target.group, "shape": target.shape.value, **values}
                connection.execute(insert(proof).values(row))
            elif newest <= checked_at or newest > now + LEEWAY_SECONDS:
                connection.execute(update(proof).where(*known).values(values))
            connection.execute(delete(proof).where(proof.c.checked_at < now - KEPT_SECONDS))

    def take_turn(self, *, every: float) -> bool:
        """Return whether the caller leads this refresh: of all workers one does, once in `every` seconds.

        One statement moves the row on, and the database lets one worker do it. A leader that dies leaves what it has
        found, and the next turn comes in `every` seconds.
        """
        taken_at = proof_turn.c.taken_at
        with self._database.writing() as connection:
            _, now = self._clocks(connection)
            due = or_(taken_at <= now - every, taken_at > now + LEEWAY_SECONDS)
            turn = update(proof_turn).where(proof_turn.c.id == _TURN, due)
            return connection.execute(turn.values(taken_at=now)).rowcount == 1

    def _clocks(self, connection: Connection) -> tuple[float, float]:
        """Return the time by this host's clock and by the database's; with SQLite they are one."""
        here = self._clock()
        return here, database_time(connection, lambda: here)
