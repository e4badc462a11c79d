"""Wake-ups between worker processes: a watched file on one host, Redis pub/sub across hosts, or both.

They carry no truth and may lose messages; a poll of the store heals. No wake-up ever waits long or raises.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuronode_router.control.notify import WRITES, DirectoryEvents
from neuronode_router.control.ports import Wake

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

logger = logging.getLogger(__name__)

SIGNAL_SECONDS = 0.05
"""The longest a signal waits for Redis."""

BREAK_SECONDS = 2.0
"""How long no signal is tried after one failed: a frozen Redis costs one switch 50 ms, not every switch."""

QUIET_SECONDS = 10.0
"""Silence on the subscription after which we ask whether the other end is still there."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.05, 2.0


class FileWake:
    """Wakes every process of this host that watches the file `path`.

    The file should lie in a directory of its own, because every write in that directory wakes everybody.
    """

    def __init__(self, path: Path, *, events: DirectoryEvents | None = None) -> None:
        self._path = path
        self._events = events or DirectoryEvents(path.parent, kinds=WRITES)
        self._on_wake: Callable[[], None] = _nobody

    @property
    def mode(self) -> str:
        """How the file is watched: "inotify", "poll", "off"."""
        return self._events.mode

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen. Never raises."""
        self._on_wake = on_wake
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            logger.warning("The wake-up file's directory cannot be made: %s", error)
        self._events.start(on_wake)

    async def signal(self, revision: int) -> None:
        """Write `revision` into the file. Never raises."""
        self._on_wake()
        try:
            self._write(revision)  # 21 bytes into the page cache: a thread would take longer
        except OSError as error:
            logger.warning("The wake-up file cannot be written, workers will poll: %s", error)

    async def stop(self) -> None:
        """Stop listening."""
        await asyncio.to_thread(self._events.stop)

    def _write(self, revision: int) -> None:
        # In place, with one write: one event, and the watched file stays the same.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(handle, b"%-20d\n" % revision, 0)
        finally:
            os.close(handle)


class RedisWake:
    """Wakes every process that listens on `channel` of the Redis at `url`."""

    def __init__(self, url: str, *, channel: str = "neuronode:wake") -> None:
        self._url = url
        self._channel = channel
        self._on_wake: Callable[[], None] = _nobody
        self._client: Redis | None = None
        self._listener: asyncio.Task[None] | None = None
        self._connected = False
        self._closed_until = 0.0

    @property
    def mode(self) -> str:
        """Return "redis", or "redis (down)" while there is no subscription."""
        return "redis" if self._connected else "redis (down)"

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen in the background. Never raises, never waits for Redis."""
        self._on_wake = on_wake
        self._client = _client(self._url)
        self._listener = asyncio.create_task(self._listen(self._client), name="neuronode-redis-wake")

    async def signal(self, revision: int) -> None:
        """Publish `revision`. Never raises; waits at most 50 ms, and not at all for 2 s after a failure."""
        self._on_wake()
        if self._client is None or time.monotonic() < self._closed_until:
            return
        try:
            async with asyncio.timeout(SIGNAL_SECONDS):
                await self._client.publish(self._channel, str(revision))
        except _redis_errors() as error:
            self._closed_until = time.monotonic() + BREAK_SECONDS
            logger.warning("Redis did not take the wake-up, other hosts will poll: %r", error)

    async def stop(self) -> None:
        """Stop listening and close the connections."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _listen(self, client: Redis) -> None:
        backoff = FIRST_BACKOFF
        while True:
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    self._connected, self._closed_until, backoff = True, 0.0, FIRST_BACKOFF
                    self._on_wake()  # whatever was published while we were away is lost
                    await self._deliver(subscription)
            except _redis_errors() as error:
                logger.debug("Redis subscription ended: %r", error)
            self._connected = False
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _deliver(self, subscription: PubSub) -> None:
        asked = False
        while True:
            message = await subscription.get_message(timeout=QUIET_SECONDS)
            if message is not None:
                asked = False
                if message["type"] == "message":
                    self._on_wake()
            elif asked:
                raise TimeoutError("Redis does not answer a ping")
            else:
                await subscription.ping()
                asked = True


class WakeGroup:
    """Several wake-ups as one: signals go to all of them at the same time."""

    def __init__(self, wakes: Sequence[Wake]) -> None:
        self._wakes = tuple(wakes)

    @property
    def mode(self) -> str:
        """The modes of all, e.g. "inotify+redis"."""
        return "+".join(wake.mode for wake in self._wakes) or "poll"

    async def start(self, on_wake: Callable[[], None]) -> None:
        """Begin to listen on all."""
        for wake in self._wakes:
            await wake.start(on_wake)

    async def signal(self, revision: int) -> None:
        """Signal on all; as slow as the slowest."""
        await asyncio.gather(*(wake.signal(revision) for wake in self._wakes))

    async def stop(self) -> None:
        """Stop all."""
        for wake in self._wakes:
            await wake.stop()


def _nobody() -> None:
    """Stand for a listener before `start`."""


def _client(url: str) -> Redis:
    # Here, because without a Redis URL nobody should pay the import's memory.
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # Retries off: the default tries ten times, with pauses.
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=2.0, socket_connect_timeout=1.0)


def _redis_errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    # ValueError: what the client raises for an answer that is not of its protocol.
    return (RedisError, OSError, TimeoutError, ValueError)
