"""Usage in SQL: batches of every worker added up once each, and read again by any grouping.

It must not know workers' memory, reports or prices. All methods block for a bounded time: call them in a thread. Every
one may raise `StoreUnavailable`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Row,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import DataError

from neuronode_router.errors import StoreUnavailable
from neuronode_router.storage.database import Database
from neuronode_router.storage.inserting import is_next
from neuronode_router.storage.tables import usage
from neuronode_router.storage.tables import usage_batch as batches
from neuronode_router.storage.tables import usage_request as requests
from neuronode_router.usage.buffer import Batch
from neuronode_router.usage.finished import FinishedRequest, UsageKey, newest
from neuronode_router.usage.periods import DAY, HOUR, MINUTE, TimeSpan
from neuronode_router.usage.sums import ADDED, NANO, Sums

GATE = ""
"""The worker whose row in `neuronode_usage_batch` is locked by whoever writes."""

Rows = dict[tuple[int, UsageKey], Sums]
"""Sums by start (Unix seconds) and key."""

LATER = frozenset({"arm", "location"})
"""Names of a key that earlier releases did not have."""

_NUMBERS = (*ADDED, "largest")
_HISTOGRAMS = {"latency": "latency", "first_token": "first_token", "cost": "cost_micro"}
"""Columns that are histograms, and what `Sums` calls them."""
_COLUMNS = [usage.c[name] for name in ("start", *UsageKey._fields, *_NUMBERS, *_HISTOGRAMS)]
_KEY_ENDS = 1 + len(UsageKey._fields)
_NUMBERS_END = _KEY_ENDS + len(_NUMBERS)
_LOCK = select(batches).where(batches.c.worker == GATE).with_for_update()
_STORED = select(*_COLUMNS).where(
    usage.c.period == bindparam("of_period"),
    usage.c.start == bindparam("of_start"),
    usage.c.key.in_(bindparam("of_keys", expanding=True)),
)
_REPLACE = update(usage).where(
    usage.c.period == bindparam("of_period"),
    usage.c.start == bindparam("of_start"),
    usage.c.key == bindparam("of_key"),
)
MAX_SAME_ID = 10_000
"""Requests that are looked through: a client may give one call id to all of its own, and one team's may be rare."""

MAX_ASKED = 500
"""Call ids of one statement: databases take so many parameters and not many times more."""

MAX_AT_ONCE = 500
"""Rows that one transaction of housekeeping reads or deletes: SQLite has one lock for all that write, and PostgreSQL
takes so many parameters.
"""

PERIODS = (MINUTE, HOUR, DAY)

_CALLED = (
    select(requests.c.document)
    .where(requests.c.call_id == bindparam("wanted"))
    .order_by(requests.c.at.desc())
    .limit(MAX_SAME_ID)
)
_KEYS = (
    select(requests.c.call_id, requests.c.document)
    .where(requests.c.call_id.in_(bindparam("wanted", expanding=True)))
    .order_by(requests.c.at)
)
_NEWEST = select(requests.c.document).order_by(requests.c.at.desc()).limit(MAX_SAME_ID)


@dataclass(frozen=True, slots=True)
class Portion:
    """What one transaction adds up."""

    period: int
    """Seconds of its rows."""
    into: int
    """Seconds of the longer period that begins at `start`."""
    start: int
    keys: tuple[str, ...]
    """Digests."""


