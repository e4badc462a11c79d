"""How requests turned out, counted in SQL by hour, profile, kind and tier: the workers of all hosts share it.

It must not know what an outcome is taken from. Every method blocks and may raise `StoreUnavailable`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, update

from neuronode_router.auto.diverted import Diverted, DivertedCounts, DivertedOf
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.routing.sufficiency import MOST, NONE, OutcomeCounts, RequestKind, Sufficiency, newest
from neuronode_router.storage import tables
from neuronode_router.storage.database import Database, database_time
from neuronode_router.storage.inserting import add_counts
from neuronode_router.storage.tables import outcome, outcome_reset

HOUR = 3600

_RESETS = select(outcome_reset.c.times)


class OutcomeOf(NamedTuple):
    """What outcomes are counted by."""

    kind: RequestKind
    tier: Tier
    hint: bool = False
    """Whether they say little where they are good: an answer's form, what was asked next."""


Spans = Mapping[OutcomeOf, Sequence[OutcomeCounts]]
"""By hour, the newest first, and no more than count."""


def known(*spans: Spans) -> Sufficiency:
    """Return what outcomes show; of several `Spans` the newest come first. Never raises."""
    verdicts: dict[tuple[RequestKind, Tier], OutcomeCounts] = {}
    hints: dict[tuple[RequestKind, Tier], OutcomeCounts] = {}
    for of in set(chain(*spans)):
        counts = newest(chain(*(each.get(of, ()) for each in spans)))
        (hints if of.hint else verdicts)[of.kind, of.tier] = counts
    return Sufficiency(verdicts, hints)


class StoreMoment(NamedTuple):
    """When a store was asked."""

    at: float
    """Unix time in seconds, by the clock that all hosts share, where there is one."""
    resets: int
    """How often all had been forgotten by then."""


class OutcomeStore:
    """The tables of outcomes and of what they changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        found: Mapping[OutcomeOf, OutcomeCounts],
        *,
        at: float,
        diverted: Diverted | None = None,
        resets: int | None = None,
    ) -> None:
        """Add outcomes, and requests that they diverted, which were seen by now; `at` is Unix time in seconds.

        Nothing is added where all was forgotten since there were so many `resets`.
        """
        hour = int(at) // HOUR * HOUR
        with self._database.writing(durable=False) as connection:
            # Locked: who forgets at this moment waits, and deletes this too.
            if resets not in (None, connection.execute(_RESETS.with_for_update(read=True)).scalar()):
                return
            for (kind, tier, hint), counts in sorted(found.items()):
                names = {"hour": hour, **kind._asdict(), "tier": tier.value}
                add_counts(connection, outcome, names, _columns(counts, hint=hint))
            for (kind, *names_of), effect in sorted((diverted or {}).items()):
                how = dict(zip(("step", "instead", "tier"), (name.value for name in names_of), strict=True))
                add_counts(
                    connection, tables.diverted, {"hour": hour, **kind._asdict(), **how}, asdict(effect)
                )

    def moment(self, clock: Callable[[], float]) -> StoreMoment:
        """Return when this is; by `clock` where the hosts share none."""
        with self._database.reading() as connection:
            return StoreMoment(
                database_time(connection, clock), int(connection.execute(_RESETS).scalar_one())
            )

    def spans(self, *, since: int | None = None, before: int | None = None) -> Spans:
        """Return what was counted in the hours from `since` on and before `before`, Unix times in seconds."""
        found: dict[OutcomeOf, list[OutcomeCounts]] = defaultdict(list)
        totals: dict[OutcomeOf, float] = defaultdict(float)
        query = select(outcome).order_by(outcome.c.hour.desc())
        query = query if since is None else query.where(outcome.c.hour >= since)
        query = query if before is None else query.where(outcome.c.hour < before)
        with self._database.reading() as connection:
            for row in connection.execute(query):
                if row.tier in TIERS:
                    for of, counts in _counted(row):
                        if counts.total and totals[of] < MOST:
                            found[of].append(counts)
                            totals[of] += counts.total
        return found

    def diverted(self) -> Diverted:
        """Return the requests that went to another tier than their text alone would have sent them to."""
        found: dict[DivertedOf, DivertedCounts] = defaultdict(DivertedCounts)
        with self._database.reading() as connection:
            for row in connection.execute(select(tables.diverted)):
                kind = RequestKind(row.profile, row.label)
                of = DivertedOf(kind, Step(row.step), Tier(row.instead), Tier(row.tier))
                found[of] = found[of].plus(DivertedCounts(row.requests, row.priced, row.saved, row.squares))
        return found

    def purge(self, before: float) -> None:
        """Delete what was counted before a Unix time."""
        with self._database.writing(durable=False) as connection:
            for table in (outcome, tables.diverted):
                connection.execute(delete(table).where(table.c.hour < before - HOUR))

    def forget(self) -> tuple[int, int]:
        """Delete all that was counted; return how many outcomes there were, and how often all was forgotten by now."""
        each = sum((outcome.c[name] for name in ("bad", "hint_good", "hint_bad")), outcome.c.good)
        with self._database.writing() as connection:
            more = update(outcome_reset).values(times=outcome_reset.c.times + 1)
            resets = connection.execute(more.returning(outcome_reset.c.times)).scalar_one()
            gone = connection.execute(select(func.sum(each))).scalar()
            connection.execute(delete(outcome))
            connection.execute(delete(tables.diverted))
        return int(gone or 0), int(resets)


def _counted(row: Row[Any]) -> Iterator[tuple[OutcomeOf, OutcomeCounts]]:
    of = OutcomeOf(RequestKind(row.profile, row.label), Tier(row.tier))
    yield of, OutcomeCounts(row.good, row.bad, row.expected)
    yield of._replace(hint=True), OutcomeCounts(row.hint_good, row.hint_bad, row.hint_expected)


def _columns(counts: OutcomeCounts, *, hint: bool) -> dict[str, float]:
    verdicts, hints = (NONE, counts) if hint else (counts, NONE)
    return {
        f"{prefix}{name}": value
        for prefix, each in (("", verdicts), ("hint_", hints))
        for name, value in asdict(each).items()
    }
