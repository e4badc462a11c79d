"""One run of probes at a time: among all workers, for as long as its worker lives, and not for longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neuronode_router.errors import ProbesRunning
from neuronode_router.proof import alone as room
from neuronode_router.proof.alone import LEASE_SECONDS, alone
from neuronode_router.storage.database import Database
from neuronode_router.storage.lease import Fence, Lease
from tests.support.clock import Clock
from tests.support.migrated import migrated
from tests.support.waiting import eventually


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(migrated(tmp_path / "control.db"))
    yield database
    database.dispose()


async def begins(database: Database, clock: Clock) -> bool:
    """Return whether a run may begin, which then ends at once."""
    try:
        async with alone(database, clock=clock):
            return True
    except ProbesRunning:
        return False


async def test_whoever_comes_second_is_refused_until_the_first_has_ended(database: Database) -> None:
    """However it ended."""
    clock = Clock()

    async def fails() -> None:
        async with alone(database, clock=clock):
            assert not await begins(database, clock)
            raise KeyError

    with pytest.raises(KeyError):
        await fails()

    assert await begins(database, clock)


async def test_a_worker_that_died_holds_it_no_longer_than_its_lease(database: Database) -> None:
    """Nobody has to put anything right."""
    clock = Clock()

    async with alone(database, clock=clock):
        clock.now += LEASE_SECONDS - 1
        before = await begins(database, clock)
        clock.now += 2
        after = await begins(database, clock)

    assert (before, after) == (False, True)


async def test_a_run_that_takes_longer_than_a_lease_keeps_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken again and again while the run goes on."""
    clock = Clock()
    takes: list[float] = []
    take = Lease.take

    def counted(self: Lease) -> tuple[Fence | None, float]:
        takes.append(clock.now)
        return take(self)

    monkeypatch.setattr(Lease, "take", counted)
    monkeypatch.setattr(room, "KEEP_SECONDS", 0)

    async with alone(database, clock=clock):
        for _ in range(3):
            clock.now += LEASE_SECONDS - 1
            # Two of them: the first may have begun before the clock went on.
            await eventually(lambda: takes.count(clock.now) >= 2)
        kept = not await begins(database, clock)

    assert kept
    assert await begins(database, clock)
