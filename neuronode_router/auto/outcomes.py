"""How requests turned out, as one worker hears of it: counted here, shared through SQL, taken up by its router.

It must not know who says how a request turned out, nor keep anything of a request but counts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from neuronode_router.auto.outcome_store import OutcomeOf, OutcomeStore
from neuronode_router.routing.sufficiency import NOTHING_SEEN, OutcomeCounts, Sufficiency

REFRESH_SECONDS = 10.0
"""How often what was heard is shared, and what the others have heard is taken up."""

KEPT_SECONDS = 90 * 86_400.0


class Outcomes:
    """The outcomes of one worker. `saw` may be called in any thread; `known` is what all workers had seen lately."""

    def __init__(self, store: OutcomeStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._heard: dict[OutcomeOf, OutcomeCounts] = {}
        self._counting = threading.Lock()
        self.known: Sufficiency = NOTHING_SEEN

    def saw(self, of: OutcomeOf, *, good: bool, expected: float) -> None:
        """Count one outcome; `expected` is the chance that its text gave it of being good. Never raises."""
        counts = OutcomeCounts(float(good), float(not good), expected)
        with self._counting:
            self._heard[of] = self._heard.get(of, OutcomeCounts()).plus(counts)

    async def refresh(self) -> None:
        """Share what was heard and take up what all know. Raises `StoreUnavailable`; then nothing is lost."""
        await asyncio.to_thread(self._refresh)

    async def forget(self) -> int:
        """Delete every outcome of all workers and return how many there were: the text alone decides again."""
        with self._counting:
            self._heard.clear()
        gone = await asyncio.to_thread(self._store.forget)
        self.known = NOTHING_SEEN
        return gone

    def _refresh(self) -> None:
        with self._counting:
            heard, self._heard = self._heard, {}
        try:
            if heard:
                self._store.add(heard, at=self._clock())
                self._store.forget(before=self._clock() - KEPT_SECONDS)
        except BaseException:
            with self._counting:
                for of, counts in heard.items():
                    self._heard[of] = self._heard.get(of, OutcomeCounts()).plus(counts)
            raise
        self.known = self._store.read()
