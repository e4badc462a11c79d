"""ProfileWatcher: every way in which files change, the trailing edge, and broken files."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from neuronode_router.control.change import When
from neuronode_router.control.notify import DirectoryEvents
from neuronode_router.control.watcher import ProfileWatcher
from neuronode_router.errors import (
    NeuronodeError,
    Problem,
    ProfilesInvalid,
    ProfilesReadOnly,
    StaleFiles,
    StoreUnavailable,
)
from neuronode_router.profiles.memory import FilesMemory, content_hash
from tests.support.waiting import eventually

BROKEN = Problem(code="broken", message="It is broken.", fix="Fix it.")


class Reload:
    """Stands for `ProfileManager.reload`: notes what it read, fails when told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []
        self.whens: list[When] = []
        self.failure: NeuronodeError | None = None
        self.failures = 0

    async def __call__(self, when: When, over: str | None) -> None:
        self.whens.append(when)
        if self.failure is not None:
            self.failures += 1
            raise self.failure
        self.seen.append(self.path.read_text() if self.path.exists() else "")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A profiles directory with one file."""
    directory = tmp_path / "profiles"
    directory.mkdir()
    (directory / "premium.yaml").write_text("one")
    return directory


@pytest.fixture
def reload(directory: Path) -> Reload:
    """What the watcher calls."""
    return Reload(directory / "premium.yaml")


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    """Where the host remembers what it last had in force."""
    return tmp_path / "state" / "profiles.seen"


@pytest.fixture
def memory(remembered: Path) -> FilesMemory:
    """What the host remembers."""
    return FilesMemory(remembered)


def impatient(
    directory: Path, memory: FilesMemory, reload: Reload, *, events: DirectoryEvents | None = None
) -> ProfileWatcher:
    """Return a watcher whose poll comes at once."""
    return ProfileWatcher(
        directory,
        memory=memory,
        on_change=reload,
        quiet_seconds=0.01,
        poll_seconds=0.02,
        events=events,
    )


@pytest.fixture
async def watcher(directory: Path, memory: FilesMemory, reload: Reload) -> AsyncIterator[ProfileWatcher]:
    """A running watcher that has done its first look; its poll is too slow to help."""
    watcher = ProfileWatcher(
        directory,
        memory=memory,
        on_change=reload,
        quiet_seconds=0.02,
        longest_seconds=0.3,
        poll_seconds=60,
    )
    await watcher.start()
    await eventually(lambda: reload.seen == ["one"])
    yield watcher
    await watcher.stop()


@pytest.mark.usefixtures("watcher")
class TestChanges:
    async def test_in_place_write(self, reload: Reload) -> None:
        """An editor that writes into the file."""
        reload.path.write_text("two")

        await eventually(lambda: reload.seen[-1] == "two")

    async def test_rename_over(self, reload: Reload, tmp_path: Path) -> None:
        """An editor that replaces the file, from the same directory or another."""
        beside = reload.path.with_suffix(".tmp")
        beside.write_text("two")
        beside.replace(reload.path)
        await eventually(lambda: reload.seen[-1] == "two")

        outside = tmp_path / "outside"
        outside.write_text("three")
        outside.replace(reload.path)
        await eventually(lambda: reload.seen[-1] == "three")

    async def test_delete_and_recreate(self, reload: Reload) -> None:
        """A tool that removes the file first."""
        reload.path.unlink()
        await eventually(lambda: reload.seen[-1] == "")
        reload.path.write_text("two")

        await eventually(lambda: reload.seen[-1] == "two")

    async def test_the_last_of_many_writes_is_never_lost(self, reload: Reload) -> None:
        """A burst of writes ends with a reload of the last one, not with one reload for each."""
        loop, number = asyncio.get_running_loop(), 0
        end = loop.time() + 0.25
        while loop.time() < end:
            number += 1
            await asyncio.to_thread(reload.path.write_text, f"version {number}")

        await eventually(lambda: reload.seen[-1] == f"version {number}")
        assert number > 20
        assert len(reload.seen) < 15

    async def test_same_content_is_no_change(self, reload: Reload) -> None:
        """Touching files, or other files beside them, reloads nothing."""
        reload.path.write_text("one")
        (reload.path.parent / "notes.txt").write_text("not a profile")
        reload.path.write_text("two")

        await eventually(lambda: reload.seen[-1] == "two")
        assert reload.seen == ["one", "two"]


async def test_configmap_swap(tmp_path: Path, memory: FilesMemory) -> None:
    """Kubernetes' way: files are links through `..data`, and one rename changes all of them."""
    directory = tmp_path / "profiles"
    for number in (1, 2):
        (directory / f"..v{number}").mkdir(parents=True)
        (directory / f"..v{number}" / "premium.yaml").write_text(f"version {number}")
    (directory / "..data").symlink_to("..v1")
    (directory / "premium.yaml").symlink_to("..data/premium.yaml")
    reload = Reload(directory / "premium.yaml")
    watcher = ProfileWatcher(directory, memory=memory, on_change=reload, quiet_seconds=0.02, poll_seconds=60)
    await watcher.start()
    await eventually(lambda: reload.seen == ["version 1"])

    (directory / "..data_tmp").symlink_to("..v2")
    (directory / "..data_tmp").replace(directory / "..data")
    shutil.rmtree(directory / "..v1")

    await eventually(lambda: reload.seen[-1] == "version 2")
    await watcher.stop()


