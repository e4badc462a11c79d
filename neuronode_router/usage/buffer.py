"""What this process has counted and not yet written to SQL: sums per minute and key, bounded in every direction.

It must not know the store. Not for several threads: count and take on the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neuronode_router.usage.finished import OTHER, FinishedRequest, UsageKey, newest
from neuronode_router.usage.periods import MINUTE
from neuronode_router.usage.sums import Sums

MAX_KEYS = 256
"""Keys told apart within a minute, however often it was taken meanwhile: what is stored must be bounded, too."""

MAX_ACCOUNTS = 1024
"""Keys of a minute beyond these that still tell whom a request is charged to and what a rollout compares."""

MAX_MINUTES = 120
"""Minutes kept while the store is away; what comes later is not counted, which is told."""

MAX_ROWS = 500
"""Rows of one batch: its transaction stays short, also after a long absence of the store."""

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

    @property
    def counted(self) -> int:
        """How many requests its rows add up."""
        return sum(sums.requests for sums in self.rows.values())


@dataclass(slots=True)
class _ToldApart:
    """The keys that rows of one minute have, those that were taken included."""

    keys: set[UsageKey] = field(default_factory=set)
    accounts: set[UsageKey] = field(default_factory=set)

    def row_of(self, key: UsageKey) -> UsageKey:
        """Return the key of the row that a request is added to."""
        if _has_room(self.keys, key, MAX_KEYS):
            return key
        account = _account(key)
        return account if _has_room(self.accounts, account, MAX_ACCOUNTS) else account._replace(team=OTHER)


class UsageBuffer:
    """Counts finished requests until they are taken away."""

    def __init__(self) -> None:
        self._minutes: dict[int, dict[UsageKey, Sums]] = {}
        self._told_apart: dict[int, _ToldApart] = {}
        self._requests: deque[FinishedRequest] = deque(maxlen=MAX_REQUESTS)
        self._sequence = 0
        self.waiting = 0
        """Requests that were counted and not taken."""
        self.overflowed = 0
        """Requests that were counted without telling them apart in full."""
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
            self._begin(minute)
        key = self._told_apart[minute].row_of(finished.key)
        self.overflowed += key is not finished.key
        sums = rows.get(key)
        if sums is None:
            sums = rows[key] = Sums()
        sums.add(finished)
        self.waiting += 1
        self._requests.append(finished)

    def take(self) -> Batch | None:
        """Return what was counted, oldest minutes first, and forget it; None when there is nothing."""
        if not self._minutes:
            return None
        rows: dict[tuple[int, UsageKey], Sums] = {}
        for minute in sorted(self._minutes):
            counted = self._minutes[minute]
            while counted and len(rows) < MAX_ROWS:
                key, sums = counted.popitem()
                rows[minute, key] = sums
            if counted:
                break
            del self._minutes[minute]
        requests, self._requests = self._requests, deque(maxlen=MAX_REQUESTS)
        self._sequence += 1
        batch = Batch(self._sequence, rows, tuple(requests))
        self.waiting -= batch.counted
        return batch

    def give_up(self, batch: Batch) -> None:
        """Count the requests of a batch as not counted: the store will never take it."""
        self.uncounted += batch.counted

    def find(self, call_id: str, *, team: str | None = None) -> FinishedRequest | None:
        """Return the newest request of this call id, and of `team` if given, that was not taken yet; else None."""
        return newest(reversed(self._requests), call_id, team)

    def _begin(self, minute: int) -> None:
        """Forget the names of minutes that are over and were taken, and know those of this one, maybe from before."""
        kept = {
            at: known
            for at, known in self._told_apart.items()
            if at in self._minutes or abs(at - minute) <= MINUTE
        }
        self._told_apart = {minute: _ToldApart()} | kept


def _has_room(known: set[UsageKey], key: UsageKey, most: int) -> bool:
    if key in known:
        return True
    if len(known) >= most:
        return False
    known.add(key)
    return True


def _account(key: UsageKey) -> UsageKey:
    """Return what is still told: whom it is charged to, what left and how it ended; of an arm, what is compared."""
    told = OVERFLOW._replace(team=key.team, outcome=key.outcome, location=key.location)
    return (
        told._replace(arm=key.arm, revision=key.revision, task=key.task, tier=key.tier) if key.arm else told
    )
