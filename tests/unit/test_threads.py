"""Threads of our own: what waits in them holds up nobody else."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from neuronode_router.threads import THREADS, in_thread

ASKED = contextvars.ContextVar("asked", default="nobody")


async def test_the_loops_own_threads_stay_free() -> None:
    """However much waits for a database, LiteLLM's completions, which begin in the loop's executor, do not queue."""
    answered = threading.Event()
    waiting = [asyncio.ensure_future(in_thread(answered.wait, 30)) for _ in range(4 * THREADS)]
    try:
        async with asyncio.timeout(10):
            assert await asyncio.get_running_loop().run_in_executor(None, str, "begun") == "begun"
        assert not any(each.done() for each in waiting)
    finally:
        answered.set()
    assert await asyncio.gather(*waiting) == [True] * len(waiting)


async def test_what_is_called_sees_the_callers_context_and_its_errors_come_back() -> None:
    """Context variables are those of the caller; what the call raises is raised."""
    ASKED.set("somebody")
    assert await in_thread(ASKED.get) == "somebody"
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x", base=10)
