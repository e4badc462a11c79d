"""A circuit breaker: after a failure a server is left alone for a while, so that nobody waits for it in vain.

It must not know what is asked of the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """Open for `seconds` after each failure; closed at first, and after a success. `clock` is monotonic."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._open_until = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the server is to be left alone now."""
        return self._clock() < self._open_until

    def record_failure(self) -> None:
        """Leave the server alone from now on."""
        self._open_until = self._clock() + self._seconds

    def record_success(self) -> None:
        """Ask it again at once."""
        self._open_until = float("-inf")
