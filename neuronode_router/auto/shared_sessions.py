"""Tells the other workers where sessions, tool loops and conversations went: through Redis, and safe to lose.

It holds keyed hashes, tiers, groups and deployment ids: no text, no session id. What it hears is not trusted: a message
that was not made with the workers' secret, was heard before, is old, or is not of its form, is ignored.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from cachetools import LRUCache
from pydantic import TypeAdapter, ValidationError

from neuronode_router.background import Failures
from neuronode_router.domain.names import Tier
from neuronode_router.redis.channel import RedisChannel
from neuronode_router.routing.conversations import Conversations, Standing
from neuronode_router.routing.fallback_chain import Held
from neuronode_router.routing.sessions import Sessions

CHANNEL = "neuronode:sessions"
PAUSE_SECONDS = 0.02
"""How often is told what is new: long before a model has answered and the session goes on."""

WAITING = 2000
"""Ways that may wait to be told; older ones are dropped."""

MAC_BYTES = 32
"""Every message begins with its keyed BLAKE2b hash: who may write to Redis alone moves no conversation."""

FRESH_SECONDS = 300.0
"""How old a message may be, and how far the clocks of hosts may be apart."""

INSTANCES = 1000
"""Workers, those that have ended too, of which the number of the last message is known."""

TELLING = "telling other workers of sessions"

_MESSAGE = TypeAdapter(
    tuple[tuple[str, int, float], list[tuple[str, Tier, str, str | None]], list[tuple[str, Standing]]]
)
"""Of which worker, its how manieth and when (Unix time); ways of sessions, and how conversations stand."""


class SharedSessions(Sessions):
    """The sessions of all workers that share a Redis and a secret."""

    def __init__(
        self,
        url: str,
        *,
        secret: Callable[[], bytes],
        conversations: Conversations,
        failures: Failures | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(secret=secret)
        self._failures = failures or Failures()
        self._unix = clock
        self._instance = secrets.token_hex(8)
        self._number = 0
        self._newest: LRUCache[str, int] = LRUCache(INSTANCES)
        self._conversations = conversations
        self._spoken: deque[tuple[bytes, Standing]] = deque(maxlen=WAITING)
        conversations.told = self._has_gone_on
        self._message_secret = secret
        self._channel = RedisChannel(url, CHANNEL)
        self._untold: deque[bytes] = deque(maxlen=WAITING)
        self._news = asyncio.Event()
        self._teller: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether others are heard now."""
        return self._channel.connected

    def hold(self, session: bytes, held: Held) -> None:
        """Remember a way, and tell the others soon."""
        super().hold(session, held)
        self._untold.append(session)
        self._news.set()

    def answered(self, session: bytes, deployment_id: str) -> None:
        """Remember which deployment answered, and tell the others soon."""
        super().answered(session, deployment_id)
        self._untold.append(session)
        self._news.set()

    def _has_gone_on(self, key: bytes, standing: Standing) -> None:
        self._spoken.append((key, standing))
        self._news.set()

    def start(self) -> None:
        """Begin to tell and to listen. Never raises, never waits for Redis."""
        self._channel.start(self._hear)
        self._teller = asyncio.create_task(self._tell(), name="neuronode-sessions")

    async def stop(self) -> None:
        """Stop both."""
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.gather(self._teller, return_exceptions=True)
        await self._channel.stop()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()  # an idle worker wakes up for nothing
            await asyncio.sleep(PAUSE_SECONDS)
            self._news.clear()
            with self._failures.survived(TELLING):
                sessions = dict.fromkeys(self._untold)
                newest = {(key, standing.request): standing for key, standing in self._spoken}
                self._untold.clear()
                self._spoken.clear()
                spoken = [(key, standing) for (key, _), standing in newest.items()]
                await self._channel.publish(self._message(sessions, spoken))

    def _message(self, sessions: Iterable[bytes], spoken: Iterable[tuple[bytes, Standing]]) -> bytes:
        ways = [(session, held) for session in sessions if (held := self.held(session)) is not None]
        entries = [(session.hex(), held.tier, held.group, held.deployment_id) for session, held in ways]
        self._number += 1
        content = _MESSAGE.dump_json(
            (
                (self._instance, self._number, self._unix()),
                entries,
                [(key.hex(), one) for key, one in spoken],
            )
        )
        return self._mac(content) + content

    def _mac(self, content: bytes) -> bytes:
        key = self._message_secret()
        return hashlib.blake2b(content, key=key, person=b"session message", digest_size=MAC_BYTES).digest()

    def _is_new(self, instance: str, number: int, at: float) -> bool:
        """Return whether a message is of another worker and its newest: who may write to Redis can repeat old ones."""
        if instance == self._instance or number <= self._newest.get(instance, 0):
            return False
        self._newest[instance] = number
        return abs(self._unix() - at) <= FRESH_SECONDS

    def _hear(self, message: bytes | None) -> None:
        if message is None:
            return
        mac, content = message[:MAC_BYTES], message[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(content)):
            return
        try:
            sent, ways, spoken = _MESSAGE.validate_json(content)
            if not self._is_new(*sent):
                return
            for session, tier, group, deployment_id in ways:
                super().hold(bytes.fromhex(session), Held(tier, group, deployment_id))
            for key, standing in spoken:
                self._conversations.put(bytes.fromhex(key), replace(standing, here=False))
        except (ValidationError, ValueError):
            return
