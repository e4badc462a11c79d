"""Nothing ends a worker's loops in silence: whatever a neighbour raises is refused or retried, counted and shown."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.background import Failures
from neuronode_router.control.change import When
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.watcher import ProfileWatcher
from neuronode_router.control.worker import Worker
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.receipts import WorkerStatus
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import StoreUnavailable
from neuronode_router.profiles.memory import FilesMemory, content_hash
from tests.support.control import RecordingApplier
from tests.support.waiting import eventually
from tests.unit.control.conftest import make_identity

ANNA = Actor("anna")
SECRET = "sk-never-shown"


class ClumsyApplier(RecordingApplier):
    """Raises what nobody foresaw, where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.stumble: Exception | None = None

    def surroundings(self) -> object:
        return None

    def swap(self, prepared: ControlState) -> None:
        if self.stumble is not None:
            raise self.stumble
        super().swap(prepared)


class Rig:
    """A worker among neighbours that can be made to fail."""

    def __init__(self, store: ControlStore) -> None:
        self.store = store
        self.applier = ClumsyApplier()
        self.failures = Failures()
        self.report: Callable[[], Mapping[str, Any]] = lambda: {"drifts": 0}
        self.worker: Worker[ControlState] = Worker(
            store=store,
            applier=self.applier,
            wake=WakeGroup(()),
            identity=make_identity(),
            poll_seconds=0.02,
            heartbeat_seconds=0.1,
            report=lambda: self.report(),
            failures=self.failures,
        )

    def seen(self) -> WorkerStatus:
        """Return the worker as others see it."""
        (status,) = self.store.registry.workers()
        return status


