"""For which task of the task API a request is made: it asks for a tier, and nobody else could say what for.

It stands in a context variable, which no client reaches. The task API asks the proxy's application in this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from neuronode_router.domain.decisions import Decision

_task: ContextVar[str | None] = ContextVar("neuronode_asked_task", default=None)


@contextmanager
def asking_for(task: str) -> Iterator[None]:
    """Have the requests that are made meanwhile counted under a task."""
    token = _task.set(task)
    try:
        yield
    finally:
        _task.reset(token)


def named(decision: Decision) -> Decision:
    """Return a Decision with the task that is asked for, where it has none of its own."""
    task = _task.get()
    return decision if task is None or decision.task is not None else replace(decision, task=task)
