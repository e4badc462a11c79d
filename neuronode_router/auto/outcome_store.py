"""How requests turned out, counted in SQL by hour, profile, kind and tier: the workers of all hosts share it.

It must not know what an outcome is taken from. Every method blocks and may raise `StoreUnavailable`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import NamedTuple

from sqlalchemy import delete, func, select

from neuronode_router.auto.diverted import Diverted, DivertedCounts, DivertedOf
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.routing.sufficiency import NONE, OutcomeCounts, RequestKind, Sufficiency, newest
from neuronode_router.storage import tables
from neuronode_router.storage.database import Database
from neuronode_router.storage.inserting import add_counts
from neuronode_router.storage.tables import outcome

HOUR = 3600


class OutcomeOf(NamedTuple):
    """What outcomes are counted by."""

    kind: RequestKind
    tier: Tier
    hint: bool = False
    """Whether they say little where they are good: an answer's form, what was asked next."""


Spans = Mapping[OutcomeOf, Sequence[OutcomeCounts]]
"""Of each hour, the newest first; no more than count."""


def known(*spans: Spans) -> Sufficiency:
    """Return what outcomes show; of several `Spans` the newest come first. Never raises."""
    verdicts: dict[tuple[RequestKind, Tier], OutcomeCounts] = {}
    hints: dict[tuple[RequestKind, Tier], OutcomeCounts] = {}
    for of in set(chain(*spans)):
        counts = newest(chain(*(each.get(of, ()) for each in spans)))
        if counts.total:
            (hints if of.hint else verdicts)[of.kind, of.tier] = counts
    return Sufficiency(verdicts, hints)


class OutcomeStore:
    """The tables of outcomes and of what they changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, found: Mapping[OutcomeOf, OutcomeCounts], *, at: float, diverted: Diverted | None = None
    ) -> None:
        """Add outcomes, and requests that they diverted, which were seen by now; `at` is Unix time in seconds."""
        hour = int(at) // HOUR * HOUR
        with self._database.writing(durable=False) as connection:
            for (kind, tier, hint), counts in sorted(found.items()):
                names = {"hour": hour, **kind._asdict(), "tier": tier.value}
                add_counts(connection, outcome, names, _columns(counts, hint=hint))
            for (kind, *names_of), effect in sorted((diverted or {}).items()):
                how = dict(zip(("step", "instead", "tier"), (name.value for name in names_of), strict=True))
                add_counts(
                    connection, tables.diverted, {"hour": hour, **kind._asdict(), **how}, asdict(effect)
                )

    def spans(self) -> Spans:
        """Return what was counted."""
        found: dict[OutcomeOf, list[OutcomeCounts]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(select(outcome).order_by(outcome.c.hour.desc())):
                if row.tier in TIERS:
                    kind, tier = RequestKind(row.profile, row.label), Tier(row.tier)
                    found[OutcomeOf(kind, tier)].append(OutcomeCounts(row.good, row.bad, row.expected))
                    hints = OutcomeCounts(row.hint_good, row.hint_bad, row.hint_expected)
                    found[OutcomeOf(kind, tier, hint=True)].append(hints)
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

    def forget(self, *, before: float | None = None) -> int:
        """Delete what was counted before a Unix time, or all of it; return how many outcomes there were."""
        old = [] if before is None else [outcome.c.hour < before - HOUR]
        with self._database.writing() as connection:
            each = sum((outcome.c[name] for name in ("bad", "hint_good", "hint_bad")), outcome.c.good)
            gone = connection.execute(select(func.sum(each)).where(*old)).scalar()
            connection.execute(delete(outcome).where(*old))
            gone_too = [] if before is None else [tables.diverted.c.hour < before - HOUR]
            connection.execute(delete(tables.diverted).where(*gone_too))
        return int(gone or 0)


def _columns(counts: OutcomeCounts, *, hint: bool) -> dict[str, float]:
    verdicts, hints = (NONE, counts) if hint else (counts, NONE)
    return {
        f"{prefix}{name}": value
        for prefix, each in (("", verdicts), ("hint_", hints))
        for name, value in asdict(each).items()
    }
