"""What a worker does again and again in the background, whatever it raises.

It must not know what the chores are: an error in one ends neither it nor the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Self

from neuronode_router.background import Failures


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something that is done every so many seconds. `activity` completes "failed while ...", for the log."""

    seconds: float
    activity: str
    act: Callable[[], Awaitable[object]]

    @classmethod
    def blocking(cls, seconds: float, activity: str, act: Callable[[], object]) -> Self:
        """Return a chore that waits for a disk or a server, and is done in a thread."""
        return cls(seconds, activity, partial(asyncio.to_thread, act))


async def do(chores: Iterable[PeriodicTask], failures: Failures) -> None:
    """Do all of them until cancelled."""
    async with asyncio.TaskGroup() as group:
        for chore in chores:
            group.create_task(_repeat(chore, failures), name=f"neuronode: {chore.activity}")


async def _repeat(chore: PeriodicTask, failures: Failures) -> None:
    while True:
        await asyncio.sleep(chore.seconds)
        with failures.survived(chore.activity):
            await chore.act()
