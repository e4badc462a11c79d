"""A lease, over SQLite and PostgreSQL: one holder at a time, and a fence that tells holders apart."""

from __future__ import annotations

import threading

import pytest

from neuronode_router.errors import LeaseLost
from neuronode_router.storage.database import Database
from neuronode_router.storage.lease import Fence, Lease, require
from tests.contract.conftest import MakeStore
from tests.support.clock import Clock

TTL = 10.0


class SteppedLease(Lease):
    """Of a database whose clock a test moves."""

    def __init__(self, database: Database, holder: str, clock: Clock) -> None:
        super().__init__(database, "work", holder=holder, ttl=TTL, clock=clock)
        self.moved = clock

    def now(self, connection: object) -> float:
        """Return the test's time, of whichever database."""
        return self.moved()


@pytest.fixture
def database(make_store: MakeStore) -> Database:
    """An empty database."""
    return make_store().database


def test_one_holds_it_until_it_runs_out(database: Database) -> None:
    """The next one gets another fence, and who had it learns of that."""
    clock = Clock()
    first, second = (SteppedLease(database, name, clock) for name in ("a", "b"))

    assert first.take()[0] == Fence("work", 1)
    assert second.take()[0] is None
    clock.now += TTL - 1
    assert first.take()[0] == Fence("work", 1)
    clock.now += TTL - 1
    assert second.take()[0] is None
    clock.now += 2
    assert second.take()[0] == Fence("work", 2)
    assert first.take()[0] is None


def test_what_an_earlier_holder_writes_is_refused(database: Database) -> None:
    """In its own transaction, of which nothing is left."""
    clock = Clock()
    first, second = (SteppedLease(database, name, clock) for name in ("a", "b"))
    old, _ = first.take()
    clock.now += TTL + 1
    new, _ = second.take()
    assert old is not None
    assert new is not None

    with database.writing() as connection:
        require(connection, new)
    with pytest.raises(LeaseLost), database.writing() as connection:
        require(connection, old)


def test_what_is_released_is_free_at_once(database: Database) -> None:
    """And only its holder can release it."""
    clock = Clock()
    first, second = (SteppedLease(database, name, clock) for name in ("a", "b"))
    first.take()

    second.release()
    assert second.take()[0] is None
    first.release()
    assert second.take()[0] == Fence("work", 2)


def test_a_clock_that_was_set_back_keeps_nobody_waiting(database: Database) -> None:
    """A lease that would last longer than any lease does has run out."""
    clock = Clock()
    first, second = (SteppedLease(database, name, clock) for name in ("a", "b"))
    first.take()

    clock.now -= 3600

    assert second.take()[0] == Fence("work", 2)


def test_of_many_that_come_first_one_gets_it(make_store: MakeStore) -> None:
    """Each over connections of its own, by the database's own clock."""
    leases = [Lease(make_store().database, "work", holder=f"w{number}", ttl=TTL) for number in range(6)]
    together, found = threading.Barrier(6), list[Fence | None]()

    def take(lease: Lease) -> None:
        together.wait(20)
        found.append(lease.take()[0])

    threads = [threading.Thread(target=take, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(found, key=str) == [Fence("work", 1), *[None] * 5]
