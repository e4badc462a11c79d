"""The judge's budget over SQLite and real PostgreSQL: workers that share it never spend more than it allows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuronode_router.auto.judged_days import DAY, JudgedDay, JudgedDays
from neuronode_router.storage.database import Database
from tests.support.clock import Clock

BUDGET = 1.0


class Workers:
    """Two workers over one database, on a day that a test chooses; the clock of the second one's host is wrong."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._databases = [Database(url), Database(url)]
        self.each = [
            JudgedDays(database, budget_usd=BUDGET, clock=lambda ahead=ahead: clock() + ahead)  # type: ignore[misc]
            for database, ahead in zip(self._databases, (0, 200 * DAY), strict=True)
        ]
        self.day = 0

    @property
    def day(self) -> int:
        return int(self._clock.now) // DAY

    @day.setter
    def day(self, day: int) -> None:
        self._clock.now = day * DAY + 7.5

    def close(self) -> None:
        for database in self._databases:
            database.dispose()


@pytest.fixture
def workers(state_url: str, shared_clock: Clock) -> Iterator[Workers]:
    """Over an empty state."""
    found = Workers(state_url, shared_clock)
    yield found
    found.close()


_STEP = st.tuples(
    st.sampled_from([0, 1]), st.floats(0, 0.6), st.floats(0, 1), st.sampled_from([True, False, None])
)


@settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(begun=st.lists(_STEP, min_size=1, max_size=8), order=st.randoms(use_true_random=False))
def test_interleaved_workers_never_spend_more_than_the_budget(
    workers: Workers, begun: list[tuple[int, float, float, bool | None]], order: object
) -> None:
    """Whatever is set aside, settled for less, and in whichever order: the day's sum is what was taken, within it."""
    workers.day += 1
    running: list[tuple[int, float, float, bool | None]] = []
    spent, verdicts = 0.0, dict.fromkeys((True, False, None), 0)
    for worker, most, share, enough in begun:
        if workers.each[worker].set_aside(most) is not None:
            running.append((worker, most, most * share, enough))
        assert workers.each[0].today().cost_usd <= BUDGET
        if running and order.random() < 0.5:  # type: ignore[attr-defined]
            worker, most, cost, enough = running.pop(0)
            workers.each[worker].settle(workers.day * DAY, most, cost=cost, enough=enough)
            spent += cost
            verdicts[enough] += 1

    found = workers.each[1].today()
    assert found.cost_usd == pytest.approx(spent + sum(most for _, most, _, _ in running), abs=1e-6)
    assert (found.enough, found.short, found.failed) == tuple(verdicts[key] for key in (True, False, None))


def test_workers_that_set_aside_at_once_share_what_there_is(workers: Workers) -> None:
    """Of forty tries at a tenth of the budget, ten succeed."""
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(workers.each[n % 2].set_aside, BUDGET / 10) for n in range(40)]
        granted = [one.result() for one in tries if one.result() is not None]

    assert len(granted) == 10
    assert workers.each[0].today() == JudgedDay(BUDGET)


def test_each_day_has_a_budget_of_its_own(workers: Workers) -> None:
    """What began yesterday is settled yesterday; what is dearer than a day's budget never begins."""
    days = workers.each[0]
    yesterday = days.set_aside(BUDGET)
    assert days.set_aside(0.01) is None
    workers.day += 1

    assert yesterday == 0
    assert days.set_aside(BUDGET * 1.01) is None
    assert days.set_aside(0.25) == DAY
    days.settle(yesterday, BUDGET, cost=0.5, enough=False)

    assert days.today() == JudgedDay(0.25)
    workers.day -= 1
    assert days.today() == JudgedDay(0.5, short=1)


def test_a_host_whose_clock_is_wrong_has_no_budget_of_its_own(workers: Workers) -> None:
    """Nor does it delete the day that runs, with what was spent of it."""
    right, wrong = workers.each

    granted = [days.set_aside(0.4) for days in (wrong, right, wrong, right)]

    assert granted == [0, 0, None, None]
    assert right.today() == wrong.today() == JudgedDay(0.8)
