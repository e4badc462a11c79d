"""A Redis pub/sub channel that may be gone at any time: nobody waits long for it, and it comes back by itself.

It must not know what its messages mean. They may be lost, doubled or forged; readers reckon with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from neuronode_router.backoff import Backoff
from neuronode_router.foreign import described
from neuronode_router.redis.breaker import CircuitBreaker
from neuronode_router.redis.client import connect, redis_errors

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 0.05
"""The longest that publishing waits for Redis."""

BREAK_SECONDS = 2.0
"""How long nothing is published after it failed once: a frozen Redis costs one message 50 ms, not every message."""

QUIET_SECONDS = 10.0
"""Silence on the subscription after which we ask whether the other end is still there."""

ANSWER_SECONDS, CONNECT_SECONDS = 2.0, 1.0

FIRST_BACKOFF, LONGEST_BACKOFF = 0.05, 2.0

OnMessage = Callable[[bytes | None], None]
"""Called on the event loop with each message, and with None after each (re)connection: what was said before is lost."""


class RedisChannel:
    """The channel `name` of the Redis at `url`."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Redis | None = None
        self._listener: asyncio.Task[None] | None = None
        self._breaker = CircuitBreaker(BREAK_SECONDS)
        self._taken = True
        self._fault: type[Exception] | None = None
        self.connected = False
        """Whether there is a subscription now."""

    def start(self, on_message: OnMessage) -> None:
        """Begin to listen in the background. Never raises, never waits for Redis."""
        self._client = connect(self._url, answer_seconds=ANSWER_SECONDS, connect_seconds=CONNECT_SECONDS)
        self._listener = asyncio.create_task(self._listen(self._client, on_message), name="neuronode-redis")

    async def publish(self, message: bytes) -> bool:
        """Say `message`; return whether Redis took it. Never raises; waits at most 50 ms, and not at all after a
        failure for 2 s.
        """
        if self._client is None or self._breaker.is_open:
            return False
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._client.publish(self._name, message)
        except redis_errors() as error:
            self._breaker.record_failure()
            if self._taken:
                logger.warning("Redis takes no messages on %s for now: %s", self._name, described(error))
            self._taken = False
            return False
        except Exception as error:  # noqa: BLE001  whoever says something here must not fail for it
            self._breaker.record_failure()
            self._log_fault(error)
            return False
        if not self._taken:
            logger.info("Redis takes messages on %s again", self._name)
        self._taken = True
        return True

    async def stop(self) -> None:
        """Stop listening and close the connections."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _listen(self, client: Redis, on_message: OnMessage) -> None:
        backoff = Backoff(first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)
        while True:
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(self._name)
                    self.connected = True
                    self._breaker.record_success()
                    backoff.reset()
                    on_message(None)
                    await _deliver(subscription, on_message)
            except redis_errors() as error:
                logger.debug("Redis subscription ended: %s", described(error))
            except Exception as error:  # noqa: BLE001  a listener that ended would leave this worker deaf in silence
                self._log_fault(error)
            finally:
                self.connected = False
            await asyncio.sleep(backoff.next())

    def _log_fault(self, error: Exception) -> None:
        """Log what nobody foresaw with its traceback, once as long as it is the same."""
        if self._fault is not type(error):
            logger.error("The Redis channel %s failed and is tried again", self._name, exc_info=error)
        self._fault = type(error)


async def _deliver(subscription: PubSub, on_message: OnMessage) -> None:
    asked = False
    while True:
        message = await subscription.get_message(timeout=QUIET_SECONDS)
        if message is not None:
            asked = False
            if message["type"] == "message":
                on_message(message["data"])
        elif asked:
            raise TimeoutError("Redis does not answer a ping")
        else:
            await subscription.ping()
            asked = True
