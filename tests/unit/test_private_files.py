"""Files of ours are their owner's alone, whatever the umask and the directory around them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neuronode_router import private_files
from neuronode_router.access import generate_key
from neuronode_router.access.file import add_key
from neuronode_router.classifier.history import History
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake


def _store(directory: Path) -> None:
    store = ControlStore(f"sqlite:///{directory / 'control.db'}")
    store.revision()
    assert stat.S_IMODE((directory / "control.db-wal").stat().st_mode) == 0o600
    store.close()


MAKERS: dict[str, Callable[[Path], object]] = {
    "store": _store,
    "history": lambda directory: History(directory).add([]),
    "wake": lambda directory: FileWake(directory / "wake")._write(7),
    "text": lambda directory: private_files.write_text(directory / "text", "x"),
}


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask of a careless host."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", MAKERS)
def test_only_the_owner_may_read_what_we_make(tmp_path: Path, name: str) -> None:
    """In a directory that everybody may read."""
    tmp_path.chmod(0o777)

    MAKERS[name](tmp_path)

    made = list(tmp_path.iterdir())
    assert made
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


def test_a_directory_of_ours_is_closed_and_one_that_is_there_stays(tmp_path: Path) -> None:
    """What an operator made keeps the mode that he gave it."""
    tmp_path.chmod(0o750)

    private_files.make_file(tmp_path / "state" / "wake" / "revision")
    add_key(tmp_path / "keys" / "here" / "access.yaml", generate_key("anna")[1])

    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}
    assert len(made) == 4
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750
