"""Worker: convergence, refusals, lost wake-ups, a dead store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import ServedRevision, WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import ProfilesInvalid, StoreUnavailable
from tests.support.control import RecordingApplier
from tests.support.waiting import eventually
from tests.unit.control.conftest import make_identity

ANNA = Actor("anna")


async def test_start_takes_up_what_is_committed(ready: ProfileManager, worker: Worker[ControlState]) -> None:
    """A worker that starts later serves the committed revision when `start` returns."""
    assert worker.revision == 1

    (status,) = await ready.workers()
    assert (status.revision, status.live) == (1, True)


async def test_lost_wake_ups_are_healed_by_the_poll(
    ready: ProfileManager, store: ControlStore, applier: RecordingApplier
) -> None:
    """Without any wake-up a worker still converges, within its poll."""
    deaf = Worker(
        store=store, applier=applier, wake=WakeGroup(()), identity=make_identity(), poll_seconds=0.02
    )
    await deaf.start()

    await ready.switch("premium", actor=ANNA, wait="none")

    await eventually(lambda: deaf.revision == 2)
    await deaf.stop()


async def test_who_is_woken_takes_up_before_it_writes_a_heartbeat(
    ready: ProfileManager, store: ControlStore, wake: WakeGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch waits for the revision, and for nothing that this worker would write anyway."""
    said: list[int] = []
    announce = store.registry.announce

    def noted(identity: WorkerIdentity, served: ServedRevision) -> None:
        said.append(served.revision)
        announce(identity, served)

    monkeypatch.setattr(store.registry, "announce", noted)
    worker = Worker(
        store=store,
        applier=RecordingApplier(),
        wake=wake,
        identity=make_identity(),
        poll_seconds=60,
        heartbeat_seconds=0,  # always due
    )
    await worker.start()
    said.clear()

    await ready.switch("premium", actor=ANNA)

    assert said[0] == 2
    await worker.stop()


async def test_a_wake_up_during_apply_is_not_lost(
    ready: ProfileManager, store: ControlStore, wake: WakeGroup
) -> None:
    """A revision committed while another is being prepared is taken up right after, without waiting for a poll."""
    gate, entered = threading.Event(), threading.Event()

    class Slow(RecordingApplier):
        def prepare(self, state: ControlState) -> ControlState:
            if state.revision == 2:
                entered.set()
                assert gate.wait(10)
            return state

    slow = Slow()
    worker = Worker(store=store, applier=slow, wake=wake, identity=make_identity(), poll_seconds=60)
    await worker.start()
    await ready.switch("premium", actor=ANNA, wait="none")
    await eventually(entered.is_set)

    await ready.switch("balanced", actor=ANNA, wait="none")
    gate.set()

    await eventually(lambda: worker.revision == 3)
    assert [state.revision for state in slow.applied] == [1, 2, 3]
    await worker.stop()


async def test_refused_revision_leaves_the_last_good_one_and_is_tried_again(
    ready: ProfileManager, worker: Worker[ControlState], applier: RecordingApplier
) -> None:
    """A refusal is told with its reason; when the host changes, the same revision is taken up after all."""
    applier.refusal = ProfilesInvalid([])
    receipt = await ready.switch("premium", actor=ANNA)
    assert [ack.state for ack in receipt.workers] == ["refused"]
    assert worker.revision == 1

    applier.refusal = None

    await eventually(lambda: worker.revision == 2)
    await eventually(lambda: worker.served.refused is None)


async def test_dead_store_leaves_the_snapshot_and_heals(
    ready: ProfileManager,
    store: ControlStore,
    worker: Worker[ControlState],
    break_store: Callable[[bool], None],
) -> None:
    """While the store is gone the worker keeps serving and counts; when it is back it converges again."""
    break_store(True)
    await eventually(lambda: worker.store_failures > 1)
    assert worker.revision == 1

    break_store(False)
    await ready.switch("premium", actor=ANNA, wait="none")

    await eventually(lambda: worker.revision == 2)
    await eventually(lambda: worker.store_failures == 0)


async def test_start_with_a_dead_store_does_not_raise(applier: RecordingApplier, tmp_path: Path) -> None:
    """A proxy that starts while the database is away starts anyway, and the worker registers later."""
    (tmp_path / "state").touch()
    store = ControlStore(f"sqlite:///{tmp_path}/state/control.db")
    worker = Worker(
        store=store, applier=applier, wake=WakeGroup(()), identity=make_identity(), poll_seconds=0.02
    )

    await worker.start()
    assert (worker.revision, worker.store_failures) == (0, 1)
    (tmp_path / "state").unlink()

    await eventually(lambda: worker.store_failures == 0)
    assert [status.live for status in store.registry.workers()] == [True]
    await worker.stop()
    store.close()


async def test_heartbeats_carry_the_report_and_stop_retires(
    ready: ProfileManager, store: ControlStore, applier: RecordingApplier
) -> None:
    """What the worker says of itself arrives with its heartbeats; a stopped worker is gone."""
    drift = [0]
    worker = Worker(
        store=store,
        applier=applier,
        wake=WakeGroup(()),
        identity=make_identity(),
        poll_seconds=0.02,
        heartbeat_seconds=0.02,
        report=lambda: {"drift": drift[0]},
    )
    await worker.start()

    drift[0] = 3
    await eventually(lambda: store.registry.workers()[0].report == {"drift": 3})

    await worker.stop()
    assert store.registry.workers() == ()


async def test_wait_beyond_returns_on_the_next_revision_or_in_time(
    ready: ProfileManager, worker: Worker[ControlState]
) -> None:
    """The event stream waits without polling: it gets the next revision, or the present one after the time-out."""
    assert await worker.wait_beyond(1, 0.01) == 1
    assert await worker.wait_beyond(0, 10) == 1
    waiting = [asyncio.create_task(worker.wait_beyond(1, 10)) for _ in range(3)]

    await ready.switch("premium", actor=ANNA)

    assert await asyncio.gather(*waiting) == [2, 2, 2]


async def test_switch_on_a_dead_store_is_refused(
    ready: ProfileManager, break_store: Callable[[bool], None]
) -> None:
    """No store, no switch: 503 for the caller, and nothing half done."""
    break_store(True)

    with pytest.raises(StoreUnavailable) as caught:
        await ready.switch("premium", actor=ANNA)

    assert "NEURONODE_STATE_URL" in caught.value.fix
    break_store(False)
    assert len(await ready.audit()) == 1


async def test_other_surroundings_are_taken_up_without_a_new_revision(
    ready: ProfileManager, worker: Worker[ControlState], applier: RecordingApplier
) -> None:
    """When the host's model groups change the same revision is prepared anew, and served since when it was."""
    since, taken_up = worker.served.applied_at, len(applier.applied)

    applier.host = HostFacts(groups=frozenset({"another"}))

    await eventually(lambda: len(applier.applied) > taken_up)
    assert worker.served.revision == 1
    assert worker.served.applied_at == since
    assert worker.served.refused is None


async def test_the_same_surroundings_are_taken_up_once(
    ready: ProfileManager, worker: Worker[ControlState], applier: RecordingApplier
) -> None:
    """Polls that find nothing new prepare nothing."""
    await ready.switch("premium", actor=ANNA)
    await ready.switch("balanced", actor=ANNA)

    assert [state.revision for state in applier.applied] == [1, 2, 3]