class UsageStore:
    """The tables of usage. Writers take turns, so that what is read is what is written back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def time(self, clock: Callable[[], float]) -> float:
        """Return Unix time by the clock that all hosts share, else by `clock`: what is too old is so for all."""
        return self._database.time(clock)

    def add(self, worker: str, batch: Batch, *, at: float) -> bool:
        """Add a worker's batch and return True; False when it was added before. `at` is now.

        A batch whose outcome is unknown is simply added again. Batches of a worker must come in their order. Raises
        `ValueError` or `OverflowError` for numbers or texts that no row can hold.
        """
        try:
            return self._add(worker, batch, at)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, DataError):
                raise ValueError("A row of usage holds what no database can.") from error  # noqa: TRY004  the value is wrong
            raise

    def _add(self, worker: str, batch: Batch, at: float) -> bool:
        with self._database.writing(durable=False) as connection:
            connection.execute(_LOCK).one()
            if not is_next(connection, batches, {"worker": worker}, sequence=batch.sequence, at=at):
                return False
            _merge(connection, MINUTE, batch.rows)
            if batch.requests:
                connection.execute(insert(requests), _request_rows(worker, batch))
            return True

    def collect(self, span: TimeSpan, *, team: str | None = None) -> Rows:
        """Return the sums of all keys that began in `span`; only those of `team` where it is given."""
        wanted = select(*_COLUMNS).where(*_since(span.since), usage.c.start < span.until)
        if team is not None:
            wanted = wanted.where(usage.c.team == team)
        found: Rows = {}
        with self._database.reading() as connection:
            for row in connection.execute(wanted):
                at, sums = _entry(row)
                if at in found:  # an hour's row, and its first minute that came too late for it
                    found[at].merge(sums)
                else:
                    found[at] = sums
        return found

    def oldest(self) -> int | None:
        """Return the Unix time at which the oldest sums begin, None where there are none."""
        first = select(func.min(usage.c.start))
        with self._database.reading() as connection:
            starts = [connection.execute(first.where(usage.c.period == one)).scalar() for one in PERIODS]
        return min((start for start in starts if start is not None), default=None)

    def arms(self, since: float, *, revision: int) -> dict[UsageKey, Sums]:
        """Return the sums of each key of a rollout's arms from `revision` on, committed at `since` (Unix time)."""
        wanted = select(*_COLUMNS).where(
            *_since(since - DAY), usage.c.arm != "", usage.c.revision >= revision
        )
        found: dict[UsageKey, Sums] = {}
        with self._database.reading() as connection:
            for (_, key), sums in map(_entry, connection.execute(wanted)):
                found.setdefault(key, Sums()).merge(sums)
        return found

    def cached(self, since: float) -> Rows:
        """Return the tokens of prompts that began from `since` (Unix seconds) on, and how many of them caches answered:
        only what tells where a request would go is told apart.
        """
        names = ("profile", "task", "tier", "chosen_group", "served_group", "reason")
        columns = [usage.c[name] for name in names]
        sums = (func.sum(usage.c.prompt_tokens), func.sum(usage.c.cached_tokens))
        wanted = select(*columns, *sums).where(*_since(since)).group_by(*columns)
        with self._database.reading() as connection:
            found = connection.execute(wanted).all()
        return {
            (int(since), UsageKey(**dict(zip(names, told, strict=True)))): Sums(
                prompt_tokens=int(prompt), cached_tokens=int(cached)
            )
            for *told, prompt, cached in found
        }

    def costs_by_team(self, since: float) -> dict[str, float]:
        """Return what each team has cost from `since` (Unix seconds) on, in USD; unpriced use counts nothing."""
        wanted = select(usage.c.team, func.sum(usage.c.cost_nano)).where(*_since(since))
        with self._database.reading() as connection:
            found = connection.execute(wanted.group_by(usage.c.team)).all()
        return {team: int(cost) / NANO for team, cost in found if team}

    def cost(self, since: float, *, team: str | None = None) -> float:
        """Return what was spent from `since` (Unix seconds) on, in USD, by a team or by all. Unpriced use is 0."""
        wanted = select(func.coalesce(func.sum(usage.c.cost_nano), 0)).where(*_since(since))
        if team is not None:
            wanted = wanted.where(usage.c.team == team)
        with self._database.reading() as connection:
            return int(connection.execute(wanted).scalar_one()) / NANO

    def find(self, call_id: str, *, team: str | None = None) -> FinishedRequest | None:
        """Return the newest request of the last hour of this call id, and of `team` if given; else None."""
        with self._database.reading() as connection:
            found = connection.execute(_CALLED, {"wanted": call_id}).scalars()
            return newest(map(_request, found), call_id, team)

    def keys_of(self, call_ids: Iterable[str]) -> dict[str, UsageKey]:
        """Return the key that each of these calls was counted under in the last hour; the newest of one id."""
        asked = list(call_ids)
        with self._database.reading() as connection:
            return {
                row.call_id: _request(row.document).key
                for first in range(0, len(asked), MAX_ASKED)
                for row in connection.execute(_KEYS, {"wanted": asked[first : first + MAX_ASKED]})
            }

    def newest(self, limit: int, *, team: str | None = None) -> list[FinishedRequest]:
        """Return the newest requests of the last hour, at most `limit`; only those of `team` where it is given."""
        with self._database.reading() as connection:
            found = map(_request, connection.execute(_NEWEST).scalars())
            return list(islice((one for one in found if team in (None, one.key.team)), limit))

    def portions(self, period: int, into: int, *, before: float) -> list[Portion]:
        """Return how to add up, a few rows at a time, the rows of `period` seconds of the oldest longer period that
        ended by `before`; empty where there is none.
        """
        horizon = int(before) // into * into
        of_period = usage.c.period == period
        with self._database.reading() as connection:
            first = select(func.min(usage.c.start)).where(of_period, usage.c.start < horizon)
            oldest = connection.execute(first).scalar()
            if oldest is None:
                return []
            start = oldest // into * into
            within = (of_period, usage.c.start >= start, usage.c.start < start + into)
            counted = select(usage.c.key, func.count().label("rows")).where(*within).group_by(usage.c.key)
            sizes = {row.key: row.rows for row in connection.execute(counted)}
        return [Portion(period, into, start, keys) for keys in _gathered(sizes)]

    def condense(self, portion: Portion) -> int:
        """Add rows of a portion up to longer ones, and return how many they were: 0 where somebody else did it."""
        start, into = portion.start, portion.into
        within = (
            usage.c.period == portion.period,
            usage.c.start >= start,
            usage.c.start < start + into,
            usage.c.key.in_(portion.keys),
        )
        with self._database.writing(durable=False) as connection:
            connection.execute(_LOCK).one()
            found = connection.execute(select(*_COLUMNS).where(*within)).all()
            together: Rows = {}
            for (_, key), sums in map(_entry, found):
                together.setdefault((start, key), Sums()).merge(sums)
            _merge(connection, into, together)
            connection.execute(delete(usage).where(*within))
        return len(found)

    def forget(self, *, usage_before: float, requests_before: float) -> bool:
        """Delete what is older: sums and marks of workers, and single requests. Returns whether there may be more."""
        older = (
            (usage, (usage.c.period.in_(PERIODS), usage.c.start < int(usage_before))),
            (requests, (requests.c.at < requests_before,)),
            (batches, (batches.c.at < usage_before, batches.c.worker != GATE)),
        )
        with self._database.writing(durable=False) as connection:
            connection.execute(_LOCK).one()
            gone = [connection.execute(_some(table, *where)).rowcount for table, where in older]
        return max(gone) == MAX_AT_ONCE


