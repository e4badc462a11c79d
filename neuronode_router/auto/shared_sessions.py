"""Tells the other workers where sessions and tool loops went, through Redis: in the background, and safe to lose.

It holds keyed hashes, tiers, groups and deployment ids: no text, no session id. What it hears is not trusted: a message
that was not made with the workers' secret, or is not of its form, is ignored.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable

from pydantic import TypeAdapter, ValidationError

from neuronode_router.domain import Tier
from neuronode_router.redis.channel import RedisChannel
from neuronode_router.routing.fallback_chain import Held
from neuronode_router.routing.sessions import Sessions

CHANNEL = "neuronode:sessions"
PAUSE_SECONDS = 0.02
"""How often is told what is new: long before a model has answered and the session goes on."""

WAITING = 2000
"""Ways that may wait to be told; older ones are dropped."""

MAC_BYTES = 32
"""Every message begins with its keyed BLAKE2b hash: who may write to Redis alone moves no conversation."""

_MESSAGE = TypeAdapter(list[tuple[str, Tier, str, str | None]])


class SharedSessions(Sessions):
    """The sessions of all workers that share a Redis and a secret."""

    def __init__(self, url: str, *, secret: Callable[[], bytes]) -> None:
        super().__init__(secret=secret)
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
            sessions = dict.fromkeys(self._untold)
            self._untold.clear()
            await self._channel.publish(self._message(sessions))

    def _message(self, sessions: dict[bytes, None]) -> bytes:
        ways = [(session, held) for session in sessions if (held := self.held(session)) is not None]
        entries = [(session.hex(), held.tier.value, held.group, held.deployment_id) for session, held in ways]
        content = json.dumps(entries, separators=(",", ":")).encode()
        return self._mac(content) + content

    def _mac(self, content: bytes) -> bytes:
        key = self._message_secret()
        return hashlib.blake2b(content, key=key, person=b"session message", digest_size=MAC_BYTES).digest()

    def _hear(self, message: bytes | None) -> None:
        if message is None:
            return
        mac, content = message[:MAC_BYTES], message[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(content)):
            return
        try:
            for session, tier, group, deployment_id in _MESSAGE.validate_json(content):
                super().hold(bytes.fromhex(session), Held(tier, group, deployment_id))
        except (ValidationError, ValueError):
            return
