"""The proof matrix in SQL: the newest evidence of each target, and the turn to refresh it.

It must not know profiles. All methods block for a bounded time: call them in a thread. Every one may raise
`StoreUnavailable`.
"""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from neuronode_router.proof.matrix import ProbeEvidence, ProbeTarget
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.storage.database import Database
from neuronode_router.storage.tables import proof, proof_turn

KEPT_SECONDS = 90 * 86_400.0
"""After so long without a newer one evidence goes: of groups that no profile names any more, there is none."""

_TURN = 1


class ProofStore:
    """The tables of the proof room."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self) -> dict[ProbeTarget, ProbeEvidence]:
        """Return the newest evidence of every target that was probed lately."""
        with self._database.reading() as connection:
            rows = connection.execute(select(proof)).all()
        found = (
            ProbeEvidence(
                ProbeTarget(group, Shape(shape)), ProbeReason(why), checked_at, latency_ms, cost_usd
            )
            for group, shape, why, checked_at, latency_ms, cost_usd in rows
        )
        return {evidence.target: evidence for evidence in found}

    def keep(self, evidence: ProbeEvidence) -> None:
        """Replace what is known of a target, unless something newer is; forget what is by far older."""
        target = evidence.target
        values = {
            "why": evidence.why.value,
            "checked_at": evidence.checked_at,
            "latency_ms": evidence.latency_ms,
            "cost_usd": evidence.cost_usd,
        }
        here = (proof.c.group == target.group, proof.c.shape == target.shape.value)
        with self._database.writing(durable=False) as connection:
            # Writers take turns at this row, so that two of them never insert the same target.
            connection.execute(select(proof_turn).where(proof_turn.c.id == _TURN).with_for_update()).one()
            newest = connection.execute(select(proof.c.checked_at).where(*here)).scalar()
            if newest is None:
                row = {"group": target.group, "shape": target.shape.value, **values}
                connection.execute(insert(proof).values(row))
            elif newest <= evidence.checked_at:
                connection.execute(update(proof).where(*here).values(values))
            connection.execute(delete(proof).where(proof.c.checked_at < evidence.checked_at - KEPT_SECONDS))

    def take_turn(self, *, now: float, every: float) -> bool:
        """Return whether the caller leads this refresh: of all workers one does, once in `every` seconds.

        One statement moves the row on, and the database lets one worker do it. A leader that dies leaves what it has
        found, and the next turn comes in `every` seconds.
        """
        due = update(proof_turn).where(proof_turn.c.id == _TURN, proof_turn.c.taken_at <= now - every)
        with self._database.writing() as connection:
            return connection.execute(due.values(taken_at=now)).rowcount == 1
