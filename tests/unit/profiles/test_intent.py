"""A publish of several files that is killed: at any step, and whichever way it must be ended, no mixture is read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuronode_router.domain.profiles import ProfileEdit, ProfileSet
from neuronode_router.errors import ProfilesReadOnly, StoreUnavailable
from neuronode_router.profiles.edits import StagedFiles
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.profiles.intent import PREFIX, SUFFIX, intents
from tests.unit.profiles.shelf import GOOD, HOST, Shelf

STEPS = ("fsync", "replace", "unlink")
"""The calls of `os` after which a publish has got one step further."""

Strike = Callable[[], None]


class Killed(BaseException):
    """Stands for SIGKILL: no clean-up runs after it."""


@pytest.fixture
def staged(shelf: Shelf) -> StagedFiles:
    """A rollback from {balanced, later, premium} to other words in balanced and premium, without later."""
    for name in ("later", "premium"):
        shelf.put(name, GOOD)
    return shelf.files.stage_set(goal(shelf), HOST)


def goal(shelf: Shelf) -> ProfileSet:
    found = shelf.files.load(HOST).profiles
    cheap = {
        name: profile.from_document({**profile.to_document(), "cost_level": "cheap"})
        for name, profile in found.items()
    }
    return ProfileSet({name: cheap[name] for name in ("balanced", "premium")})


def reader(shelf: Shelf, committed: str | None) -> ProfileFiles:
    """Return how the next process reads the files, `committed` being in force."""

    @contextmanager
    def standstill() -> Iterator[str | None]:
        yield committed

    return ProfileFiles(shelf.directory, standstill=standstill)


@contextmanager
def at_step(number: int, strike: Strike) -> Iterator[None]:
    """Let the file system do `number` steps, and `strike` instead of the next one."""
    left = number

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                strike()
            return call(*arguments, **options)

        return run

    with pytest.MonkeyPatch.context() as patch:
        for step in STEPS:
            patch.setattr(os, step, counted(getattr(os, step)))
        yield


def killed() -> None:
    raise Killed


def profile_files(shelf: Shelf) -> dict[str, bytes]:
    return {name: raw for name, raw in shelf.content().items() if not name.startswith(".")}


@pytest.mark.parametrize("forward", [False, True], ids=["not committed", "committed elsewhere"])
def test_killed_at_any_step_the_next_reader_sees_one_set(
    tmp_path: Path, staged: StagedFiles, shelf: Shelf, forward: bool
) -> None:
    """Ended back where the old set is in force, forward where the new one is, the files are whole again."""
    old, whole = shelf.files.load(HOST).digest, profile_files(shelf)
    mixtures = 0
    for step in range(100):
        place = Shelf(tmp_path / str(step))
        for name, raw in whole.items():
            place.put(name.removesuffix(".yaml"), raw)
        change = place.files.stage_set(staged.profiles, HOST)
        try:
            with at_step(step, killed):
                change.publish()
        except Killed:
            pass
        else:
            break
        declared = bool(intents(place.directory))
        mixtures += place.files.load(HOST).digest not in (old, staged.profiles.digest)

        found = reader(place, staged.profiles.digest if forward else old).load(HOST)

        assert found.digest == (staged.profiles.digest if forward and declared else old)
        assert forward or profile_files(place) == whole
        assert place.files.load(HOST) == found
        assert intents(place.directory) == []
    assert step >= 10
    assert mixtures >= 2


@pytest.mark.parametrize("ended_by", ["itself", "the next reader"])
def test_what_is_put_back_may_be_read_by_whom_it_was(
    staged: StagedFiles, shelf: Shelf, ended_by: str
) -> None:
    """Files that an operator made keep their mode, also those that had been removed; what we make is ours alone."""
    old = shelf.files.load(HOST).digest
    modes = {"balanced.yaml": 0o640, "later.yaml": 0o644, "premium.yaml": 0o600}
    for name, mode in modes.items():
        (shelf.directory / name).chmod(mode)

    staged.publish()
    assert not (shelf.directory / "later.yaml").exists()
    if ended_by == "itself":
        staged.revert()
    else:
        reader(shelf, old).load(HOST)

    assert {name: stat.S_IMODE((shelf.directory / name).stat().st_mode) for name in modes} == modes
    assert profile_files(shelf).keys() == modes.keys()


def test_killed_while_ending_the_one_after_ends_it(staged: StagedFiles, shelf: Shelf) -> None:
    """The intent outlives its reader: whoever comes next begins again."""
    old = shelf.files.load(HOST)
    staged.publish()
    for step in range(100):
        try:
            with at_step(step, killed):
                assert reader(shelf, old.digest).load(HOST) == old
        except Killed:
            continue
        break

    assert step >= 5
    assert profile_files(shelf) == {f"{name}.yaml": GOOD for name in ("balanced", "later", "premium")}


def test_a_live_publish_is_waited_for(staged: StagedFiles, shelf: Shelf) -> None:
    """A reader that meets an intent waits for the standstill, and reads what the publisher left."""

    @contextmanager
    def standstill() -> Iterator[str | None]:
        staged.finish()  # the publisher commits and lets go of the lock
        yield staged.profiles.digest

    staged.publish()
    assert len(intents(shelf.directory)) == 1

    assert ProfileFiles(shelf.directory, standstill=standstill).load(HOST) == staged.profiles
    assert intents(shelf.directory) == []


def test_without_a_standstill_nothing_is_ended(staged: StagedFiles, shelf: Shelf) -> None:
    """Who cannot keep publishers out only looks on: `neuronode serve` checks the files before any store is open."""
    staged.publish()

    assert shelf.files.load(HOST) == staged.profiles
    assert len(intents(shelf.directory)) == 1


def test_an_edit_of_one_file_declares_nothing(shelf: Shelf) -> None:
    """One file is replaced at once: whole before, whole after."""
    staged = shelf.files.stage_edit("balanced", ProfileEdit({"chat": "large"}), HOST)

    staged.publish()

    assert intents(shelf.directory) == []


def test_the_intent_is_private_and_goes_with_finish_and_revert(staged: StagedFiles, shelf: Shelf) -> None:
    """It holds what only the owner of a file may read; nothing of it stays after either end."""
    staged.publish()
    (intent,) = intents(shelf.directory)
    assert intent.stat().st_mode & 0o777 == 0o600

    staged.revert()
    assert sorted(shelf.content()) == ["balanced.yaml", "later.yaml", "premium.yaml"]
    staged.publish()
    staged.finish()
    assert sorted(shelf.content()) == ["balanced.yaml", "premium.yaml"]


def test_what_others_wrote_since_stays(staged: StagedFiles, shelf: Shelf) -> None:
    """Ending a publish puts back its own bytes only."""
    old = shelf.files.load(HOST)
    staged.publish()
    theirs = shelf.put("premium", GOOD + b"# theirs\n")

    reader(shelf, old.digest).load(HOST)

    assert theirs.read_bytes() == GOOD + b"# theirs\n"
    assert shelf.path("balanced").read_bytes() == GOOD


def full() -> None:
    raise OSError(28, "No space left on device")


def test_what_cannot_be_ended_is_not_read(staged: StagedFiles, shelf: Shelf) -> None:
    """No mixture is read while the disk is full; once there is room the publish is ended."""
    old = shelf.files.load(HOST)
    staged.publish()

    with at_step(0, full), pytest.raises(ProfilesReadOnly, match="No space left"):
        reader(shelf, old.digest).load(HOST)

    assert reader(shelf, old.digest).load(HOST) == old


def test_a_publish_that_fails_for_lack_of_room_leaves_nothing(staged: StagedFiles, shelf: Shelf) -> None:
    """A disk that is full for a moment, at whichever step before the last rename, changes no file and leaves none."""
    whole = shelf.content()
    for step in range(100):
        struck = []

        def once(struck: list[bool] = struck) -> None:
            if not struck:
                struck.append(True)
                full()

        try:
            with at_step(step, once):
                staged.publish()
        except ProfilesReadOnly:
            assert shelf.content() == whole
        else:
            break
    assert step >= 10


def document(path: str) -> bytes:
    return json.dumps({"digest": "x", "files": [{"path": path, "before": "", "after": None}]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"digest": "x", "fil',
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"files": []}',
        document("balanced.yaml").replace(b'""', b'"***"'),
        document("../outside.yaml"),
        document("/etc/outside.yaml"),
        document("link/outside.yaml"),
    ],
)
def test_intents_that_are_not_ours_do_nothing(shelf: Shelf, content: bytes) -> None:
    """Half an intent precedes every change; a forged one must not reach files outside the directory."""
    outside = shelf.directory.parent / "outside.yaml"
    (shelf.directory / "link").symlink_to(shelf.directory.parent)
    (shelf.directory / f"{PREFIX}x{SUFFIX}").write_bytes(content)

    reader(shelf, None).load(HOST)

    assert not outside.exists()
    assert shelf.content() == {"balanced.yaml": GOOD}


def test_a_standstill_that_fails_stops_the_reader(staged: StagedFiles, shelf: Shelf) -> None:
    """Without the store nobody knows which way to go, so nothing is read."""

    @contextmanager
    def gone() -> Iterator[str | None]:
        raise StoreUnavailable("gone")
        yield

    staged.publish()

    with pytest.raises(StoreUnavailable):
        ProfileFiles(shelf.directory, standstill=gone).load(HOST)
