"""How much work a call is, told so that a busy machine cannot change the answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType


def steps(call: Callable[[], object]) -> int:
    """Return how many calls and returns of functions, Python's and C's, `call` is made of on this thread.

    The same on every machine. What happens within one call of C is not seen: see `least_seconds`.
    """
    counted = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal counted
        counted += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return counted


def least_seconds(call: Callable[[], object]) -> float:
    """Return the least CPU seconds of this thread that `call` took in three: a collection of garbage hits one of them.

    For bounds that are a hundred times what is usual, against work within one call of C (a regular expression).
    """
    return min(_seconds(call) for _ in range(3))


def _seconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began
