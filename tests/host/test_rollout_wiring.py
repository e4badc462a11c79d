"""A worker looks after rollouts only while one runs, and says so when it cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.policy_look import situation_of
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.worker import Worker
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import Problem, StoreUnavailable
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.rollout_wiring import RolloutWiring
from neuronode_router.policy.engine import undecided
from neuronode_router.rollouts.course import RolloutPlan
from neuronode_router.routing.snapshot import build_snapshot
from tests.support.control import HOST, MemorySource, RecordingApplier
from tests.unit.control.conftest import make_identity


class RollingWorker:
    """One worker of a proxy whose store can go away."""

    def __init__(self, directory: Path) -> None:
        self.place = directory / "state" / "control.db"
        self.store = ControlStore(f"sqlite:///{self.place}")
        self.manager = ProfileManager(
            store=self.store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(())
        )
        self.applier = RecordingApplier()
        self.worker: Worker[ControlState] = Worker(
            store=self.store,
            applier=self.applier,
            wake=WakeGroup(()),
            identity=make_identity(),
            poll_seconds=0.01,
        )
        self.current = CurrentSnapshot()
        self.flushed = 0
        self.wiring = RolloutWiring(
            manager=self.manager,
            worker=self.worker,
            store=self.store,
            current=self.current,
            flush=self.flush,
            verdict_of=lambda state: undecided(situation_of(state, HOST), "nobody decides"),
        )

    async def flush(self) -> None:
        """Count the flushes, each of which asks the store."""
        self.flushed += 1
        self.store.revision()

    def serve(self) -> None:
        """Take up what is committed."""
        state = self.store.read()
        assert state is not None
        self.current.take(build_snapshot(state, HOST))


@pytest.fixture
async def rolling(tmp_path: Path) -> AsyncIterator[RollingWorker]:
    """A worker at revision 1."""
    found = RollingWorker(tmp_path)
    await found.manager.reload(actor=FILES)
    found.serve()
    yield found
    found.store.close()


async def begin(rolling: RollingWorker) -> None:
    """Let a rollout run."""
    await rolling.wiring.rollouts.start(RolloutPlan("premium"), actor=Actor("anna"))
    rolling.serve()


async def test_while_none_runs_nothing_is_asked(rolling: RollingWorker) -> None:
    """Neither the store nor anybody else; a rollout of any worker is enough to begin."""
    await rolling.wiring.watch()
    assert (rolling.flushed, rolling.wiring.problems()) == (0, ())

    await begin(rolling)
    await rolling.wiring.watch()

    assert rolling.flushed == 1
    running = rolling.store.rollouts.running()
    assert running is not None
    assert running.watched_at > 0


async def test_what_is_refused_here_is_told_while_a_rollout_runs(
    rolling: RollingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the worker that tried it."""
    refused = Problem("rollout_refused", "Its files are old.", "Bring them up to date.")
    monkeypatch.setattr(rolling.wiring.rollouts, "problems", lambda: (refused,))
    assert rolling.wiring.problems() == ()
    await begin(rolling)

    assert rolling.wiring.problems() == (refused,)


async def test_who_cannot_reach_the_store_stands_still_and_says_so(rolling: RollingWorker) -> None:
    """What it serves stays, the status names it, and nothing is decided here."""
    await begin(rolling)
    served = rolling.current.snapshot
    rolling.store.close()
    rolling.place.unlink()
    rolling.place.mkdir()

    with pytest.raises(StoreUnavailable):
        await rolling.wiring.watch()
    await rolling.worker.start()
    try:
        (problem,) = rolling.wiring.problems()
    finally:
        await rolling.worker.stop()
        await rolling.wiring.stop()

    assert problem.code == "rollout_stands_still"
    assert "premium 1 %" in problem.message
    assert rolling.current.snapshot is served
