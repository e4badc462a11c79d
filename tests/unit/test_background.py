"""Work in the background that fails or hangs is told; nothing of it ends in silence."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.background import LEAST_SECONDS, MISSED_INTERVALS, Failures, PeriodicTask, repeat
from neuronode_router.errors import StoreUnavailable
from tests.support.waiting import eventually

EVERY = 10.0
LASTING = [("looking", 0.0), ("probing", 120.0)]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.booleans(), max_size=12))
def test_what_has_not_succeeded_for_three_intervals_is_stalled(tries: list[bool]) -> None:
    """Whatever the order of successes and failures: only the time since the last success counts."""
    clock = Clock()
    failures = Failures(clock)
    failures.expect("looking", EVERY)
    last = 0.0
    for succeeds in tries:
        clock.now += EVERY
        with failures.survived("looking"):
            if not succeeds:
                raise ValueError("no")
        last = clock.now if succeeds else last

    assert failures.stalled() == (("looking",) if clock.now - last > MISSED_INTERVALS * EVERY else ())


def test_what_hangs_is_stalled_too() -> None:
    """An attempt that never ends neither succeeds nor fails; a short interval is given the least time."""
    clock = Clock()
    failures = Failures(clock)
    failures.expect("guarding", 0.5)

    clock.now = LEAST_SECONDS
    in_time = failures.stalled()
    clock.now += 0.1

    assert (in_time, failures.stalled()) == ((), ("guarding",))
    (problem,) = failures.problems()
    assert (problem.code, problem.path) == ("background_stalled", "guarding")


def test_a_run_that_may_last_is_no_hang_before_it_is_over() -> None:
    """What one run may take is added to the three intervals."""
    clock = Clock()
    failures = Failures(clock)
    failures.expect("probing", EVERY, lasts=120.0)

    clock.now = MISSED_INTERVALS * EVERY + 120.0
    in_time = failures.stalled()
    clock.now += 0.1

    assert (in_time, failures.stalled()) == ((), ("probing",))


async def test_a_task_says_how_long_a_run_may_last() -> None:
    """To whoever tells hangs from work."""
    clock = Clock()
    failures = Failures(clock)
    running = asyncio.create_task(
        repeat(
            [PeriodicTask(EVERY, name, asyncio.Event().wait, lasts=lasts) for name, lasts in LASTING],
            failures,
        )
    )
    await asyncio.sleep(0)

    clock.now = MISSED_INTERVALS * EVERY + 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert failures.stalled() == ("looking",)


def test_what_was_ended_on_purpose_is_not_missed() -> None:
    """A part that stops is forgotten, with whatever failed last."""
    clock = Clock()
    failures = Failures(clock)
    failures.expect("looking", EVERY)
    with failures.survived("looking"):
        raise ValueError("no")

    failures.forget("looking")
    clock.now = 1000.0

    assert (failures.stalled(), failures.present()) == ((), ())


async def test_a_task_that_fails_ends_neither_itself_nor_the_others() -> None:
    """Each goes on, and a success makes good what failed before."""
    failures = Failures()
    done: list[str] = []

    async def fails() -> None:
        done.append("fails")
        raise ValueError("no")

    async def works() -> None:
        done.append("works")

    tasks = [PeriodicTask(0.001, "failing", fails), PeriodicTask(0.001, "working", works)]
    running = asyncio.create_task(repeat(tasks, failures))
    await eventually(lambda: done.count("fails") > 2 and done.count("works") > 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert failures.total > 2
    assert [line.partition(" ")[0] for line in failures.present()] == ["failing"]


@pytest.mark.parametrize(
    ("error", "traceback"),
    [(StoreUnavailable("The database failed (timeout)."), False), (KeyError("x"), True)],
)
def test_what_is_foreseen_is_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture, error: Exception, traceback: bool
) -> None:
    """A database that is away fills no screens: its sentence is logged once; what nobody foresaw has its traceback."""
    failures = Failures()
    for _ in range(3):
        with failures.survived("keeping usage"):
            raise error

    (record,) = caplog.records
    assert bool(record.exc_info) is traceback
    assert ("The database failed (timeout)." in record.getMessage()) is not traceback
