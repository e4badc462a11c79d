"""Several hosts with one store and files of their own: what a start makes of files that disagree with the state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from neuronode_router.control.change import When
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.watcher import ProfileWatcher
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.bindings import Binding
from neuronode_router.profiles.memory import FilesMemory, content_hash
from tests.contract.publish_process import HOST, make_manager
from tests.support.place import profile_text
from tests.support.waiting import eventually

ANNA = Actor("anna")
OLD, NEW = "chat_balanced", "chat_premium"


class Host:
    """One machine: its copy of the files, its state directory and, between `start` and `stop`, its proxy."""

    def __init__(self, place: Path, store: ControlStore) -> None:
        self.files, self.state = place / "profiles", place / "state"
        self.files.mkdir(parents=True)
        self.write(OLD)
        self.memory = FilesMemory(self.state / "profiles.seen")
        self.manager: ProfileManager = make_manager(store, self.files, memory=self.memory)
        self.taken_up = 0
        self.surroundings = 0
        """Changes with what a refusal depends on beside the files."""

    def write(self, group: str) -> None:
        """Edit the file by hand: `group` serves chat."""
        (self.files / "balanced.yaml").write_text(profile_text("balanced", chat=group))

    async def start(self) -> None:
        """Start the proxy's watcher and wait for its first look."""
        looks = self.taken_up

        async def reload(when: When, over: str | None) -> None:
            try:
                await self.manager.reload(when, over=over, actor=FILES)
            finally:
                self.taken_up += 1

        async def in_force() -> str | None:
            state = await self.manager.current()
            return None if state is None else state.profiles.digest

        self.watcher = ProfileWatcher(
            self.files,
            memory=self.memory,
            on_change=reload,
            in_force=in_force,
            circumstances=lambda: self.surroundings,
            quiet_seconds=0.01,
            poll_seconds=0.05,
        )
        await self.watcher.start()
        await eventually(lambda: self.taken_up > looks)

    async def settle(self) -> None:
        """Wait until the host remembers its files as they are now."""
        await eventually(lambda: self.memory.recall() == content_hash(self.files))

    async def stop(self) -> None:
        """Stop the proxy."""
        await self.watcher.stop()


@pytest.fixture
async def first(tmp_path: Path, store: ControlStore) -> AsyncIterator[Host]:
    """The host that made revision 1, running."""
    host = Host(tmp_path / "first", store)
    await host.start()
    await host.settle()
    yield host
    await host.stop()


@pytest.fixture
async def second(tmp_path: Path, first: Host, store: ControlStore) -> Host:
    """Another host with the same files, which was started and stopped at revision 1."""
    host = Host(tmp_path / "second", store)
    await host.start()
    await host.settle()
    await host.stop()
    return host


@pytest.fixture
def served(store: ControlStore) -> Callable[[], tuple[int, str]]:
    """What is in force: the revision, and the group that serves chat in `balanced`."""

    def look() -> tuple[int, str]:
        state = store.read()
        assert state is not None
        return state.revision, state.profiles.profiles["balanced"].tasks["chat"]

    return look


Served = Callable[[], tuple[int, str]]


async def test_a_restart_does_not_undo_what_another_host_committed(
    first: Host, second: Host, served: Served
) -> None:
    """Files that this host knows have changed nobody's mind: they are left behind, and that is no problem."""
    await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)

    await second.start()

    assert served() == (2, NEW)
    assert second.watcher.problems() == ()
    await second.stop()


async def test_an_edit_made_while_the_proxy_was_down_takes_effect(
    first: Host, second: Host, served: Served
) -> None:
    """A checkout of an older version is an edit too, where the host remembers a newer one."""
    await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)
    second.write(NEW)
    await second.start()
    await second.settle()
    await second.stop()
    second.write(OLD)

    await second.start()

    assert served() == (3, OLD)
    await second.stop()


