"""How requests turned out, as one worker hears of it: counted here, shared through SQL, taken up by its router.

It must not know who says how a request turned out, nor keep anything of a request but counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from neuronode_router.auto.diverted import DivertedCounts, DivertedLine, DivertedOf, report
from neuronode_router.auto.outcome_store import OutcomeOf, OutcomeStore, known
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
        """Share what was heard and take up what all know. Raises `StoreUnavailable`; then nothing is lost."""
        await in_thread(self._refresh)

    async def forget(self) -> int:
        """Delete every outcome of all workers and return how many there were: the text alone decides again."""
        with self._counting:
            self._heard.clear()
            self._diverted.clear()
        gone = await in_thread(self._store.forget)
        self.known = NOTHING_SEEN
        return gone

    def _refresh(self) -> None:
        with self._counting:
            heard, self._heard = self._heard, {}
            diverted, self._diverted = self._diverted, {}
        try:
            if heard or diverted:
                self._store.add(heard, at=self._clock(), diverted=diverted)
                self._store.forget(before=self._clock() - KEPT_SECONDS)
        except BaseException:
            with self._counting:
                for of, counts in heard.items():
                    _add(self._heard, of, counts)
                for one, effect in diverted.items():
                    _add(self._diverted, one, effect)
            raise
        self.known = known(self._store.spans())


class _Addable(Protocol):
    def plus(self, other: Self) -> Self: ...


Name = TypeVar("Name")
Addable = TypeVar("Addable", bound=_Addable)


def _add(sums: dict[Name, Addable], name: Name, counts: Addable) -> None:
    sums[name] = sums[name].plus(counts) if name in sums else counts
