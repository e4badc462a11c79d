"""Statistics that all workers and hosts share through Redis; while it is away, those of this process alone.

Everything is exchanged in the background; no request waits for it. It must not know what the figures are used for.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from neuronode_router.background import Failures
from neuronode_router.foreign import described
from neuronode_router.redis.breaker import CircuitBreaker
from neuronode_router.redis.client import connect, redis_errors
from neuronode_router.stats.exchange import Exchange
from neuronode_router.stats.memory import INTERVAL_SECONDS, SUMMING_UP, build_snapshot, known_to, tallies_of
from neuronode_router.stats.recorder import Recorder
from neuronode_router.stats.summary import DeploymentStats, TallyAt
from neuronode_router.stats.tally import Tally
from neuronode_router.stats.window import MAX_DEPLOYMENTS

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 0.2
"""The longest an answer of Redis is waited for."""

BREAK_SECONDS = 1.0
"""How long Redis is left alone after a failure."""

SHARING = "sharing statistics through Redis"


class RedisStatistics:
    """Counts in this process and shares it through the Redis at `url`. `clock` is Unix time in seconds."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        interval: float = INTERVAL_SECONDS,
        failures: Failures | None = None,
    ) -> None:
        self._failures = failures or Failures()
        self.recorder = Recorder(clock=clock)
        self._url = url
        self._interval = interval
        self._exchange = Exchange(self.recorder, instance=secrets.token_hex(8))
        self._snapshot: Mapping[str, DeploymentStats] = MappingProxyType({})
        self.updated = asyncio.Event()
        self._shared = False
        self._breaker = CircuitBreaker(BREAK_SECONDS)
        self._stopping = asyncio.Event()
        self._client: Redis | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def mode(self) -> str:
        """Return "redis", or "redis (down)" while only this process is counted."""
        return "redis" if self._shared else "redis (down)"

    def snapshot(self) -> Mapping[str, DeploymentStats]:
        """Return the latest figures by deployment id."""
        return self._snapshot

    def in_flight(self, deployment_id: str) -> int:
        """Return how many attempts run: this process's now, and the others' when they last said so."""
        others = self._exchange.view.depths.values() if self._shared else ()
        own = self.recorder.depths.get(deployment_id, 0)
        return own + sum(depth.get(deployment_id, 0) for depth in others)

    async def start(self) -> None:
        """Begin to exchange in the background. Never raises, never waits for Redis."""
        self._client = connect(self._url, answer_seconds=ANSWER_SECONDS, connect_seconds=ANSWER_SECONDS)
        self._task = asyncio.create_task(self._run(self._client), name="neuronode-shared-statistics")

    async def stop(self) -> None:
        """Stop, and tell the others that nothing of ours is in flight."""
        self._stopping.set()
        if self._task is not None:
            await (
                self._task
            )  # not cancelled: an exchange is short, and cut off it would leave its connection open
            self._task = None
        if self._client is not None:
            await self._leave(self._client)
            await self._client.aclose()
            self._client = None

    async def _run(self, client: Redis) -> None:
        while not self._stopping.is_set():
            if not self._breaker.is_open:
                with self._failures.survived(SHARING):
                    await self._try_exchange(client)
            with self._failures.survived(SUMMING_UP):
                self.recorder.forget_lost()
                await self._publish()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._stopping.wait()

    async def _try_exchange(self, client: Redis) -> None:
        try:
            await self._exchange.run(client)
        except redis_errors() as error:
            if self._shared:
                logger.warning(
                    "Statistics are those of this process until Redis answers: %s", described(error)
                )
            self._shared = False
            self._breaker.record_failure()
            return
        except Exception:
            self._shared = False
            self._breaker.record_failure()
            raise
        if not self._shared:
            logger.info("Statistics are shared through Redis")
        self._shared = True

    async def _publish(self) -> None:
        known = known_to(self.recorder)
        tally_at = tallies_of(self.recorder.window.slots)
        if self._shared:
            view = self._exchange.view
            others = set().union(*view.slots.values(), *view.depths.values()) - known
            known |= set(islice(sorted(others), MAX_DEPLOYMENTS))
            tally_at = _at_least_own(tally_at, tallies_of(view.slots))
        built = await build_snapshot(known, tally_at, self.recorder, depth=self.in_flight)
        if built != self._snapshot:
            self._snapshot = built
            self.updated.set()

    async def _leave(self, client: Redis) -> None:
        if not self._shared:
            return
        try:
            await self._exchange.leave(client)
        except redis_errors() as error:
            logger.debug("What was in flight here will expire in Redis: %s", described(error))


def _at_least_own(own: TallyAt, shared: TallyAt) -> TallyAt:
    """Return the shared counts, and ours where Redis has less: evicted, spoilt, or not sent yet."""

    def tally_at(number: int, deployment_id: str) -> Tally | None:
        mine, everybodys = own(number, deployment_id), shared(number, deployment_id)
        return mine | everybodys if mine and everybodys else mine or everybodys

    return tally_at
