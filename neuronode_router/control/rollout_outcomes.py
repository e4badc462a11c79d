"""How answers of the two arms turned out: heard by call, counted by arm and task, shared by all workers through SQL.

While no rollout runs nothing is heard. It must not know who says how an answer turned out.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache
from sqlalchemy import Connection, delete, select

from neuronode_router.domain.names import AUTO
from neuronode_router.domain.rollouts import Arm
from neuronode_router.errors import CommitUnknown
from neuronode_router.rollouts.facts import AnswerOutcome
from neuronode_router.storage.database import Database
from neuronode_router.storage.inserting import add_counts
from neuronode_router.storage.tables import rollout_outcome
from neuronode_router.threads import in_thread
from neuronode_router.usage.finished import UsageKey

MOST_WAITING = 10_000
"""What is heard and cannot be counted yet; older is forgotten first."""

WAITS_SECONDS = 60.0
"""After so long a call that usage does not know is none of this proxy's, or none of the last hour's."""

_COMPARED = frozenset(arm.value for arm in Arm)


class OutcomesOf(NamedTuple):
    """What outcomes are counted by."""

    revision: int
    task: str
    arm: Arm
    outcome: AnswerOutcome


class RolloutOutcomeStore:
    """The table of outcomes. Methods block and may raise `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Mapping[OutcomesOf, int]) -> None:
        """Add counts to those of all workers."""
        with self._database.writing(durable=False) as connection:
            for of, count in sorted(counts.items()):
                add_counts(connection, rollout_outcome, of._asdict(), {"count": count})

    def read(self, *, revision: int) -> dict[str, dict[Arm, Counter[AnswerOutcome]]]:
        """Return what was counted of answers from `revision` on, by task and arm."""
        found: dict[str, dict[Arm, Counter[AnswerOutcome]]] = {}
        wanted = select(rollout_outcome).where(rollout_outcome.c.revision >= revision)
        with self._database.reading() as connection:
            for row in connection.execute(wanted):
                counts = found.setdefault(row.task, {}).setdefault(Arm(row.arm), Counter())
                # What was taken back at one worker may be counted before what was said at another.
                counts[AnswerOutcome(row.outcome)] += max(0, row._mapping["count"])
        return found

    @staticmethod
    def forget(connection: Connection) -> None:
        """Delete all of it, in the transaction that begins another rollout."""
        connection.execute(delete(rollout_outcome))


@dataclass(frozen=True, slots=True)
class _Heard:
    call_id: str
    outcome: AnswerOutcome
    at: float
    count: int = 1


class RolloutOutcomes:
    """What one worker hears. `keys_of` tells from call ids what usage counted the calls under, as far as it knows."""

    def __init__(
        self,
        store: RolloutOutcomeStore,
        *,
        keys_of: Callable[[Iterable[str]], Mapping[str, UsageKey]],
        runs: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._keys_of = keys_of
        self._runs = runs
        self._clock = clock
        self._waiting: deque[_Heard] = deque(maxlen=MOST_WAITING)
        self._said: LRUCache[tuple[str, AnswerOutcome], bool] = LRUCache(MOST_WAITING)

    def heard(self, call_id: str | None, *outcomes: AnswerOutcome) -> None:
        """Note how the answer to a call turned out, if a rollout runs. Never waits, never raises."""
        if call_id is None or not self._runs():
            return
        for outcome in outcomes:
            if (call_id, outcome) not in self._said:  # who says it again says nothing new
                self._said[call_id, outcome] = True
                self._waiting.append(_Heard(call_id, outcome, self._clock()))

    def judged(self, call_id: str, turned: int) -> None:
        """Count one more (1) or one less (-1) that was called wrong, if a rollout runs; 0 is nothing. Never raises.

        Who keeps the verdicts of all workers says so: here nobody knows what was said at another.
        """
        if turned and self._runs():
            self._waiting.append(_Heard(call_id, AnswerOutcome.NEGATIVE, self._clock(), turned))

    async def share(self) -> None:
        """Count what was heard of calls that usage knows by now. Raises `StoreUnavailable`: then it is counted later.

        After `CommitUnknown` it is not: it may be counted already, and an answer that counts twice accuses an arm.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, deque(maxlen=MOST_WAITING)
        try:
            early = await in_thread(self._count, list(waiting))
        except CommitUnknown:
            raise
        except BaseException:
            self._waiting.extendleft(reversed(waiting))
            raise
        self._waiting.extendleft(reversed(early))

    def _count(self, waiting: list[_Heard]) -> list[_Heard]:
        """Write what can be counted; return what cannot be yet."""
        keys = self._keys_of({one.call_id for one in waiting})
        counts: Counter[OutcomesOf] = Counter()
        for one in waiting:
            key = keys.get(one.call_id)
            if key is not None and key.arm in _COMPARED:  # who was placed before the step is not compared
                counts[OutcomesOf(key.revision, key.task or AUTO, Arm(key.arm), one.outcome)] += one.count
        if counts:
            self._store.add(counts)
        oldest = self._clock() - WAITS_SECONDS
        return [one for one in waiting if one.call_id not in keys and one.at > oldest]
