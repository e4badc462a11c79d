"""A run of probes: each target once, oldest first, within its caps, over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuronode_router.control.store import ControlStore
from neuronode_router.errors import StoreUnavailable
from neuronode_router.proof.matrix import Matrix, ProbeEvidence, ProbeTarget, State
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.proof.runner import RunLimits, Runner
from neuronode_router.proof.store import ProofStore
from tests.admin_api.proof_world import FakeAsker
from tests.support.clock import Clock
from tests.support.migrated import migrated

HOUR = 3600.0
TARGETS = [ProbeTarget(name, Shape.TEXT) for name in "abcdef"]


class World:
    """A runner, and what a test turns and looks at."""

    def __init__(self, database: ControlStore) -> None:
        self.store = ProofStore(database.database)
        self.asker = FakeAsker()
        self.clock = Clock()
        self.runner = Runner(asker=self.asker, store=self.store, matrix=Matrix(HOUR), clock=self.clock)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlStore]:
    store = ControlStore(migrated(tmp_path / "control.db"))
    yield store
    store.close()


@pytest.fixture
def world(control: ControlStore) -> World:
    return World(control)


async def test_what_was_never_or_long_ago_probed_comes_first(world: World) -> None:
    """So a cap never starves the same targets."""
    world.store.keep(ProbeEvidence(TARGETS[0], ProbeReason.ANSWERED, world.clock() - 10))
    world.store.keep(ProbeEvidence(TARGETS[1], ProbeReason.TIMEOUT, world.clock() - 20))

    run = await world.runner.run([*TARGETS, *TARGETS], RunLimits(concurrency=1))

    assert world.asker.asked == ["c", "d", "e", "f", "b", "a"]
    assert (run.wanted, run.stopped) == (6, None)


async def test_a_failure_costs_nothing_and_is_kept(world: World) -> None:
    """Its latency too."""
    world.asker.failing["a"] = ProbeReason.UNAVAILABLE

    await world.runner.run(TARGETS[:1], RunLimits())

    evidence = world.store.known()[TARGETS[0]]
    assert (evidence.state, evidence.why, evidence.cost_usd) == (State.RED, ProbeReason.UNAVAILABLE, None)
    assert evidence.latency_ms is not None


async def test_a_cost_cap_of_nothing_asks_nobody(world: World) -> None:
    """Not even once."""
    run = await world.runner.run(TARGETS, RunLimits(max_cost_usd=0))

    assert (run.stopped, world.asker.asked) == ("cost", [])


async def test_what_has_no_price_is_not_capped(world: World) -> None:
    """Local groups cost nothing that could be counted; time still ends the run."""
    world.asker.price = None

    run = await world.runner.run(TARGETS, RunLimits(max_cost_usd=0.001))

    assert (run.stopped, len(run.found), run.cost_usd) == (None, 6, 0.0)


async def test_a_cancelled_run_asks_no_more(world: World) -> None:
    """Somebody hung up: what is under way is given up too."""
    world.asker.open.clear()
    run = asyncio.create_task(world.runner.run(TARGETS, RunLimits(concurrency=2)))
    while world.asker.at_once < 2:
        await asyncio.sleep(0)

    run.cancel()
    await asyncio.wait([run])

    assert run.cancelled()
    assert (world.asker.at_once, len(world.asker.asked), world.store.known()) == (0, 2, {})


async def test_a_store_that_is_gone_ends_the_run(world: World, control: ControlStore) -> None:
    """With its own error, not with a group of them."""
    world.store.known()
    with control.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE neuronode_proof_turn")

    with pytest.raises(StoreUnavailable):
        await world.runner.run(TARGETS, RunLimits(concurrency=3))


async def test_not_loaded_replaces_only_what_proves_nothing_any_more(world: World) -> None:
    """A fresh red or green stays; an old one gives way."""
    await world.runner.run(TARGETS[:1], RunLimits())
    world.asker.unloaded = {"a"}

    await world.runner.run(TARGETS[:1], RunLimits())
    fresh = world.store.known()[TARGETS[0]].state
    world.clock.now += HOUR + 1
    await world.runner.run(TARGETS[:1], RunLimits())

    assert (fresh, world.store.known()[TARGETS[0]].state) == (State.GREEN, State.NOT_LOADED)
