"""How requests turned out, as one worker hears of it: counted here, shared through SQL, taken up by its router.

It must not know who says how a request turned out, nor keep anything of a request but counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from neuronode_router.auto.diverted import DivertedCounts, DivertedLine, DivertedOf, report
from neuronode_router.auto.outcome_store import HOUR, OutcomeOf, OutcomeStore, Spans, StoreMoment, known
from neuronode_router.errors import CommitUnknown
from neuronode_router.routing.sufficiency import NOTHING_SEEN, OutcomeCounts, Sufficiency
from neuronode_router.threads import in_thread

REFRESH_SECONDS = 10.0
"""How often what was heard is shared, and what the others have heard is taken up."""

KEPT_SECONDS = 90 * 86_400.0


class Outcomes:
    """The outcomes of one worker. `saw` may be called in any thread; `known` is what all workers had seen lately."""

    def __init__(self, store: OutcomeStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._heard: dict[OutcomeOf, OutcomeCounts] = {}
        self._diverted: dict[DivertedOf, DivertedCounts] = {}
        self._counting = threading.Lock()
        self._turn = threading.Lock()
        """Of who reads or writes the store: what is heard after all was forgotten counts."""
        self._resets: int | None = None
        self._settled_at = 0
        """The hour in which everything was read last: `_settled` is what was counted before it and the one before."""
        self._settled: Spans = {}
        self.known: Sufficiency = NOTHING_SEEN

    def saw(self, of: OutcomeOf, *, good: bool, expected: float) -> None:
        """Count one outcome; `expected` is the chance that its text gave it of being good. Never raises."""
        with self._counting:
            _add(self._heard, of, OutcomeCounts(float(good), float(not good), expected))

    def diverted(self, of: DivertedOf, *, saved_usd: float | None) -> None:
        """Count an answered request that its text alone would have sent elsewhere. Never raises."""
        saved = saved_usd or 0.0
        with self._counting:
            _add(self._diverted, of, DivertedCounts(1, int(saved_usd is not None), saved, saved * saved))

    async def report(self) -> list[DivertedLine]:
        """Return what learning changed, in all workers. Raises `StoreUnavailable`."""
        return report(await in_thread(self._store.diverted), self.known)

    async def refresh(self) -> None:
        """Share what was heard and take up what all know.

        Raises `StoreUnavailable`; nothing is lost then, unless it is a `CommitUnknown`: better lost than counted twice.
        """
        await in_thread(self._refresh)

    async def forget(self) -> int:
        """Delete every outcome of all workers and return how many there were: the text alone decides again. What this
        worker hears from now on counts; others drop what they have heard since their last refresh.
        """
        return await in_thread(self._forget)

    def _forget(self) -> int:
        with self._turn:
            with self._counting:
                self._heard.clear()
                self._diverted.clear()
            gone, self._resets = self._store.forget()
            self._settled, self.known = {}, NOTHING_SEEN
            return gone

    def _refresh(self) -> None:
        with self._turn:
            now = self._store.moment(self._clock)
            self._share(now)
            self._take_up(now)

    def _share(self, now: StoreMoment) -> None:
        with self._counting:
            heard, self._heard = self._heard, {}
            diverted, self._diverted = self._diverted, {}
        if not (heard or diverted) or self._resets not in (None, now.resets):
            return  # all was forgotten since it was heard
        try:
            self._store.add(heard, at=now.at, diverted=diverted, resets=now.resets)
        except CommitUnknown:
            raise
        except BaseException:
            with self._counting:
                for of, counts in heard.items():
                    _add(self._heard, of, counts)
                for one, effect in diverted.items():
                    _add(self._diverted, one, effect)
            raise

    def _take_up(self, now: StoreMoment) -> None:
        """Read what is new, and nothing of hours to come, which a wrong clock has left; everything, and what is too old
        deleted, once an hour and when all was forgotten.
        """
        hour = int(now.at) // HOUR * HOUR
        if (self._settled_at, self._resets) != (hour, now.resets):
            self._store.purge(now.at - KEPT_SECONDS)
            self._settled = self._store.spans(before=hour - HOUR)
            self._settled_at, self._resets = hour, now.resets
        self.known = known(self._store.spans(since=hour - HOUR, before=hour + HOUR), self._settled)


class _Addable(Protocol):
    def plus(self, other: Self) -> Self: ...


Name = TypeVar("Name")
Addable = TypeVar("Addable", bound=_Addable)


def _add(sums: dict[Name, Addable], name: Name, counts: Addable) -> None:
    sums[name] = sums[name].plus(counts) if name in sums else counts
