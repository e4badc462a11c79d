"""Shadow comparisons in SQL: which one runs, what it may still cost, and what all workers found out.

Money is set aside before it is spent, so that workers need no turn; what each found out comes in numbered batches, each
of which counts once. It must not know what is compared. Every method blocks and may raise `StoreUnavailable`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from neuronode_router.domain.audit import AuditEntry
from neuronode_router.domain.shadows import Shadow, shadow_from_text, shadow_text
from neuronode_router.errors import ShadowRefused, UnknownShadow
from neuronode_router.shadows.pairs import PairSums
from neuronode_router.storage.database import Database
from neuronode_router.storage.inserting import is_next
from neuronode_router.storage.tables import shadow as table
from neuronode_router.storage.tables import shadow_batch as batches
from neuronode_router.storage.tables import shadow_sample as samples
from neuronode_router.storage.tables import shadow_sums as sums
from neuronode_router.usage.sums import NANO

KEPT = 50
"""Comparisons that are kept; older ones go when another one begins."""
SAMPLES = 100
"""Samples of one comparison that are kept: the newest."""

ByKey = Mapping[tuple[str, str], PairSums]
"""By the profile that answered the clients, and by task."""

_RUNNING = select(table).where(table.c.ended_at.is_(None))
_ONE = select(table).where(table.c.id == bindparam("wanted"))
_LOCK = select(table.c.id).where(table.c.id == bindparam("wanted")).with_for_update()
_NEWEST = select(table).order_by(table.c.started_at.desc(), table.c.revision.desc())
_SET_ASIDE = (
    update(table)
    .where(
        table.c.id == bindparam("wanted"),
        table.c.ended_at.is_(None),
        table.c.spent_nano + bindparam("nano") <= table.c.budget_nano,
    )
    .values(spent_nano=table.c.spent_nano + bindparam("nano"))
)
_GIVE_BACK = (
    update(table)
    .where(table.c.id == bindparam("wanted"))
    .values(spent_nano=table.c.spent_nano - bindparam("nano"))
)


class SetAside(Enum):
    """What became of money that was to be set aside."""

    DONE = auto()
    TOO_MUCH = auto()
    """The budget does not allow it."""
    OVER = auto()
    """The comparison is over."""


@dataclass(frozen=True, slots=True)
class ShadowStanding:
    """A comparison as it stands."""

    shadow: Shadow
    revision: int
    """At which it began."""
    actor: str
    started_at: float
    """Unix time in seconds."""
    ended_at: float | None
    why: str
    """Why it ended; empty while it runs."""
    spent_usd: float
    """What requests that run may still cost included."""


@dataclass(frozen=True, slots=True)
class ShadowBatch:
    """What one worker found out since its last batch."""

    shadow: str
    sequence: int
    found: ByKey
    unspent_nano: int = 0
    """What was set aside for requests that are over, and not spent."""
    samples: Sequence[tuple[float, Mapping[str, Any]]] = field(default=())
    """Unix times, and requests with both answers."""


class ShadowStore:
    """The tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def time(self, clock: Callable[[], float]) -> float:
        """Return Unix time by the clock that all hosts share, else by `clock`: what is over is so for all."""
        return self._database.time(clock)

    def running(self) -> ShadowStanding | None:
        """Return the comparison that runs, None where none does."""
        with self._database.reading() as connection:
            row = connection.execute(_RUNNING).first()
        return None if row is None else _standing(row)

    def read(self, name: str) -> ShadowStanding:
        """Return one. Raises `UnknownShadow`."""
        with self._database.reading() as connection:
            row = connection.execute(_ONE, {"wanted": name}).one_or_none()
        if row is None:
            raise UnknownShadow(f"There is no shadow comparison {name!r}.")
        return _standing(row)

    def page(self, limit: int) -> tuple[ShadowStanding, ...]:
        """Return the newest, at most `limit`."""
        with self._database.reading() as connection:
            return tuple(map(_standing, connection.execute(_NEWEST.limit(max(1, limit)))))

    def at(self, revision: int) -> str | None:
        """Return the id of the one that began with a revision."""
        with self._database.reading() as connection:
            found: str | None = connection.execute(
                select(table.c.id).where(table.c.revision == revision)
            ).scalar()
        return found

    def begin(self, connection: Connection, begun: Shadow, entry: AuditEntry) -> None:
        """Write a new one, in the transaction of its revision, and forget the oldest. Raises `ShadowRefused`."""
        if connection.execute(_RUNNING).first() is not None:
            raise ShadowRefused("A shadow comparison runs already.")
        row = {
            "id": begun.id,
            "started_at": entry.at,
            "why": "",
            "revision": entry.revision,
            "actor": entry.actor.name,
            "budget_nano": int(begun.budget_usd * NANO),
            "spent_nano": 0,
            "document": shadow_text(begun),
        }
        connection.execute(insert(table), row)
        kept = [one.id for one in connection.execute(_NEWEST.limit(KEPT))]
        connection.execute(delete(table).where(table.c.id.not_in(kept)))
        for of_one in (batches, sums, samples):
            connection.execute(delete(of_one).where(of_one.c.shadow.not_in(kept)))

    def end(self, connection: Connection, name: str, why: str, entry: AuditEntry) -> None:
        """End one, in the transaction of its revision. Raises `ShadowRefused` where it is over."""
        over = update(table).where(table.c.id == name, table.c.ended_at.is_(None))
        if connection.execute(over.values(ended_at=entry.at, why=why)).rowcount != 1:
            raise ShadowRefused("The shadow comparison is over.")

    def set_aside(self, name: str, nano: int) -> SetAside:
        """Set money (1e-9 US dollars) aside for a request, if the comparison runs and its budget allows that."""
        with self._database.writing(durable=False) as connection:
            if connection.execute(_SET_ASIDE, {"wanted": name, "nano": nano}).rowcount == 1:
                return SetAside.DONE
            row = connection.execute(_ONE, {"wanted": name}).one_or_none()
            return SetAside.OVER if row is None or row.ended_at is not None else SetAside.TOO_MUCH

    def add(self, worker: str, batch: ShadowBatch) -> bool:
        """Add what a worker found out, once, also to one that is over; return whether that was new and is kept."""
        with self._database.writing(durable=False) as connection:
            if connection.execute(_LOCK, {"wanted": batch.shadow}).first() is None:
                return False  # it was forgotten
            names = {"shadow": batch.shadow, "worker": worker}
            if not is_next(connection, batches, names, sequence=batch.sequence):
                return False
            _merge(connection, batch)
            _keep_samples(connection, worker, batch)
            if batch.unspent_nano:
                connection.execute(_GIVE_BACK, {"wanted": batch.shadow, "nano": batch.unspent_nano})
            return True

    def sums(self, name: str) -> dict[tuple[str, str], PairSums]:
        """Return what was found out, by the profile that answered the clients, and by task."""
        with self._database.reading() as connection:
            found = connection.execute(select(sums).where(sums.c.shadow == name)).all()
        return {(row.profile, row.task): PairSums.from_text(row.document) for row in found}

    def samples(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return the requests that were kept with both answers, newest first."""
        wanted = select(samples).where(samples.c.shadow == name).order_by(samples.c.at.desc())
        with self._database.reading() as connection:
            return tuple({"at": row.at, **json.loads(row.document)} for row in connection.execute(wanted))


def to_nano(usd: float) -> int:
    """Round up: a budget must hold."""
    return math.ceil(usd * NANO)


def _merge(connection: Connection, batch: ShadowBatch) -> None:
    """Add sums to those stored. The caller holds the lock of the comparison's row."""
    for (profile, task), found in batch.found.items():
        key = (sums.c.shadow == batch.shadow, sums.c.profile == profile, sums.c.task == task)
        stored: str | None = connection.execute(select(sums.c.document).where(*key)).scalar()
        if stored is None:
            row = {"shadow": batch.shadow, "profile": profile, "task": task, "document": found.to_text()}
            connection.execute(insert(sums), row)
        else:
            total = PairSums.from_text(stored)
            total.merge(found)
            connection.execute(update(sums).where(*key).values(document=total.to_text()))


def _keep_samples(connection: Connection, worker: str, batch: ShadowBatch) -> None:
    if not batch.samples:
        return
    rows = [
        {
            "shadow": batch.shadow,
            "worker": worker,
            "sequence": batch.sequence,
            "number": number,
            "at": at,
            "document": json.dumps(document, separators=(",", ":")),
        }
        for number, (at, document) in enumerate(batch.samples)
    ]
    connection.execute(insert(samples), rows)
    of_one = samples.c.shadow == batch.shadow
    newest = select(samples.c.at).where(of_one).order_by(samples.c.at.desc()).offset(SAMPLES).limit(1)
    beyond = connection.execute(newest).scalar()
    if beyond is not None:
        connection.execute(delete(samples).where(of_one, samples.c.at <= beyond))


def _standing(row: Row[*tuple[Any, ...]]) -> ShadowStanding:
    shadow = shadow_from_text(row.document)
    assert shadow is not None
    return ShadowStanding(
        shadow, row.revision, row.actor, row.started_at, row.ended_at, row.why, row.spent_nano / NANO
    )
