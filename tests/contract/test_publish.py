"""A rollback of several files meets kill -9 and SIGSTOP at every step: nobody reads or commits a mixture."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import CommitUnknown, StoreUnavailable
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.profiles.intent import intents
from tests.contract.publish_process import HOST, make_manager
from tests.support.place import profile_text
from tests.support.servers import PostgresServer
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
BETWEEN_FILES = ("1", "2", "3")
COMMITTED = ("4", "committed")
"""Two files are replaced and one is removed; the fourth step removes the intent, and comes after the commit."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The profile files of revision 2."""
    directory = tmp_path / "profiles"
    directory.mkdir()
    return directory


@pytest.fixture
async def manager(store: ControlStore, directory: Path) -> ProfileManager:
    """The manager of this process, at revision 2; a rollback rewrites two files and removes one."""
    return await changed(store, directory, ("balanced", "premium", "specialized"))


async def changed(store: ControlStore, directory: Path, names: Sequence[str]) -> ProfileManager:
    """Return a manager at revision 2, which another `chat` in the files `names` has made."""
    manager = make_manager(store, directory)
    for name in ("balanced", "premium"):
        (directory / f"{name}.yaml").write_text(profile_text(name))
    await manager.reload(actor=FILES)
    for name in names:
        (directory / f"{name}.yaml").write_text(profile_text(name, chat="chat_ultra_fast"))
    await manager.reload(actor=FILES)
    return manager


def start_rollback(url: str, directory: Path, number: signal.Signals, moment: str) -> subprocess.Popen[bytes]:
    arguments = [url, str(directory), str(number.value), moment]
    command = [sys.executable, "-m", "tests.contract.publish_process", *arguments]
    return subprocess.Popen(command, cwd=ROOT)


def state_of(store: ControlStore) -> ControlState:
    state = store.read()
    assert state is not None
    return state


def said_by_files(directory: Path) -> str:
    return ProfileFiles(directory).load(HOST).digest


@pytest.mark.parametrize(
    "moment",
    [
        *(pytest.param(moment, marks=pytest.mark.campaign) for moment in ("locked", "written", "published")),
        *BETWEEN_FILES,
        *COMMITTED,
    ],
)
async def test_kill_9_at_every_step_of_a_publish_leaves_one_set(
    manager: ProfileManager, store: ControlStore, state_url: str, directory: Path, moment: str
) -> None:
    """The next start finds revision N or N+1 and files that say the same: there is nothing to commit."""
    before = state_of(store)
    child = start_rollback(state_url, directory, signal.SIGKILL, moment)
    assert await asyncio.to_thread(child.wait, 60) == -signal.SIGKILL
    was_mixed = said_by_files(directory) not in (before.profiles.digest, store.read_at(1).profiles.digest)
    assert was_mixed == (moment in BETWEEN_FILES[1:])

    receipt = await manager.reload(actor=FILES)

    state = state_of(store)
    assert (state.revision, state.profiles.digest == before.profiles.digest) == (
        (3, False) if moment in COMMITTED else (2, True)
    )
    assert not receipt.changed
    assert said_by_files(directory) == state.profiles.digest
    assert intents(directory) == []
    assert store.audit.verify() == state.revision


@pytest.mark.parametrize("fate", [signal.SIGCONT, signal.SIGKILL])
async def test_files_of_a_publisher_that_is_stuck_are_not_read(
    manager: ProfileManager,
    store: ControlStore,
    state_url: str,
    directory: Path,
    fate: signal.Signals,
) -> None:
    """A reload that meets half a publish waits for its process: until it goes on, or is gone."""
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()

    @contextmanager
    def standstill() -> Iterator[str | None]:
        loop.call_soon_threadsafe(waiting.set)
        with store.standstill() as committed:
            yield committed

    child = start_rollback(state_url, directory, signal.SIGSTOP, BETWEEN_FILES[1])
    await eventually(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED, seconds=60)

    reading = asyncio.create_task(make_manager(store, directory, standstill=standstill).reload(actor=FILES))
    await eventually(lambda: waiting.is_set() or reading.done(), seconds=60)
    child.send_signal(fate)
    async with asyncio.timeout(60):
        receipt = await reading

    assert await asyncio.to_thread(child.wait, 60) == (0 if fate == signal.SIGCONT else -fate)
    state = state_of(store)
    assert not receipt.changed
    assert receipt.revision == state.revision == (3 if fate == signal.SIGCONT else 2)
    assert said_by_files(directory) == state.profiles.digest


@pytest.mark.parametrize("names", [("premium",), ("balanced", "premium", "specialized")], ids=["one", "all"])
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "lost"])
async def test_a_commit_that_nobody_answered_is_told_and_the_files_follow_it(
    postgres: PostgresServer, postgres_url: str, directory: Path, names: Sequence[str], committed: bool
) -> None:
    """Frozen at the commit, PostgreSQL does it later; killed just before, never: files and state agree both times."""

    def reached(step: str) -> None:
        if step == "published" and store.revision() == 2:
            (postgres.freeze if committed else postgres.kill)()

    store = ControlStore(postgres_url, fault=reached)
    manager = await changed(store, directory, names)

    with pytest.raises(CommitUnknown):
        await manager.rollback(actor=Actor("anna"))
    postgres.thaw() if committed else postgres.start()

    await eventually(lambda: revision_of(store) == (3 if committed else 2), seconds=30)
    receipt = await manager.reload(actor=FILES)
    assert (receipt.changed, receipt.revision) == (False, 3 if committed else 2)
    assert said_by_files(directory) == state_of(store).profiles.digest
    assert intents(directory) == []
    store.close()


def revision_of(store: ControlStore) -> int:
    """Return the revision of a store; 0 where its server does not answer yet."""
    try:
        return store.revision()
    except StoreUnavailable:
        return 0
