"""Work that may fail without taking anything along: what a worker does again and again, and hooks on the request path.

It must not know what the work is. Failures are counted, logged without flooding, and shown until they are over.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias

from neuronode_router.errors import NeuronodeError, Problem
from neuronode_router.threads import in_thread

logger = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 60.0
"""How often failures on the request path are logged at most."""

MISSED_INTERVALS = 3
LEAST_SECONDS = 3.0
"""Periodic work is stalled when it has not succeeded for three of its intervals beyond the time that one run may take,
and for this long: a busy moment of the machine is no fault.
"""

_Place: TypeAlias = tuple[type[Exception], str, int | None]


@dataclass(slots=True)
class _Pulse:
    """When an activity last succeeded, and how long it may be until it does again."""

    within: float
    succeeded_at: float


class Failures:
    """What was survived in one place of one process, in whichever threads. `total` counts all since its start.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._clock = clock
        self._counting = threading.Lock()
        self._present: dict[str, _Place] = {}
        self._pulses: dict[str, _Pulse] = {}
        self._logged_at = float("-inf")

    def present(self) -> tuple[str, ...]:
        """Return a line for each activity whose last attempt failed: no text of the error, which may hold anything."""
        return tuple(
            f"{activity} failed ({kind.__name__}), tried again; this worker's log says why"
            for activity, (kind, _, _) in list(self._present.items())  # a copy: other threads note and forget
        )

    def stalled(self) -> tuple[str, ...]:
        """Return the activities that have not succeeded for too long, whether they fail or hang."""
        now = self._clock()
        return tuple(
            activity
            for activity, pulse in list(self._pulses.items())
            if now - pulse.succeeded_at > pulse.within
        )

    def problems(self) -> tuple[Problem, ...]:
        """Return a problem for each stalled activity."""
        return tuple(map(stalled_problem, self.stalled()))

    def expect(self, activity: str, every: float, *, lasts: float = 0.0) -> None:
        """Expect `activity` to succeed every so many seconds, beginning now; a run may itself take so many."""
        within = max(MISSED_INTERVALS * every, LEAST_SECONDS) + lasts
        self._pulses[activity] = _Pulse(within, self._clock())

    def forget(self, activity: str) -> None:
        """Expect `activity` no more: it was ended on purpose."""
        self._pulses.pop(activity, None)
        self._present.pop(activity, None)

    @contextmanager
    def survived(
        self, activity: str, *, but: type[Exception] | tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        """Keep whatever the body raises, `but` excepted, from ending the caller's loop, which then tries again.

        The same failure in a row is logged once, with its traceback unless it is an error of ours.
        """
        try:
            yield
        except but:
            raise
        except Exception as error:  # noqa: BLE001  a loop that ended would leave this worker behind for good and in silence
            self._note(activity, error)
        else:
            self.succeeded(activity)

    def succeeded(self, activity: str) -> None:
        """Note that `activity` did what it should."""
        self._present.pop(activity, None)
        pulse = self._pulses.get(activity)
        if pulse is not None:
            pulse.succeeded_at = self._clock()

    def record(self, where: str, error: Exception) -> None:
        """Count an exception on the request path, and log it if none was logged for a minute."""
        with self._counting:
            self.total += 1
        if self._clock() - self._logged_at >= LOG_EVERY_SECONDS:
            self._logged_at = self._clock()
            text = "neuronode: %s failed (%d so far); the request goes LiteLLM's way"
            logger.error(text, where, self.total, exc_info=error)

    def harmless(self, where: str) -> Harmless:
        """Return a context whose exceptions are recorded and end there. It may be entered again and again."""
        return Harmless(where, self)

    def _note(self, activity: str, error: Exception) -> None:
        with self._counting:
            self.total += 1
        # Not the error's text: where that differs each time, every attempt would be logged.
        origin = traceback.extract_tb(error.__traceback__)[-1]
        place = (type(error), origin.filename, origin.lineno)
        if self._present.get(activity) != place:
            _log_failure(activity, error)
        self._present[activity] = place


def _log_failure(activity: str, error: Exception) -> None:
    """Log in one line what is foreseen, such as a database that does not answer; anything else with its traceback."""
    if isinstance(error, NeuronodeError):
        logger.error("neuronode: %s failed and is tried again: %s", activity, error)
    else:
        logger.error("neuronode: %s failed and is tried again", activity, exc_info=error)


class Harmless:
    """What `Failures.harmless` returns: on the request path a generator's context would cost too much."""

    def __init__(self, where: str, failures: Failures) -> None:
        self._where = where
        self._failures = failures

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Record an exception. A cancellation is not one of ours and goes on."""
        if not isinstance(error, Exception):
            return False
        self._failures.record(self._where, error)
        return True


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something that is done every so many seconds. `activity` completes "failed while ...", for the log."""

    seconds: float
    activity: str
    act: Callable[[], Awaitable[object]]
    lasts: float = 0.0
    """Seconds that a run may take, where that is long beside the interval: no hang before it is over."""

    @classmethod
    def blocking(cls, seconds: float, activity: str, act: Callable[[], object]) -> Self:
        """Return a task that waits for a disk or a server, and is done in a thread."""
        return cls(seconds, activity, partial(in_thread, act))


async def repeat(tasks: Iterable[PeriodicTask], failures: Failures) -> None:
    """Do all of them until cancelled: an error in one ends neither it nor the others."""
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            failures.expect(task.activity, task.seconds, lasts=task.lasts)
            group.create_task(_repeat(task, failures), name=f"neuronode: {task.activity}")


async def _repeat(task: PeriodicTask, failures: Failures) -> None:
    while True:
        await asyncio.sleep(task.seconds)
        with failures.survived(task.activity):
            await task.act()


async def cancel(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks, and return when all have ended, in whatever way. None stands for one that was never begun."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


def stalled_problem(activity: str, *, where: str = "") -> Problem:
    """Return what is said of a stalled activity; `where` names the process if it is another one. Never raises."""
    sentence = f"{activity[:1].upper()}{activity[1:]} has not succeeded for three of its intervals"
    return Problem(
        code="background_stalled",
        message=f"{sentence} ({where})." if where else f"{sentence}.",
        fix="The worker's log says why. Requests are served; what this part does is out of date.",
        path=activity,
    )
