"""Where the requests of a session went last: bounded, in memory, for at most an hour.

It must not know callers, requests or text: it is handed a key, which the caller's key must be part of.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cachetools import TTLCache

from neuronode_router.routing.ladder import Held

MAX_SESSIONS = 10_000
KEPT_SECONDS = 3600.0


class Sessions:
    """The sessions of this process. `clock` counts seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._held: TTLCache[bytes, Held] = TTLCache(MAX_SESSIONS, KEPT_SECONDS, timer=clock)

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
