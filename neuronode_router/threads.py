"""Threads of our own for what waits for a disk or a database.

LiteLLM begins every completion in the event loop's default executor, which has six threads on two cores: whatever waits
there, a report or a database that does not answer, would hold up requests. `in_thread` uses it, so it is banned.
It must not know what is waited for.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
"""So many calls wait at the same time in one process; others queue behind them, and no request does."""

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="neuronode")


async def in_thread(act: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
    """Return what `act` returns, called in a thread with the caller's context. Raises what it raises."""
    called = partial(contextvars.copy_context().run, act, *args, **keywords)
    return await asyncio.get_running_loop().run_in_executor(_pool, called)
