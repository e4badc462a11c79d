"""Counted outcomes over SQLite and real PostgreSQL: added up, shared, and the newest count."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from neuronode_router.auto.diverted import DivertedCounts, DivertedOf
from neuronode_router.auto.outcome_store import HOUR, OutcomeOf, OutcomeStore
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import MOST, OutcomeCounts, RequestKind
from neuronode_router.storage.database import Database

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
    assert outcomes.read().counts() == {}
    outcomes.add({FAST: OutcomeCounts(1, 2, 1.5)}, at=10 * HOUR)
    outcomes.add({FAST: OutcomeCounts(3, 0, 2.0)}, at=10 * HOUR + 9)
    outcomes.add(
        {FAST: OutcomeCounts(1, 1, 1.0), OutcomeOf(KIND, Tier.MEDIUM): OutcomeCounts(1)}, at=11 * HOUR
    )

    found = outcomes.read().counts()

    assert found[KIND, Tier.FAST] == OutcomeCounts(5, 3, 4.5)
    assert found[KIND, Tier.MEDIUM] == OutcomeCounts(1)


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
    outcomes.forget(before=50 * HOUR)
    assert outcomes.diverted() == {tried: DivertedCounts(1)}
    outcomes.forget()
    assert outcomes.diverted() == {}


def test_workers_that_add_at_once_lose_nothing(outcomes: OutcomeStore) -> None:
    """Eight at a time, into the same hour of the same kind."""
    with ThreadPoolExecutor(8) as pool:
        adding = [pool.submit(outcomes.add, {FAST: OutcomeCounts(1, 1, 0.5)}, at=HOUR) for _ in range(24)]
        for one in adding:
            one.result()

    assert outcomes.read().counts()[KIND, Tier.FAST] == OutcomeCounts(24, 24, 12.0)


def test_the_newest_count_and_all_can_be_forgotten(outcomes: OutcomeStore) -> None:
    """Old hours give way to new ones; forgetting goes back to the text alone."""
    outcomes.add({FAST: OutcomeCounts(1000, 0, 500)}, at=HOUR)
    outcomes.add({FAST: OutcomeCounts(0, int(MOST), 150)}, at=50 * HOUR)

    assert outcomes.read().counts()[KIND, Tier.FAST] == OutcomeCounts(0, MOST, 150)
    assert outcomes.forget(before=10 * HOUR) == 1000
    assert outcomes.forget() == MOST
    assert outcomes.read().counts() == {}