@pytest.fixture
async def rig(ready: ProfileManager, store: ControlStore) -> AsyncIterator[Rig]:
    """A worker that serves revision 1."""
    rig = Rig(store)
    await rig.worker.start()
    yield rig
    await rig.worker.stop()


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("part", ["refusal", "stumble"])
async def test_a_fault_in_prepare_or_swap_is_a_refusal(
    rig: Rig, ready: ProfileManager, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    """The receipt says who refused, the error's text stays in the log, and it is taken up once all is well."""
    setattr(rig.applier, part, KeyError(SECRET))

    receipt = await ready.switch("premium", actor=ANNA)
    failed = rig.failures.total
    await eventually(lambda: rig.failures.total > failed + 2)

    (ack,) = receipt.workers
    assert ack.state == "refused"
    assert "taking up a revision failed (KeyError)" in ack.detail
    assert SECRET not in ack.detail
    assert len(tracebacks(caplog)) == 1
    setattr(rig.applier, part, None)
    await eventually(lambda: rig.worker.revision == 2)
    await eventually(lambda: rig.seen().detail == "")


@pytest.mark.parametrize(
    "report", [{"mode": object()}, RuntimeError("no report")], ids=["unreadable", "raised"]
)
async def test_a_fault_in_the_report_stops_no_acknowledgement(
    rig: Rig, ready: ProfileManager, caplog: pytest.LogCaptureFixture, report: object
) -> None:
    """A worker that cannot report still says what it serves, and that something is wrong."""

    def broken() -> Mapping[str, Any]:
        if isinstance(report, Exception):
            raise report
        return report  # type: ignore[return-value]

    rig.report = broken
    receipt = await ready.switch("premium", actor=ANNA)

    assert receipt.complete
    assert "the report failed" in rig.seen().detail
    assert rig.seen().report == {}
    assert len(tracebacks(caplog)) == 1
    rig.report = lambda: {"drifts": 1}
    await eventually(lambda: (rig.seen().detail, rig.seen().report) == ("", {"drifts": 1}))


async def test_a_state_that_cannot_be_read_stops_no_heartbeat(
    rig: Rig, ready: ProfileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that somebody damaged in the database is shown; the worker stays alive on what it serves."""

    def damaged(**_: object) -> ControlState:
        raise ValueError(SECRET)

    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "read", damaged)
        await eventually(lambda: "reading the control state failed" in rig.seen().detail)
        before = rig.seen().heartbeat_at
        await eventually(lambda: rig.seen().heartbeat_at > before)
        assert rig.worker.revision == 1

    await ready.switch("premium", actor=ANNA, wait="none")
    await eventually(lambda: rig.worker.revision == 2)


async def test_a_fault_in_the_acknowledgement_is_tried_again(
    rig: Rig, ready: ProfileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even the write that tells of the worker may fail in a way that nobody foresaw."""

    def broken(*_: object) -> None:
        raise AttributeError

    with monkeypatch.context() as patch:
        patch.setattr(rig.store.registry, "announce", broken)
        await eventually(lambda: rig.failures.total > 2)

    receipt = await ready.switch("premium", actor=ANNA)
    assert receipt.complete


async def test_a_wake_up_that_cannot_start_leaves_the_poll(
    ready: ProfileManager, store: ControlStore
) -> None:
    """A worker without any wake-up converges all the same."""

    class Broken(WakeGroup):
        async def start(self, on_wake: Callable[[], None]) -> None:
            raise RuntimeError("can't start new thread")

    worker = Worker(
        store=store,
        applier=RecordingApplier(),
        wake=Broken(()),
        identity=make_identity(),
        poll_seconds=0.01,
    )
    await worker.start()

    await ready.switch("premium", actor=ANNA)

    assert worker.revision == 2
    assert "starting the wake-ups failed" in store.registry.workers()[0].detail
    await worker.stop()


async def test_a_fault_in_the_reload_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The watcher goes on after an error that is not ours, and takes up the same content at a later poll."""
    directory, failures, seen = tmp_path / "profiles", Failures(), []
    directory.mkdir()
    (directory / "premium.yaml").write_text("one")

    async def reload(when: When, over: str | None) -> None:
        if failures.total < 3:
            raise KeyError(SECRET)
        seen.append(when)

    watcher = ProfileWatcher(
        directory,
        memory=FilesMemory(tmp_path / "seen"),
        on_change=reload,
        quiet_seconds=0.01,
        poll_seconds=0.02,
        failures=failures,
    )
    await watcher.start()

    await eventually(lambda: seen == ["unless_stale"] and failures.present() == ())
    assert len(tracebacks(caplog)) == 1
    await watcher.stop()


def test_a_name_that_is_not_utf8_is_hashed(tmp_path: Path) -> None:
    """A file whose name nobody can decode does not stop the watching of the others."""
    before = content_hash(tmp_path)

    Path(f"{tmp_path}/b\udcff.yaml").write_text("x")

    assert content_hash(tmp_path) != before


class TestFailures:
    def test_each_new_failure_is_logged_once_until_it_is_over(self, caplog: pytest.LogCaptureFixture) -> None:
        """The same line of code failing in a row is one log entry, whatever its text; then it counts as new."""
        failures = Failures()

        def fail(text: str) -> None:
            with failures.survived("looking"):
                raise ValueError(text)

        fail("one")
        fail("two")
        with failures.survived("looking"):
            pass
        assert failures.present() == ()
        fail("three")
        with failures.survived("looking"):
            raise TypeError

        assert failures.total == 4
        assert [type(record.exc_info[1]) for record in tracebacks(caplog) if record.exc_info] == [
            ValueError,
            ValueError,
            TypeError,
        ]

    def test_what_the_caller_expects_passes(self) -> None:
        """An error that the loop handles itself is neither counted nor swallowed."""
        failures = Failures()

        with pytest.raises(StoreUnavailable), failures.survived("reading", but=StoreUnavailable):
            raise StoreUnavailable("gone")

        assert (failures.total, failures.present()) == (0, ())

    def test_threads_lose_no_count(self) -> None:
        """The worker's thread and the event loop share one count, and read it while the other writes."""
        failures = Failures()

        def fail_often(name: int) -> None:
            for number in range(500):
                with failures.survived(f"{name} {number % 7}", but=KeyError):
                    failures.present()
                    if number % 2:
                        raise ValueError

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(fail_often, range(4)))

        assert failures.total == 1000
