"""Carries what this process counted to the store, exactly once, and keeps the store small.

It must not know who counts or who reads. A process that is killed loses what it counted since its last flush.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from neuronode_router.errors import StoreUnavailable
from neuronode_router.threads import in_thread
from neuronode_router.usage.buffer import Batch, UsageBuffer
from neuronode_router.usage.finished import FinishedRequest, newest
from neuronode_router.usage.periods import DAY, HOUR, HOURS_KEPT, MINUTE, MINUTES_KEPT
from neuronode_router.usage.store import UsageStore

logger = logging.getLogger(__name__)

REQUESTS_KEPT = HOUR
"""Seconds for which single requests can be explained."""

MAX_BATCHES = 4
"""Batches of one flush: a report waits for it."""

PAUSE_SECONDS = 0.05
"""Between two transactions of tidying: others write, too, and whoever waits for SQLite's lock looks only now and then.
"""


LEAST_DAYS = 32.0
"""Days for which usage is kept at least: budgets of a month are held by it, in whichever time zone."""


class UsageWriter:
    """One per process. `worker` names it, never the same again; `clock` is Unix time; `days` how long usage is kept,
    `LEAST_DAYS` at least.
    """

    def __init__(
        self,
        *,
        buffer: UsageBuffer,
        store: UsageStore,
        worker: str,
        clock: Callable[[], float],
        days: float,
    ) -> None:
        self._buffer = buffer
        self._store = store
        self._worker = worker
        self._clock = clock
        self._days = max(days, LEAST_DAYS)
        self._unsure: Batch | None = None
        self._turn = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """How many requests are counted that the store may lack."""
        return self._buffer.waiting + (self._unsure.counted if self._unsure is not None else 0)

    async def flush(self) -> None:
        """Add what was counted to the store, or as much as four batches hold. Raises `StoreUnavailable`: then the next
        flush tries again.
        """
        async with self._turn:
            if self._unsure is not None:
                await self._send(self._unsure)
            for _ in range(MAX_BATCHES):
                batch = self._buffer.take()
                if batch is None:
                    break
                await self._send(batch)

    async def tidy(self) -> None:
        """Delete what is too old, and add minutes up to hours and hours to days, in many short transactions. Raises
        `StoreUnavailable`.

        Every process may do it: they take turns, and the second finds nothing left to do.
        """
        now = await in_thread(self._store.time, self._clock)
        ages = {"usage_before": now - self._days * DAY, "requests_before": now - REQUESTS_KEPT}
        while await in_thread(self._store.forget, **ages):  # noqa: ASYNC110  nothing is waited for: others write
            await asyncio.sleep(PAUSE_SECONDS)
        await self._condense(MINUTE, HOUR, now - MINUTES_KEPT)
        await self._condense(HOUR, DAY, now - HOURS_KEPT)

    def find(self, call_id: str, *, team: str | None = None) -> FinishedRequest | None:
        """Return the newest request of this call id, and of `team` if given, that the store may lack; else None."""
        unsure = self._unsure.requests if self._unsure is not None else ()
        return self._buffer.find(call_id, team=team) or newest(reversed(unsure), call_id, team)

    async def _condense(self, period: int, into: int, before: float) -> None:
        while portions := await in_thread(self._store.portions, period, into, before=before):
            for number, portion in enumerate(portions):
                if number:
                    await asyncio.sleep(PAUSE_SECONDS)
                if not await in_thread(self._store.condense, portion):
                    return  # another process is at it

    async def _send(self, batch: Batch) -> None:
        # Kept until the store has answered: a commit whose answer was lost is repeated under the same number.
        self._unsure = batch
        try:
            await in_thread(self._store.add, self._worker, batch, at=self._clock())
        except StoreUnavailable:
            raise
        except Exception:  # a batch that no store can take would keep back all that comes after it
            self._buffer.give_up(batch)
            logger.exception("neuronode: usage of a batch cannot be kept and is not counted")
        self._unsure = None
