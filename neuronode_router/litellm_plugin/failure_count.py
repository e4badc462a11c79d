"""Counts exceptions of ours on the request path and logs at most one a minute.

It must not know what failed; no text of a request reaches it but through a traceback.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import TracebackType

logger = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 60.0


class FailureCount:
    """`total` counts all since the start of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at = float("-inf")
        self.total = 0

    def record(self, where: str, error: Exception) -> None:
        """Count `error`, and log it if none was logged for a minute."""
        self.total += 1
        if self._clock() - self._logged_at >= LOG_EVERY_SECONDS:
            self._logged_at = self._clock()
            logger.error(
                "neuronode: %s failed (%d so far); the request goes LiteLLM's way",
                where,
                self.total,
                exc_info=error,
            )


class Harmless:
    """A context whose exceptions are counted and end there: the request goes on. May be entered again and again."""

    def __init__(self, where: str, failures: FailureCount) -> None:
        self._where = where
        self._failures = failures

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Count an exception. A cancellation is not one of ours and goes on."""
        if not isinstance(error, Exception):
            return False
        self._failures.record(self._where, error)
        return True
