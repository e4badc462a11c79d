"""Usage in one worker: the hooks that count, the writer that keeps, the service that answers.

It decides nothing itself, and nothing here is on the request path.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from neuronode_router.domain.profiles import Profile
from neuronode_router.errors import NeuronodeError, Problem
from neuronode_router.litellm_plugin.hooks.usage import Groups, UsageHooks
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.prices import group_notes, listed_price, price_of
from neuronode_router.routing.inventory import Inventory
from neuronode_router.storage.database import Database
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.finished import FinishedRequest
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.writer import UsageWriter

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.0
"""How long a worker that stops waits for LiteLLM to say how its last requests ended."""

LOOK_SECONDS = 0.01

LAST_SECONDS = 5.0
"""How long a worker that stops goes on carrying to the store what is left; orchestrators wait 10 seconds and more."""


class UsageWiring:
    """The parts, wired. `worker` names this process, `days` is how long usage is kept, `watch` hears of each one."""

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        database: Database,
        worker: str,
        days: float,
        bridge: RouterBridge,
        deployments: Deployments,
        registry: Callable[[], Inventory],
        place_of: Callable[[str], str | None],
        profiles: Callable[[], Iterable[Profile]],
        watch: Callable[[FinishedRequest], None],
    ) -> None:
        self._buffer = UsageBuffer()
        groups = Groups(
            of_deployment=deployments.served_by,
            known=bridge.has_group,
            place_of=place_of,
            price_of=lambda deployment: price_of(bridge.deployment(deployment) or {}),
        )
        self.hooks = UsageHooks(buffer=self._buffer, groups=groups, watch=watch)
        self._store = store = UsageStore(database)
        self._writer = UsageWriter(
            buffer=self._buffer, store=store, worker=worker, clock=time.time, days=days
        )
        self.service = UsageService(
            writer=self._writer,
            store=store,
            clock=time.time,
            listed=lambda group: listed_price(bridge.entries(), group),
            notes=lambda: group_notes(registry()),
            profiles=profiles,
        )

    async def flush(self) -> None:
        """Carry what was counted to the store. Raises `StoreUnavailable`; the next flush then tries again."""
        self.hooks.sweep()
        await self._writer.flush()

    async def tidy(self) -> None:
        """Add minutes up and forget what is too old. Raises `StoreUnavailable`."""
        await self._writer.tidy()

    def costs_of_the_month(self) -> Mapping[str, float]:
        """Return what each team has cost in this calendar month (UTC), in USD. Blocks; raises `StoreUnavailable`."""
        began = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return self._store.costs_by_team(began.timestamp())

    async def stop(self) -> None:
        """Flush what is left, for some seconds. Never raises for a dead store: what is lost then is logged.

        LiteLLM tells in the background how requests ended: what it has answered already is waited for.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while self.hooks.awaits:  # noqa: ASYNC110  LiteLLM gives no event for what it logs
                    await asyncio.sleep(LOOK_SECONDS)
        self.hooks.sweep(last=True)
        await self._flush_all(until=time.monotonic() + LAST_SECONDS)
        if self._writer.waiting:
            logger.error("neuronode: usage of %d requests could not be kept", self._writer.waiting)

    async def _flush_all(self, *, until: float) -> None:
        with contextlib.suppress(NeuronodeError):
            while self._writer.waiting and time.monotonic() < until:
                await self._writer.flush()

    def problems(self) -> tuple[Problem, ...]:
        """Return a problem for each kind of call that LiteLLM answers without asking our hooks."""
        return tuple(_unseen(call, count) for call, count in sorted(self.hooks.unseen.items()))

    def status(self) -> Mapping[str, int]:
        """Return what went wrong while counting, for the status page."""
        return {
            "usage_failures": self.hooks.failures.total,
            "usage_overflowed": self._buffer.overflowed,
            "usage_uncounted": self._buffer.uncounted,
        }


def _unseen(call: str, count: int) -> Problem:
    return Problem(
        code="wire_unseen",
        message=f"LiteLLM answered {count} requests of the kind {call!r} past our hooks: they are not measured.",
        fix="Unset LITELLM_RUST, install a tested release of LiteLLM, or a newer release of this plugin.",
        path=call,
    )
