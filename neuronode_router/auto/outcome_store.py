"""How requests turned out, counted in SQL by hour, profile, kind and tier: the workers of all hosts share it.

It must not know what an outcome is taken from. Every method blocks and may raise `StoreUnavailable`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from neuronode_router.domain import TIERS, Tier
from neuronode_router.routing.sufficiency import OutcomeCounts, RequestKind, Sufficiency, newest
from neuronode_router.storage.database import Database
from neuronode_router.storage.tables import outcome

HOUR = 3600

_INSERTS: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class OutcomeOf(NamedTuple):
    """What outcomes are counted by."""

    kind: RequestKind
    tier: Tier


class OutcomeStore:
    """The table of outcomes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, found: Mapping[OutcomeOf, OutcomeCounts], *, at: float) -> None:
        """Add outcomes that were seen by now; `at` is Unix time in seconds."""
        hour = int(at) // HOUR * HOUR
        with self._database.writing(durable=False) as connection:
            insert = _INSERTS[connection.dialect.name]
            for (kind, tier), counts in sorted(found.items()):
                names = {"hour": hour, "profile": kind.profile, "label": kind.label, "tier": tier.value}
                new = insert(outcome).values(**names, **_columns(counts))
                sums = {name: outcome.c[name] + new.excluded[name] for name in _columns(counts)}
                connection.execute(new.on_conflict_do_update(index_elements=list(names), set_=sums))

    def read(self) -> Sufficiency:
        """Return what the newest outcomes of each kind and tier show."""
        spans: dict[OutcomeOf, list[OutcomeCounts]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(select(outcome).order_by(outcome.c.hour.desc())):
                if row.tier in TIERS:
                    of = OutcomeOf(RequestKind(row.profile, row.label), Tier(row.tier))
                    spans[of].append(OutcomeCounts(row.good, row.bad, row.expected))
        return Sufficiency({of: newest(found) for of, found in spans.items()})

    def forget(self, *, before: float | None = None) -> int:
        """Delete what was counted before a Unix time, or all of it; return how many outcomes there were."""
        old = [] if before is None else [outcome.c.hour < before - HOUR]
        with self._database.writing() as connection:
            gone = connection.execute(select(func.sum(outcome.c.good + outcome.c.bad)).where(*old)).scalar()
            connection.execute(delete(outcome).where(*old))
        return int(gone or 0)


def _columns(counts: OutcomeCounts) -> dict[str, float]:
    return {"good": int(counts.good), "bad": int(counts.bad), "expected": counts.expected}