async def test_broken_files_are_shown_and_tried_again_on_the_next_change(
    watcher: ProfileWatcher, reload: Reload
) -> None:
    """Problems stay visible until the files are good again; the same broken content is not tried twice."""
    reload.failure = ProfilesInvalid([BROKEN])
    reload.path.write_text("broken")
    await eventually(watcher.problems)
    assert watcher.problems() == (BROKEN,)

    reload.path.write_text("broken")
    reload.failure = None
    reload.path.write_text("good")

    await eventually(lambda: reload.seen[-1] == "good")
    await eventually(lambda: watcher.problems() == ())
    assert reload.failures == 1


async def test_back_to_the_loaded_content_clears_the_problems(
    watcher: ProfileWatcher, reload: Reload
) -> None:
    """A broken edit that is undone by hand leaves no problem standing."""
    reload.failure = ProfilesReadOnly("no")
    reload.path.write_text("broken")
    await eventually(watcher.problems)
    assert watcher.problems()[0].code == "profiles_read_only"

    reload.path.write_text("one")

    await eventually(lambda: watcher.problems() == ())


async def test_a_dead_store_is_tried_again_at_the_next_poll(
    directory: Path, memory: FilesMemory, reload: Reload
) -> None:
    """What the store refused for reasons of its own is not forgotten, and is no problem of the files."""
    reload.failure = StoreUnavailable("gone")
    watcher = impatient(directory, memory, reload)
    await watcher.start()
    await eventually(lambda: reload.failures > 2)
    assert watcher.problems() == ()

    reload.failure = None

    await eventually(lambda: reload.seen == ["one"])
    await watcher.stop()


async def test_a_directory_that_appears_later_is_found_by_the_poll(
    tmp_path: Path, memory: FilesMemory
) -> None:
    """Where nothing can be watched yet, the poll of the content looks."""
    reload = Reload(tmp_path / "later" / "premium.yaml")
    watcher = impatient(tmp_path / "later", memory, reload)
    await watcher.start()
    assert watcher.mode == "off"

    (tmp_path / "later").mkdir()
    reload.path.write_text("one")

    await eventually(lambda: reload.seen[-1:] == ["one"])
    await watcher.stop()


