"""Rollouts in SQL: how each stands, and what was done to it at which revision.

What is done is written in the transaction of its revision; only the time for which one was watched is written alone.
It must not know what is to be done next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from neuronode_router.control.rollout_outcomes import RolloutOutcomeStore
from neuronode_router.domain.audit import AuditEntry
from neuronode_router.errors import UnknownRollout
from neuronode_router.rollouts.course import Act, NextAct, Phase, Rollout, after, from_text, to_text
from neuronode_router.rollouts.guards import GuardFinding
from neuronode_router.storage.database import Database
from neuronode_router.storage.lease import Fence, require
from neuronode_router.storage.tables import rollout, rollout_event

PAGE_LIMIT = 200

_GOING_ON = [phase.value for phase in Phase if not phase.over]
_RUNNING = select(rollout).where(rollout.c.phase.in_(_GOING_ON)).order_by(rollout.c.started_at.desc())
_ONE = select(rollout).where(rollout.c.id == bindparam("wanted"))
_WRITE = update(rollout).where(rollout.c.id == bindparam("wanted"))
_WATCH = _WRITE.where(
    rollout.c.phase == bindparam("seen_phase"), rollout.c.since_revision == bindparam("seen_since")
)


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """What was done to a rollout at one revision."""

    revision: int
    rollout: str
    act: Act
    at: float
    """Unix time in seconds."""
    actor: str
    why: str
    evidence: Sequence[Mapping[str, Any]] = field(default=())
    """The findings of that moment: of each guard and task the figures of both arms."""


class RolloutStore:
    """The tables of rollouts. Methods block and may raise `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def running(self) -> Rollout | None:
        """Return the rollout that is not over; None when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(_RUNNING).first()
        return None if row is None else _to_rollout(row)

    def read(self, name: str) -> Rollout:
        """Return the rollout of this id. Raises `UnknownRollout`."""
        with self._database.reading() as connection:
            row = connection.execute(_ONE, {"wanted": name}).one_or_none()
        if row is None:
            raise UnknownRollout(f"There is no rollout {name!r}.")
        return _to_rollout(row)

    def page(self, limit: int) -> tuple[Rollout, ...]:
        """Return the newest rollouts, at most `limit` and 200 of them."""
        newest = select(rollout).order_by(rollout.c.started_at.desc()).limit(max(1, min(limit, PAGE_LIMIT)))
        with self._database.reading() as connection:
            return tuple(map(_to_rollout, connection.execute(newest)))

    def events(self, name: str) -> tuple[RolloutEvent, ...]:
        """Return what was done to a rollout, newest first."""
        of_one = select(rollout_event).where(rollout_event.c.rollout == name)
        with self._database.reading() as connection:
            return tuple(map(_to_event, connection.execute(of_one.order_by(rollout_event.c.revision.desc()))))

    def at(self, revision: int) -> str:
        """Return the id of the rollout that a revision did something to. Raises `UnknownRollout`."""
        of_one = select(rollout_event.c.rollout).where(rollout_event.c.revision == revision)
        with self._database.reading() as connection:
            name: str | None = connection.execute(of_one).scalar()
        if name is None:
            raise UnknownRollout(f"Revision {revision} did nothing to a rollout.")
        return name

    def watch(self, seen: Rollout, fence: Fence) -> None:
        """Keep for how long a rollout was watched, unless something was done to it since. Raises `LeaseLost`."""
        with self._database.writing(durable=False) as connection:
            require(connection, fence)
            where = {"wanted": seen.id, "seen_phase": seen.phase.value, "seen_since": seen.since_revision}
            connection.execute(_WATCH, {**where, "held": seen.held, "watched_at": seen.watched_at})

    def begin(self, connection: Connection, begun: Rollout, why: str, entry: AuditEntry) -> None:
        """Write a new rollout and why there is one, in the transaction of its first revision."""
        begun = replace(begun, since_revision=entry.revision)
        RolloutOutcomeStore.forget(connection)
        connection.execute(insert(rollout), {"id": begun.id, **_columns(begun)})
        _note(connection, begun, NextAct(Act.START, why), entry)

    def change(
        self, connection: Connection, changed: Rollout, done: NextAct, entry: AuditEntry, fence: Fence | None
    ) -> None:
        """Write what an act has made of a rollout, in the transaction of its revision.

        With a fence, that is where a leader acts and no person, raises `LeaseLost`.
        """
        if fence is not None:
            require(connection, fence)
        changed = replace(changed, since_revision=changed.since_revision or entry.revision)
        connection.execute(_WRITE, {"wanted": changed.id, **_columns(changed)})
        _note(connection, changed, done, entry)

    def supersede(self, connection: Connection, entry: AuditEntry) -> None:
        """End the rollout that runs, if any: the revision of `entry` tries nothing any more."""
        for row in connection.execute(_RUNNING).all():
            ended = after(_to_rollout(row), Act.SUPERSEDE, now=entry.at)
            connection.execute(_WRITE, {"wanted": ended.id, **_columns(ended)})
            why = f"{entry.action} to {entry.profile_after}"
            _note(connection, ended, NextAct(Act.SUPERSEDE, why), entry)

    def keep_findings(self, revision: int, findings: Sequence[GuardFinding]) -> None:
        """Keep the figures of a rollout that a revision has superseded, beside what is known of that."""
        of_it = update(rollout_event).where(
            rollout_event.c.revision == revision, rollout_event.c.act == Act.SUPERSEDE.value
        )
        with self._database.writing(durable=False) as connection:
            connection.execute(of_it.values(evidence=_evidence(findings)))


def _evidence(findings: Sequence[GuardFinding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], separators=(",", ":"))


def _note(connection: Connection, changed: Rollout, done: NextAct, entry: AuditEntry) -> None:
    assert done.act is not None
    event = {
        "revision": entry.revision,
        "rollout": changed.id,
        "act": done.act.value,
        "at": entry.at,
        "actor": entry.actor.name,
        "why": done.why,
        "evidence": _evidence(done.findings),
    }
    connection.execute(insert(rollout_event), event)


def _columns(one: Rollout) -> dict[str, Any]:
    return {
        "phase": one.phase.value,
        "started_at": one.started_at,
        "since_revision": one.since_revision,
        "held": one.held,
        "watched_at": one.watched_at,
        "document": to_text(one),
    }


def _to_rollout(row: Row[*tuple[Any, ...]]) -> Rollout:
    return replace(from_text(row.document), held=row.held, watched_at=row.watched_at)


def _to_event(row: Row[*tuple[Any, ...]]) -> RolloutEvent:
    return RolloutEvent(
        row.revision, row.rollout, Act(row.act), row.at, row.actor, row.why, json.loads(row.evidence)
    )
