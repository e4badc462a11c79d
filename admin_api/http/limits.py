"""How often and how widely one caller may use this worker: writes per time, open event streams.

It must not know routes. Counts live in this process: N workers allow N times as much.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from admin_api.http.problems import RequestError
from neuronode_router.access import Principal

MAX_STREAMS = 8
"""Open event streams of one principal in one worker."""


class CallerLimits:
    """Counts by principal."""

    def __init__(self) -> None:
        self._writes = MovingWindowRateLimiter(MemoryStorage())
        self._streams: Counter[str] = Counter()

    def count(self, principal: Principal, limit: str) -> None:
        """Count one write. Raises `RequestError` (429 with Retry-After) beyond `limit`, such as "10/second"."""
        window = _window(limit)
        if not self._writes.hit(window, principal.identity):
            reset_at = self._writes.get_window_stats(window, principal.identity).reset_time
            raise _too_many(f"More than {limit} writes.", seconds=reset_at - time.time())

    @contextmanager
    def one_stream(self, principal: Principal) -> Iterator[None]:
        """Count an event stream for as long as it is sent. Raises `RequestError` (429) beyond `MAX_STREAMS`.

        Looked up and counted in one step: many that open at the same time get no more than one after the other.
        """
        if self._streams[principal.identity] >= MAX_STREAMS:
            raise _too_many(f"More than {MAX_STREAMS} open event streams.", seconds=5)
        self._streams[principal.identity] += 1
        try:
            yield
        finally:
            self._streams[principal.identity] -= 1
            if not self._streams[principal.identity]:
                del self._streams[principal.identity]


@lru_cache(maxsize=8)
def _window(limit: str) -> RateLimitItem:
    return parse(limit)


def _too_many(message: str, *, seconds: float) -> RequestError:
    wait = max(1, math.ceil(seconds))
    return RequestError(
        "rate_limited", message, fix="Wait as long as Retry-After says.", headers={"Retry-After": str(wait)}
    )
