"""The worker processes as the store knows them: who is there, what it serves, what it refused.

It must not know how a worker applies a state. Methods block and may raise `StoreUnavailable`.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from neuronode_router.control.liveness import is_gone, process_mark, same_place
from neuronode_router.domain.receipts import AckState, WorkerAck, WorkerStatus
from neuronode_router.storage.database import Database, database_time
from neuronode_router.storage.tables import worker

FORGET_SECONDS = 3600
"""How long a dead worker's row is kept for people to look at."""

DETAIL_LIMIT = 2000

HELD, DRAINED = "conversations_held", "conversations_drained"
"""Entries of a worker's report: how many conversations stay with their group, and how many of those have left it."""

# Built once: building a statement costs more than running it.
_ALL = select(worker).order_by(worker.c.started_at, worker.c.instance)
_UPDATE = update(worker).where(worker.c.instance == bindparam("mine"))


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Who a worker process is. `instance` is unique for each start (a UUID); `started_at` is Unix time in seconds."""

    instance: str
    host: str
    pid: int
    version: str
    started_at: float

    @classmethod
    def of_this_process(cls, version: str) -> Self:
        """Return a new identity, begun now."""
        return cls(uuid.uuid4().hex, socket.gethostname(), os.getpid(), version, time.time())


@dataclass(frozen=True, slots=True)
class ServedRevision:
    """What a worker says of itself: what it serves since when (Unix seconds), what it refused and why."""

    revision: int = 0
    applied_at: float | None = None
    refused: int | None = None
    detail: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)


class WorkerRegistry:
    """Registration, acknowledgements and heartbeats.

    A worker on this machine lives as long as its process exists, even when that is frozen: it may wake up and still
    serve its old revision. One on another machine lives until its heartbeat is `ttl` seconds old, by the database's
    clock: those of hosts need not agree.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float], ttl: float) -> None:
        self._database = database
        self._clock = clock
        self._ttl = ttl

    def announce(self, identity: WorkerIdentity, served: ServedRevision) -> None:
        """Write how the worker stands: its registration, its acknowledgement and its heartbeat are this one row."""
        values = {**asdict(served), "report": json.dumps(dict(served.report))}
        values["detail"] = served.detail[:DETAIL_LIMIT]
        with self._database.writing(durable=False) as connection:
            now = values["heartbeat_at"] = database_time(connection, self._clock)
            if connection.execute(_UPDATE, {**values, "mine": identity.instance}).rowcount == 0:
                self._forget_dead(connection, now)
                mark = process_mark(identity.pid)
                connection.execute(insert(worker), {**asdict(identity), **values, "mark": mark})

    def retire(self, instance: str) -> None:
        """Forget the worker: it ends and serves nothing more."""
        with self._database.writing(durable=False) as connection:
            connection.execute(delete(worker).where(worker.c.instance == instance))

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return every known worker, the longest running first."""
        rows, now = self._rows()
        return tuple(
            WorkerStatus(
                instance=row.instance,
                host=row.host,
                pid=row.pid,
                version=row.version,
                started_at=row.started_at,
                heartbeat_at=row.heartbeat_at,
                live=self._live(row, now),
                revision=row.revision,
                applied_at=row.applied_at,
                detail=row.detail,
                report=json.loads(row.report),
            )
            for row in rows
        )

    def acknowledgements(self, revision: int, *, committed_at: float) -> tuple[WorkerAck, ...]:
        """Return how every live worker stands to `revision`."""
        rows, now = self._rows()
        return tuple(_to_ack(row, revision, committed_at) for row in rows if self._live(row, now))

    def _rows(self) -> tuple[list[Row[*tuple[Any, ...]]], float]:
        with self._database.reading() as connection:
            return list(connection.execute(_ALL)), database_time(connection, self._clock)

    def _forget_dead(self, connection: Connection, now: float) -> None:
        stale = select(worker).where(worker.c.heartbeat_at < now - FORGET_SECONDS)
        dead = [row.instance for row in connection.execute(stale) if not self._live(row, now)]
        connection.execute(delete(worker).where(worker.c.instance.in_(dead)))

    def _live(self, row: Row[*tuple[Any, ...]], now: float) -> bool:
        if same_place(row.mark):
            return not is_gone(row.pid, row.mark)
        return bool(now - row.heartbeat_at <= self._ttl)


def _to_ack(row: Row[*tuple[Any, ...]], revision: int, committed_at: float) -> WorkerAck:
    status: AckState = "waiting"
    said = json.loads(row.report)
    detail = f"serves revision {row.revision}"
    after_ms = None
    if row.revision >= revision:
        status, detail = "applied", ""
        if row.revision == revision and row.applied_at is not None:
            after_ms = round((row.applied_at - committed_at) * 1000, 3)
    elif row.refused is not None and row.refused >= revision:
        status, detail = "refused", row.detail
    return WorkerAck(
        instance=row.instance,
        host=row.host,
        pid=row.pid,
        state=status,
        revision=row.revision,
        applied_at=row.applied_at,
        after_ms=after_ms,
        detail=detail,
        held=said.get(HELD, 0) if status == "applied" else 0,
        drained=said.get(DRAINED, 0) if status == "applied" else 0,
    )
