"""Counted outcomes over SQLite and real PostgreSQL: added up, shared, and the newest count."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from neuronode_router.auto.diverted import DivertedCounts, DivertedOf
from neuronode_router.auto.outcome_store import HOUR, OutcomeOf, OutcomeStore, known
from neuronode_router.auto.outcomes import KEPT_SECONDS, Outcomes
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import MOST, OutcomeCounts, RequestKind
from neuronode_router.storage.database import Database
from tests.contract.test_store import tamper
from tests.support.clock import Clock

DAY = 24 * HOUR
KIND = RequestKind("balanced", "summary")
FAST = OutcomeOf(KIND, Tier.FAST)


@pytest.fixture
def outcomes(state_url: str) -> Iterator[OutcomeStore]:
    """The table in an empty database."""
    database = Database(state_url)
    yield OutcomeStore(database)
    database.dispose()


def test_outcomes_add_up(outcomes: OutcomeStore) -> None:
    """Within an hour and over hours."""
    assert known(outcomes.spans()).counts() == {}
    outcomes.add({FAST: OutcomeCounts(1, 2, 1.5)}, at=10 * HOUR)
    outcomes.add({FAST: OutcomeCounts(3, 0, 2.0)}, at=10 * HOUR + 9)
    outcomes.add(
        {FAST: OutcomeCounts(1, 1, 1.0), OutcomeOf(KIND, Tier.MEDIUM): OutcomeCounts(1)}, at=11 * HOUR
    )

    found = known(outcomes.spans()).counts()

    assert found[KIND, Tier.FAST] == OutcomeCounts(5, 3, 4.5)
    assert found[KIND, Tier.MEDIUM] == OutcomeCounts(1)


def test_hints_are_kept_apart_from_verdicts(outcomes: OutcomeStore) -> None:
    """In the same hour, of the same kind and tier; both are forgotten and counted as gone."""
    hints = FAST._replace(hint=True)
    outcomes.add({FAST: OutcomeCounts(1, 2, 1.5), hints: OutcomeCounts(30, 0, 29.4)}, at=10 * HOUR)
    outcomes.add({hints: OutcomeCounts(1, 3, 3.6)}, at=10 * HOUR)

    spans = outcomes.spans()

    assert spans[FAST] == [OutcomeCounts(1, 2, 1.5)]
    assert spans[hints] == [OutcomeCounts(31, 3, pytest.approx(33.0))]
    assert outcomes.forget() == (37, 1)
    assert outcomes.spans() == {}


def test_what_was_counted_before_hints_were_kept_apart_promises_nothing(state_url: str) -> None:
    """A database of an earlier release: of its counts nobody can tell whether they were more than hints."""
    database = Database(state_url)
    OutcomeStore(database).add({FAST: OutcomeCounts(300, 0, 200.0)}, at=10 * HOUR)
    database.dispose()
    for statement in (
        *(f"ALTER TABLE neuronode_outcome DROP COLUMN hint_{name}" for name in ("good", "bad", "expected")),
        "DROP TABLE neuronode_outcome_reset",
        "DROP TABLE neuronode_reader",
        "UPDATE neuronode_version SET version_num = '0014'",
    ):
        tamper(state_url, statement)

    database = Database(state_url)
    migrated = OutcomeStore(database).spans()
    database.dispose()

    assert {of: counts for of, counts in migrated.items() if counts[0].total} == {
        FAST._replace(hint=True): [OutcomeCounts(300, 0, 200.0)]
    }


def test_what_learning_diverted_adds_up_and_is_forgotten(outcomes: OutcomeStore) -> None:
    """By kind, reason and pair of tiers, beside the outcomes and with them."""
    tried = DivertedOf(KIND, Step.TRIED, Tier.MEDIUM, Tier.FAST)
    learned = DivertedOf(KIND, Step.LEARNED, Tier.FAST, Tier.COMPLEX)
    outcomes.add(
        {}, at=10 * HOUR, diverted={tried: DivertedCounts(2, 1, 0.5, 0.25), learned: DivertedCounts(1)}
    )
    outcomes.add({}, at=10 * HOUR + 5, diverted={tried: DivertedCounts(1, 1, -0.25, 0.0625)})
    outcomes.add({FAST: OutcomeCounts(1)}, at=90 * HOUR, diverted={tried: DivertedCounts(1)})

    assert outcomes.diverted() == {tried: DivertedCounts(4, 2, 0.25, 0.3125), learned: DivertedCounts(1)}
    outcomes.purge(50 * HOUR)
    assert outcomes.diverted() == {tried: DivertedCounts(1)}
    outcomes.forget()
    assert outcomes.diverted() == {}


def test_workers_that_add_at_once_lose_nothing(outcomes: OutcomeStore) -> None:
    """Eight at a time, into the same hour of the same kind."""
    with ThreadPoolExecutor(8) as pool:
        adding = [pool.submit(outcomes.add, {FAST: OutcomeCounts(1, 1, 0.5)}, at=HOUR) for _ in range(24)]
        for one in adding:
            one.result()

    assert known(outcomes.spans()).counts()[KIND, Tier.FAST] == OutcomeCounts(24, 24, 12.0)


def test_what_was_heard_before_all_was_forgotten_is_not_added(outcomes: OutcomeStore) -> None:
    """Whoever heard it says how often all had been forgotten by then."""
    before = outcomes.moment(Clock()).resets
    outcomes.add({FAST: OutcomeCounts(1)}, at=HOUR, resets=before)
    assert outcomes.forget() == (1, before + 1)

    outcomes.add({FAST: OutcomeCounts(1)}, at=HOUR, resets=before)
    outcomes.add({FAST: OutcomeCounts(0, 1)}, at=HOUR, resets=before + 1)

    assert known(outcomes.spans()).counts() == {(KIND, Tier.FAST): OutcomeCounts(0, 1)}


def test_spans_of_some_hours_are_those_hours(outcomes: OutcomeStore) -> None:
    """The newest first; together they are all."""
    for hour in range(4):
        outcomes.add({FAST: OutcomeCounts(hour + 1)}, at=hour * HOUR)

    recent, older = outcomes.spans(since=2 * HOUR), outcomes.spans(before=2 * HOUR)

    assert [[each.good for each in spans[FAST]] for spans in (recent, older)] == [[4, 3], [2, 1]]
    assert known(recent, older).counts() == known(outcomes.spans()).counts()


def test_the_newest_count_and_all_can_be_forgotten(outcomes: OutcomeStore) -> None:
    """Old hours give way to new ones; forgetting goes back to the text alone."""
    outcomes.add({FAST: OutcomeCounts(1000, 0, 500)}, at=HOUR)
    outcomes.add({FAST: OutcomeCounts(0, int(MOST), 150)}, at=50 * HOUR)

    assert known(outcomes.spans()).counts()[KIND, Tier.FAST] == OutcomeCounts(0, MOST, 150)
    outcomes.purge(10 * HOUR)
    assert outcomes.forget()[0] == MOST
    assert known(outcomes.spans()).counts() == {}


@pytest.mark.parametrize("ahead", [100 * DAY, -100 * DAY])
async def test_a_host_whose_clock_is_wrong_deletes_nothing_young(
    outcomes: OutcomeStore, shared_clock: Clock, ahead: float
) -> None:
    """What is too old is so by the clock that all hosts share; what the host hears is new by that clock, too."""
    now = shared_clock()
    outcomes.add({FAST: OutcomeCounts(1)}, at=now - KEPT_SECONDS - 3 * HOUR)
    outcomes.add({FAST: OutcomeCounts(0, 1)}, at=now - HOUR)
    worker = Outcomes(outcomes, clock=lambda: now + ahead)

    worker.saw(FAST, good=False, expected=0)
    await worker.refresh()

    assert (
        worker.known.counts() == known(outcomes.spans()).counts() == {(KIND, Tier.FAST): OutcomeCounts(0, 2)}
    )
    assert outcomes.spans(since=int(now) // HOUR * HOUR)[FAST] == [OutcomeCounts(0, 1)]


async def test_hours_to_come_do_not_count(outcomes: OutcomeStore, shared_clock: Clock) -> None:
    """A wrong clock has left them: they are not the newest."""
    now = shared_clock()
    outcomes.add({FAST: OutcomeCounts(0, 300, 200)}, at=now + 200 * DAY)
    outcomes.add({FAST: OutcomeCounts(1)}, at=now)
    worker = Outcomes(outcomes)

    await worker.refresh()

    assert worker.known.counts() == {(KIND, Tier.FAST): OutcomeCounts(1)}