def _some(table: Table, *where: ColumnElement[bool]) -> Delete:
    """Return what deletes some of the rows of which `where` holds."""
    key = tuple(table.primary_key)
    return delete(table).where(tuple_(*key).in_(select(*key).where(*where).limit(MAX_AT_ONCE)))


def _gathered(sizes: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Yield the keys in groups of at most `MAX_AT_ONCE` rows."""
    keys: list[str] = []
    room = MAX_AT_ONCE
    for key, rows in sizes.items():
        if keys and rows > room:
            yield tuple(keys)
            keys, room = [], MAX_AT_ONCE
        keys.append(key)
        room -= rows
    if keys:
        yield tuple(keys)


def _since(at: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return what holds for rows from a Unix time on; by naming all periods the primary key finds them."""
    return usage.c.period.in_(PERIODS), usage.c.start >= int(at)


def _merge(connection: Connection, period: int, rows: Mapping[tuple[int, UsageKey], Sums]) -> None:
    """Add rows to those stored. The caller holds the gate, so nobody else writes between reading and writing."""
    by_start: dict[int, dict[str, tuple[UsageKey, Sums]]] = {}
    for (start, key), sums in rows.items():
        by_start.setdefault(start, {})[row_digest(key)] = (key, sums)
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for start, keyed in by_start.items():
        where = {"of_period": period, "of_start": start}
        for row in connection.execute(_STORED, {**where, "of_keys": list(keyed)}):
            (_, key), total = _entry(row)
            digest = row_digest(key)
            total.merge(keyed.pop(digest)[1])
            changed.append({**where, "of_key": digest, **_columns(total)})
        new += [
            {"period": period, "start": start, "key": digest, **key._asdict(), **_columns(sums)}
            for digest, (key, sums) in keyed.items()
        ]
    if new:
        connection.execute(insert(usage), new)
    if changed:
        connection.execute(_REPLACE, changed)


def row_digest(key: UsageKey) -> str:
    """Return what identifies a row of a period. What came later counts only where there is something.

    So rows of earlier releases keep theirs.
    """
    named = key._asdict()
    told_apart = [str(value) for name, value in named.items() if name not in LATER]
    told_apart += [f"{name}={value}" for name, value in named.items() if name in LATER and value]
    return hashlib.blake2b("\x1f".join(told_apart).encode(), digest_size=16).hexdigest()


def _columns(sums: Sums) -> dict[str, Any]:
    return {
        **{name: getattr(sums, name) for name in _NUMBERS},
        **{column: json.dumps(getattr(sums, name)) for column, name in _HISTOGRAMS.items()},
    }


def _entry(row: Row[*tuple[Any, ...]]) -> tuple[tuple[int, UsageKey], Sums]:
    """Return one row of `_COLUMNS`, whose names stand in the order of `UsageKey`."""
    start, *names = row[:_KEY_ENDS]
    numbers, texts = row[_KEY_ENDS:_NUMBERS_END], row[_NUMBERS_END:]
    counted = dict(zip(_NUMBERS, numbers, strict=True))
    latency, first_token, cost = map(_buckets, texts)
    sums = Sums(**counted, latency=latency, first_token=first_token, cost_micro=cost)
    return (start, UsageKey(*names)), sums


def _buckets(text: str) -> Counter[int]:
    return Counter({int(bucket): count for bucket, count in json.loads(text).items()})


def _request_rows(worker: str, batch: Batch) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "worker": worker,
            "sequence": batch.sequence,
            "number": number,
            "call_id": finished.call_id,
            "at": finished.at,
            "document": json.dumps(asdict(finished) | {"key": finished.key}, separators=(",", ":")),
        }
        for number, finished in enumerate(batch.requests)
    ]


def _request(document: str) -> FinishedRequest:
    fields = json.loads(document)
    return FinishedRequest(**{**fields, "key": UsageKey(*fields["key"]), "steps": tuple(fields["steps"])})
