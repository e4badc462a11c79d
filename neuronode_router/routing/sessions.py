"""Where the requests of a session went last: bounded, in memory, for at most an hour.

It must not know callers or requests: it is handed the parts of a key, of which the caller must be one.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from cachetools import TTLCache

from neuronode_router.routing.fallback_chain import Held

MAX_SESSIONS = 10_000
KEPT_SECONDS = 3600.0


def keyed_hash(key: bytes, *parts: str) -> bytes:
    """Return 16 bytes that tell texts apart and give none of them away to who does not know the key."""
    said = "\x00".join((*parts, "")).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=key, digest_size=16).digest()


class Sessions:
    """The sessions of this process. `clock` counts seconds; `secret` (up to 64 bytes) keys the hashes."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, secret: Callable[[], bytes] | None = None
    ) -> None:
        own = secrets.token_bytes(16)
        self._secret = secret or (lambda: own)
        self._held: TTLCache[bytes, Held] = TTLCache(MAX_SESSIONS, KEPT_SECONDS, timer=clock)

    def key(self, *parts: str) -> bytes:
        """Return under which key a session is remembered, told apart by `parts`."""
        return keyed_hash(self._secret(), *parts)

    def held(self, session: bytes) -> Held | None:
        """Return where the session's last request went, None where it is new or long ago."""
        return self._held.get(session)

    def hold(self, session: bytes, held: Held) -> None:
        """Remember where a request of the session was sent. The oldest session is forgotten when there are too many."""
        before = self._held.get(session)
        if before is not None and before.group == held.group and held.deployment_id is None:
            held = replace(held, deployment_id=before.deployment_id)
        self._held[session] = held

    def answered(self, session: bytes, deployment_id: str) -> None:
        """Remember which deployment answered. A session that was forgotten meanwhile stays so."""
        before = self._held.get(session)
        if before is not None:
            self._held[session] = replace(before, deployment_id=deployment_id)
