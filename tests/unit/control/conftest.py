"""A control room of one process over SQLite, with in-memory neighbours."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.domain.state import ControlState
from tests.support.control import HOST, MemorySource, RecordingApplier
from tests.support.migrated import migrated
from tests.support.policy_host import FileHost


def make_identity() -> WorkerIdentity:
    """Return the identity of a fresh worker in this process."""
    return WorkerIdentity(uuid.uuid4().hex, "here", os.getpid(), "test", time.time())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    """An empty SQLite store."""
    store = ControlStore(migrated(tmp_path / "control.db"))
    yield store
    store.close()


@pytest.fixture
def source() -> MemorySource:
    """Profile files in memory."""
    return MemorySource()


@pytest.fixture
def applier() -> RecordingApplier:
    """What the worker applies to."""
    return RecordingApplier()


@pytest.fixture
async def wake(tmp_path: Path) -> FileWake:
    """The wake-up of this process; the worker starts and stops it."""
    return FileWake(tmp_path / "wake" / "revision")


@pytest.fixture
async def worker(
    store: ControlStore, wake: FileWake, applier: RecordingApplier
) -> AsyncIterator[Worker[ControlState]]:
    """A running worker."""
    worker = Worker(
        store=store,
        applier=applier,
        wake=wake,
        identity=make_identity(),
        poll_seconds=0.05,
        heartbeat_seconds=0.2,
    )
    await worker.start()
    yield worker
    await worker.stop()


@pytest.fixture
async def manager(store: ControlStore, source: MemorySource, wake: FileWake) -> ProfileManager:
    """A manager over an empty store."""
    return ProfileManager(store=store, source=source, host=lambda: HOST, wake=wake, receipt_timeout=2.0)


@pytest.fixture
async def ready(manager: ProfileManager) -> ProfileManager:
    """A manager after the first load: revision 1, profile balanced."""
    await manager.reload(actor=FILES)
    return manager


@pytest.fixture
def break_store(tmp_path: Path, store: ControlStore) -> Iterator[Callable[[bool], None]]:
    """Take the database away and give it back: its file is moved, and a directory lies in its place."""
    path, aside = tmp_path / "control.db", tmp_path / "aside.db"

    def move(away: bool) -> None:
        store.close()
        if away and not aside.exists():
            path.rename(aside)
            path.mkdir()
        elif not away and aside.exists():
            path.rmdir()
            aside.rename(path)

    yield move
    move(False)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FileHost]:
    """A host with profiles in force, balanced active, and no policy."""
    opened = FileHost(tmp_path)
    await opened.manager.reload(actor=FILES, wait="none")
    yield opened
    opened.store.close()