class TestStarts:
    """What a start makes of the files, by what this host remembers."""

    async def test_nothing_remembered(
        self, watcher: ProfileWatcher, reload: Reload, memory: FilesMemory
    ) -> None:
        """A fresh host asks for old copies to be refused, at its first look only; what was accepted is remembered."""
        await eventually(memory.recall)
        reload.path.write_text("two")
        await eventually(lambda: reload.seen[-1] == "two")
        reload.path.write_text("one")
        await eventually(lambda: reload.seen[-1] == "one")

        assert reload.whens == ["unless_stale", "always", "always"]
        await eventually(lambda: memory.recall() == content_hash(reload.path.parent))

    @pytest.mark.parametrize(("content", "when"), [("one", "if_empty"), ("edited", "always")])
    async def test_something_remembered(
        self, watcher: ProfileWatcher, reload: Reload, memory: FilesMemory, content: str, when: When
    ) -> None:
        """The content that was in force before changes nothing; an edit made while nobody watched is an edit."""
        await eventually(memory.recall)
        await watcher.stop()
        reload.path.write_text(content)

        again = impatient(reload.path.parent, memory, reload)
        await again.start()
        await eventually(lambda: len(reload.whens) == 2)
        reload.path.write_text("two")
        await eventually(lambda: reload.seen[-1] == "two")
        await again.stop()

        assert reload.whens == ["unless_stale", when, "always"]

    async def test_stale_files_are_shown_until_they_are_in_force(
        self, directory: Path, memory: FilesMemory, reload: Reload, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An old copy is looked at again at every poll, said once, and never remembered as in force."""
        reload.failure = StaleFiles(revision=3, current=7)
        watcher = impatient(directory, memory, reload)
        await watcher.start()
        await eventually(lambda: reload.failures > 2)
        (problem,) = watcher.problems()
        assert problem.code == "stale_files"
        assert "revision 3" in problem.message
        assert "revision 7" in problem.message
        assert len(caplog.records) == 1
        assert memory.recall() is None

        reload.failure = None

        await eventually(lambda: watcher.problems() == () and memory.recall() is not None)
        assert set(reload.whens) == {"unless_stale"}
        await watcher.stop()

    async def test_a_memory_that_cannot_be_kept_is_done_without(
        self, directory: Path, tmp_path: Path, reload: Reload
    ) -> None:
        """A state directory that cannot be written costs the memory, not the watching."""
        (tmp_path / "state").touch()
        watcher = impatient(directory, FilesMemory(tmp_path / "state" / "profiles.seen"), reload)
        await watcher.start()
        await eventually(lambda: reload.seen == ["one"])

        reload.path.write_text("two")

        await eventually(lambda: reload.seen[-1] == "two")
        await watcher.stop()


@pytest.mark.parametrize("age", [0, 3600])
async def test_an_edit_that_nothing_tells_of_is_found(
    tmp_path: Path, memory: FilesMemory, reload: Reload, age: float
) -> None:
    """Same length, no event, and for a new file even the same time: the poll sees the other content."""
    file, then = reload.path, time.time() - age
    os.utime(file, (then, then))
    deaf = impatient(file.parent, memory, reload, events=DirectoryEvents(tmp_path))
    await deaf.start()
    await eventually(lambda: reload.seen == ["one"])

    file.write_text("two")
    os.utime(file, (then, then))

    await eventually(lambda: reload.seen[-1] == "two")
    await deaf.stop()


def test_hash_covers_names_and_contents(directory: Path) -> None:
    """Renaming, editing, adding and losing a file all change the hash; the order of reading does not matter."""
    hashes = {content_hash(directory)}
    (directory / "premium.yaml").rename(directory / "balanced.yaml")
    hashes.add(content_hash(directory))
    (directory / "balanced.yaml").write_text("two")
    hashes.add(content_hash(directory))
    (directory / "dangling.yaml").symlink_to("nowhere")
    hashes.add(content_hash(directory))

    assert len(hashes) == 4


async def test_a_refusal_is_tried_again_when_its_circumstances_change(
    directory: Path, memory: FilesMemory, reload: Reload
) -> None:
    """Files that were refused for want of a group are in force once there is one, and their problem is gone."""
    groups = {"small"}
    watcher = ProfileWatcher(
        directory,
        memory=memory,
        on_change=reload,
        circumstances=lambda: frozenset(groups),
        quiet_seconds=0.01,
        poll_seconds=0.02,
    )
    reload.failure = ProfilesInvalid([BROKEN])
    await watcher.start()
    await eventually(lambda: watcher.problems() == (BROKEN,))

    reload.failure = None
    groups.add("late")

    await eventually(lambda: reload.seen == ["one"])
    assert watcher.problems() == ()
    await watcher.stop()


def test_hash_covers_files_of_the_other_suffix(directory: Path) -> None:
    """A `.yml` file is a reason to refuse: its coming and going must be seen."""
    before = content_hash(directory)

    (directory / "extra.yml").write_text("one")

    assert content_hash(directory) != before


class SlowWriter(DirectoryEvents):
    """Events of a directory, counting how often the watcher found a file open for writing."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.found_open = 0

    def being_written(self) -> frozenset[str]:
        names = super().being_written()
        self.found_open += bool(names)
        return names


@pytest.mark.skipif(sys.platform != "linux", reason="only inotify tells of closing")
class TestHalfWritten:
    """A file that is written in place, with a pause, is a valid profile before its last lines are there."""

    @staticmethod
    def watching(directory: Path, memory: FilesMemory, reload: Reload, *, patience: float) -> ProfileWatcher:
        """Return a watcher that settles at once but for files that are open."""
        return ProfileWatcher(
            directory,
            memory=memory,
            on_change=reload,
            quiet_seconds=0.01,
            longest_seconds=0.02,
            writing_seconds=patience,
            poll_seconds=0.02,
            events=SlowWriter(directory),
        )

    async def test_it_is_waited_for(self, directory: Path, memory: FilesMemory, reload: Reload) -> None:
        """Nothing is taken up until the file is closed, however long it has been quiet; editors' own files are not
        waited for.
        """
        watcher = self.watching(directory, memory, reload, patience=60)
        events = watcher._events
        assert isinstance(events, SlowWriter)
        await watcher.start()
        await eventually(lambda: reload.seen == ["one"])
        with (directory / ".premium.yaml.swp").open("w") as swap:
            swap.write("an editor's")
            swap.flush()
            await eventually(lambda: events.being_written())
            (directory / "premium.yaml").write_text("two")
            await eventually(lambda: reload.seen[-1] == "two")

            with reload.path.open("w") as file:
                file.write("thr")
                file.flush()
                await eventually(lambda: "premium.yaml" in events.being_written())
                asked = events.found_open
                await eventually(lambda: events.found_open > asked + 20)
                assert reload.seen == ["one", "two"]
                file.write("ee")

            await eventually(lambda: reload.seen[-1] == "three")
        assert reload.seen == ["one", "two", "three"]
        await watcher.stop()

    async def test_a_file_that_stays_open_is_taken_up_in_the_end(
        self, directory: Path, memory: FilesMemory, reload: Reload
    ) -> None:
        """Who never closes their file, or whose closing was not told, holds nobody up for good."""
        watcher = self.watching(directory, memory, reload, patience=0.1)
        await watcher.start()
        await eventually(lambda: reload.seen == ["one"])

        with reload.path.open("w") as file:
            file.write("two")
            file.flush()
            await eventually(lambda: reload.seen[-1] == "two")
        await watcher.stop()
