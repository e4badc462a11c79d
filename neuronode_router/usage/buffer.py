"""What this process has counted and not yet written to SQL: sums per minute and key, bounded in every direction.

It must not know the store. Not for several threads: count and take on the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuronode_router.usage.finished import OTHER, FinishedRequest, UsageKey, newest
from neuronode_router.usage.periods import MINUTE
from neuronode_router.usage.sums import Sums

MAX_KEYS = 256
"""Keys told apart within a minute. Callers can choose names; they must not make up memory."""

MAX_MINUTES = 120
"""Minutes kept while the store is away; what comes later is not counted, which is told."""

MAX_ROWS = 2000
"""Rows of one batch, up to whole minutes: a transaction stays short after a long absence of the store."""

MAX_REQUESTS = 256
"""Single requests kept per batch, the newest, for `explain`."""

OVERFLOW = UsageKey(profile=OTHER, task=OTHER, chosen_group=OTHER, served_group=OTHER, team=OTHER)


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes to the store in one transaction, once."""

    sequence: int
    """1, 2, 3, ... per process."""
    rows: Mapping[tuple[int, UsageKey], Sums]
    """By minute (Unix seconds of its start) and key."""
    requests: Sequence[FinishedRequest]


class UsageBuffer:
    """Counts finished requests until they are taken away."""

    def __init__(self) -> None:
        self._minutes: dict[int, dict[UsageKey, Sums]] = {}
        self._requests: deque[FinishedRequest] = deque(maxlen=MAX_REQUESTS)
        self._sequence = 0
        self.overflowed = 0
        """Requests that were counted without telling them apart."""
        self.uncounted = 0
        """Requests that were not counted, because the store was away for too long, or could not take them."""

    def count(self, finished: FinishedRequest) -> None:
        """Count one request. Never raises."""
        minute = int(finished.at) // MINUTE * MINUTE
        rows = self._minutes.get(minute)
        if rows is None:
            if len(self._minutes) >= MAX_MINUTES:
                self.uncounted += 1
                return
            rows = self._minutes[minute] = {}
        sums = rows.get(finished.key)
        if sums is None:
            sums = self._new_row(rows, finished.key)
        sums.add(finished)
        self._requests.append(finished)

    def take(self) -> Batch | None:
        """Return what was counted, oldest minutes first, and forget it; None when there is nothing."""
        if not self._minutes:
            return None
        rows: dict[tuple[int, UsageKey], Sums] = {}
        for minute in sorted(self._minutes):
            if rows and len(rows) + len(self._minutes[minute]) > MAX_ROWS:
                break
            rows |= {(minute, key): sums for key, sums in self._minutes.pop(minute).items()}
        requests, self._requests = self._requests, deque(maxlen=MAX_REQUESTS)
        self._sequence += 1
        return Batch(self._sequence, rows, tuple(requests))

    def give_up(self, batch: Batch) -> None:
        """Count the requests of a batch as not counted: the store will never take it."""
        self.uncounted += sum(sums.requests for sums in batch.rows.values())

    def find(self, call_id: str, *, team: str | None = None) -> FinishedRequest | None:
        """Return the newest request of this call id, and of `team` if given, that was not taken yet; else None."""
        return newest(reversed(self._requests), call_id, team)

    def _new_row(self, rows: dict[UsageKey, Sums], key: UsageKey) -> Sums:
        if len(rows) < MAX_KEYS:
            rows[key] = Sums()
            return rows[key]
        self.overflowed += 1
        # What left must be told even then, whoever it was.
        return rows.setdefault(OVERFLOW._replace(outcome=key.outcome, location=key.location), Sums())
