"""Who waits for whom: changes take turns, and nothing else of one holds up another."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from neuronode_router.control import carrying
from neuronode_router.control.change import ChangeResult
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.workers import ServedRevision
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.receipts import Receipt
from neuronode_router.errors import ProfilesInvalid
from tests.support.control import HOST, MemorySource, make_profile
from tests.support.waiting import eventually
from tests.unit.control.conftest import make_identity

ANNA, VIEWER = Actor("anna"), Actor("viewer")
NOBODYS = make_profile("premium", chat="nobodys").to_document()
SECONDS = 10
"""The longest that a test waits for what does not wait."""


@dataclass
class Slow(MemorySource):
    """Files and a table of models that are read only as fast as a test lets them."""

    looks: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    loading: threading.Event = field(default_factory=threading.Event)
    readable: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__()
        self.readable.set()

    def load(self, host: HostFacts) -> ProfileSet:
        self.loading.set()
        assert self.readable.wait(SECONDS)
        return super().load(host)

    async def look(self) -> None:
        self.looks += 1
        await self.looked.wait()


@pytest.fixture
def slow() -> Slow:
    """It lets everything be read."""
    return Slow()


@pytest.fixture
async def manager(store: ControlStore, slow: Slow) -> ProfileManager:
    """A manager at revision 1, whose receipts wait for a worker for longer than any test."""
    manager = ProfileManager(
        store=store,
        source=slow,
        host=lambda: HOST,
        wake=WakeGroup(()),
        refresh=slow.look,
        receipt_timeout=10 * SECONDS,
    )
    await manager.reload(actor=FILES)
    return manager


@pytest.mark.parametrize("dry_run", [True, False])
async def test_who_looks_for_a_group_holds_nobody_up(
    manager: ProfileManager, slow: Slow, *, dry_run: bool
) -> None:
    """LiteLLM's table of models may take seconds to read, and a viewer can ask for that."""
    checks = [
        asyncio.create_task(manager.edit_profile("premium", NOBODYS, actor=VIEWER, dry_run=dry_run))
        for _ in range(3)
    ]
    await eventually(lambda: slow.looks == 3)

    async with asyncio.timeout(SECONDS):
        receipt = await manager.switch("premium", actor=ANNA, wait="none")
    slow.looked.set()

    assert receipt.changed
    for found in await asyncio.gather(*checks, return_exceptions=True):
        assert isinstance(found, ProfilesInvalid)


async def test_what_is_only_foreseen_and_changes_do_not_wait_for_each_other(
    manager: ProfileManager, slow: Slow
) -> None:
    """A dry run goes past a change that reads its files, and a change past a dry run that does."""
    for first, second in ((False, True), (True, False)):
        slow.loading.clear()
        slow.readable.clear()
        reading = asyncio.create_task(manager.reload(actor=ANNA, dry_run=first, wait="none"))
        await eventually(slow.loading.is_set)

        async with asyncio.timeout(SECONDS):
            receipt = await manager.switch("premium", actor=ANNA, dry_run=second, wait="none")
        slow.readable.set()
        await reading

        assert receipt.dry_run == second
        assert receipt.changed


@pytest.fixture
def one_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one receipt at a time can wait for workers."""
    monkeypatch.setattr(carrying, "WITNESSES", 1)


@pytest.mark.usefixtures("one_witness")
async def test_what_waits_for_nobody_gets_its_receipt_beside_those_that_wait(
    store: ControlStore, manager: ProfileManager
) -> None:
    """While a worker is frozen: a switch that does not wait for it, and a dry run."""
    frozen = make_identity()
    store.registry.announce(frozen, ServedRevision(revision=1))
    waiting = asyncio.create_task(manager.switch("premium", actor=ANNA))
    await eventually(lambda: store.revision() == 2)

    async with asyncio.timeout(SECONDS):
        unwitnessed = await manager.switch("balanced", actor=ANNA, wait="none")
        foreseen = await manager.switch("premium", actor=ANNA, dry_run=True)

    assert not waiting.done()
    assert [ack.state for ack in unwitnessed.workers] == ["waiting"]
    assert [ack.state for ack in foreseen.workers] == ["waiting"]
    store.registry.announce(frozen, ServedRevision(revision=3))
    assert (await waiting).complete


@pytest.mark.usefixtures("one_witness")
async def test_the_time_of_a_receipt_that_queues_runs_from_its_commit(
    store: ControlStore, manager: ProfileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So none comes later than the bound because others wait too."""
    ends: list[float] = []
    free = threading.Event()
    write: Callable[..., Receipt] = carrying.write_receipt

    def queued(store: ControlStore, outcome: ChangeResult, *, end: float) -> Receipt:
        ends.append(end)
        assert free.wait(SECONDS)
        return write(store, outcome, end=end)

    monkeypatch.setattr(carrying, "write_receipt", queued)
    switches = [asyncio.create_task(manager.switch(name, actor=ANNA)) for name in ("premium", "balanced")]
    await eventually(lambda: store.revision() == 3)
    async with manager._single_flight:
        handed_over = time.monotonic()
    free.set()
    await asyncio.gather(*switches)

    assert len(ends) == 2
    assert max(ends) <= handed_over + 10 * SECONDS