async def test_a_fresh_host_with_an_old_copy_commits_nothing_until_told(
    tmp_path: Path, first: Host, store: ControlStore, served: Served
) -> None:
    """A pod with an old ConfigMap shows `stale_files`; an explicit reload obeys the files, and the problem is gone."""
    await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)
    pod = Host(tmp_path / "pod", store)
    await pod.start()
    assert served() == (2, NEW)
    (problem,) = pod.watcher.problems()
    assert problem.code == "stale_files"
    assert problem.message == "The profile files say what revision 1 said; revision 2 is in force."

    await pod.manager.reload(actor=ANNA)

    assert served() == (3, OLD)
    await eventually(lambda: pod.watcher.problems() == ())
    await pod.stop()


async def test_a_change_under_a_fresh_host_is_an_edit(
    tmp_path: Path, first: Host, store: ControlStore, served: Served
) -> None:
    """Files brought up to date end the problem; after that whatever they say is meant, old or new."""
    await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)
    pod = Host(tmp_path / "pod", store)
    await pod.start()
    assert pod.watcher.problems()

    pod.write(NEW)
    await eventually(lambda: pod.watcher.problems() == ())
    assert served() == (2, NEW)
    pod.write(OLD)

    await eventually(lambda: served() == (3, OLD))
    await pod.stop()


async def test_a_fresh_host_with_files_nobody_has_seen_commits_them(
    tmp_path: Path, first: Host, store: ControlStore, served: Served
) -> None:
    """A new version of the ConfigMap arrives with the pods that are started with it."""
    pod = Host(tmp_path / "pod", store)
    pod.write("chat_specialized")

    await pod.start()

    assert served() == (2, "chat_specialized")
    await pod.stop()


async def test_a_remembered_host_fills_an_empty_store(tmp_path: Path, second: Host) -> None:
    """A new, empty database gets its first revision from files that the host knows."""
    store = ControlStore(f"sqlite:///{tmp_path}/new/control.db")
    second.manager = make_manager(store, second.files)

    await second.start()

    assert store.revision() == 1
    await second.stop()
    store.close()


@pytest.mark.parametrize("overtaken", [True, False])
async def test_refused_files_undo_nothing_that_came_later(
    first: Host, second: Host, served: Served, overtaken: bool
) -> None:
    """What they lacked is there at last: they are taken up unless other profiles were put in force meanwhile."""
    await second.start()
    second.write("of_tomorrow")
    await eventually(second.watcher.problems)
    if overtaken:
        await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)
    await first.manager.bind("team:a", Binding("balanced"), actor=ANNA)
    second.manager._host = lambda: replace(HOST, groups=HOST.groups | {"of_tomorrow"})
    second.surroundings += 1

    if overtaken:
        await eventually(lambda: [one.code for one in second.watcher.problems()] == ["stale_files"])
        assert served() == (3, NEW)
        await second.manager.reload(actor=ANNA)
        second.surroundings += 1
    await eventually(lambda: served()[1] == "of_tomorrow" and second.watcher.problems() == ())
    await second.stop()


async def test_an_edit_that_another_host_overruled_stays_overruled(
    first: Host, second: Host, served: Served
) -> None:
    """The first host's watcher finds its own published files late: they are no edit of anybody's."""
    await first.watcher.stop()
    await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)
    second.write(NEW)
    await second.manager.edit_task("balanced", "chat", OLD, actor=ANNA)

    await first.start()

    assert served() == (3, OLD)
    first.write("chat_specialized")
    await eventually(lambda: served() == (4, "chat_specialized"))


async def test_an_edit_that_another_worker_took_up_is_not_taken_up_again(
    first: Host, second: Host, served: Served
) -> None:
    """Two workers watch the same files; between their looks another host commits."""
    await first.watcher.stop()
    first.write(NEW)
    await first.manager.reload(actor=FILES)
    second.write(NEW)
    await second.manager.edit_task("balanced", "chat", OLD, actor=ANNA)

    await first.start()

    assert served() == (3, OLD)


async def test_a_rollback_that_another_host_overruled_stays_overruled(
    first: Host, second: Host, served: Served
) -> None:
    """It writes files as an edit does."""
    await first.manager.edit_task("balanced", "chat", NEW, actor=ANNA)
    await eventually(lambda: first.taken_up > 1)
    await first.watcher.stop()
    await first.manager.rollback(1, actor=ANNA)
    await second.manager.edit_task("balanced", "chat", NEW, actor=ANNA)

    await first.start()

    assert served() == (4, NEW)
