"""Pauses between attempts that fail in a row. This module must not know what is attempted."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Each pause is `factor` times the one before, up to `longest` seconds.

    `jitter` is the share of a pause that is left to chance, so that many processes that lost the same server do not
    come back in step.
    """

    first: float
    longest: float
    factor: float = 2.0
    jitter: float = 0.5
    _pause: float = field(default=0.0, init=False)

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        self._pause = min(self._pause * self.factor, self.longest) if self._pause else self.first
        return self._pause * (1 - self.jitter * random.random())  # noqa: S311  no secret

    def reset(self) -> None:
        """Begin again with `first`: an attempt succeeded."""
        self._pause = 0.0
