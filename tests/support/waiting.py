"""Waiting for a condition with a bound, on the event loop. It must not know what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Return as soon as `condition` is true. Raises `TimeoutError` after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
