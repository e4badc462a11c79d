"""The refresh in the background: when it is due, by one worker, of every cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neuronode_router.background import MISSED_INTERVALS, Failures
from neuronode_router.control.store import ControlStore
from neuronode_router.proof.matrix import State
from neuronode_router.proof.runner import RunLimits
from neuronode_router.proof.service import ProofService
from neuronode_router.settings import Settings
from tests.admin_api.proof_world import FakeAsker
from tests.support.clock import Clock
from tests.support.control import make_profile
from tests.support.migrated import migrated

PROFILES = [make_profile("balanced"), make_profile("premium", chat="chat_balanced")]
CHAT = {"chat_balanced"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    store = ControlStore(migrated(tmp_path / "control.db"))
    yield store
    store.close()


def room(store: ControlStore, asker: FakeAsker, clock: Clock, **settings: str) -> ProofService:
    environ = {f"NEURONODE_PROOF_{name.upper()}": value for name, value in settings.items()}
    return ProofService(
        settings=Settings.load(environ),
        database=store.database,
        asker=asker,
        profiles=lambda: PROFILES,
        clock=clock,
    )


async def test_one_worker_refreshes_once_in_an_interval(store: ControlStore) -> None:
    """Groups that profiles share are asked once; what is not loaded stays asleep."""
    asker, clock = FakeAsker(), Clock()
    asker.unloaded = {"classification_premium"}
    workers = [room(store, asker, clock, refresh="30") for _ in range(3)]

    for _ in range(2):
        for worker in workers:
            await worker.refresh()
    asked = sorted(asker.asked)
    clock.now += 1800
    await workers[2].refresh()

    states = {(cell.profile, cell.task): cell.state for cell in await workers[0].cells(PROFILES)}
    assert asked == sorted(CHAT | {"classification_balanced"})
    assert len(asker.asked) == 2 * len(asked)
    assert states["premium", "chat"] is State.GREEN
    assert states["premium", "classification"] is State.NOT_LOADED


async def test_without_the_setting_nobody_is_asked(store: ControlStore) -> None:
    """The default."""
    asker = FakeAsker()

    await room(store, asker, Clock()).refresh()

    assert asker.asked == []


async def test_tasks_with_tools_are_proven_by_a_tool_call(store: ControlStore) -> None:
    """As the operator says; the same group then has two findings, each for its shape."""
    asker, clock = FakeAsker(), Clock()

    await room(store, asker, clock, refresh="30", tools="chat, strategy").refresh()

    cells = await room(store, asker, clock, tools="chat").cells(PROFILES)
    assert {cell.target.shape for cell in cells if cell.task == "chat"} == {"tool_call"}
    assert {cell.state for cell in cells} == {State.GREEN}
    assert {cell.state for cell in await room(store, asker, clock).cells(PROFILES)} == {
        State.GREEN,
        State.UNKNOWN,
    }


async def test_a_refresh_that_takes_its_time_is_no_hang(store: ControlStore) -> None:
    """Slow models may take as long as a run may; only what goes on for longer hangs."""
    task, clock = room(store, FakeAsker(), Clock(), refresh="30").periodic_task(), Clock()
    failures = Failures(clock)
    failures.expect(task.activity, task.seconds, lasts=task.lasts)

    clock.now += task.seconds + RunLimits().max_seconds
    in_time = failures.stalled()
    clock.now += MISSED_INTERVALS * task.seconds

    assert (in_time, failures.stalled()) == ((), (task.activity,))
