"""The operator's own tasks beside the shipped ones: taken up, corrected, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuronode_router.tasks import shipped
from neuronode_router.tasks.catalogue import SHIPPED
from neuronode_router.tasks.folder import TaskFolder
from tests.unit.tasks.test_catalogue import NEW_TASK as URGENCY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the one task `urgency`."""
    (tmp_path / "urgency.yaml").write_text(URGENCY)
    return tmp_path


def test_without_a_folder_there_are_the_shipped_tasks() -> None:
    """Nothing has to be set."""
    tasks = TaskFolder(None)
    tasks.refresh()

    assert (tasks.catalogue, tasks.problems) == (shipped(), ())


def test_a_new_file_is_a_new_task(folder: Path) -> None:
    """It stands beside the shipped ones, and one that is added later is taken up."""
    tasks = TaskFolder(folder)
    first = set(tasks.catalogue)

    (folder / "haste.yaml").write_text(URGENCY.replace("name: urgency", "name: haste"))
    tasks.refresh()

    assert first == {*shipped(), "urgency"}
    assert set(tasks.catalogue) == {*first, "haste"}


def test_a_broken_file_leaves_the_last_good_tasks(folder: Path) -> None:
    """The error is shown with its place; a fixed file counts again."""
    tasks = TaskFolder(folder)

    (folder / "urgency.yaml").write_text(URGENCY.replace("tier: fast", "tier: fastest"))
    tasks.refresh()
    broken = tasks.problems
    still = "urgency" in tasks.catalogue
    (folder / "urgency.yaml").write_text(URGENCY.replace("tier: fast", "tier: complex"))
    tasks.refresh()

    assert [(problem.file, problem.path) for problem in broken] == [("urgency.yaml", "tier")]
    assert still
    assert (tasks.catalogue["urgency"].tier, tasks.problems) == ("complex", ())


def test_a_file_with_the_other_suffix_is_told_of(folder: Path) -> None:
    """It would not count, and nobody would know; the hidden files of editors are theirs."""
    tasks = TaskFolder(folder)

    (folder / "haste.yml").write_text(URGENCY)
    (folder / ".#urgency.yaml").symlink_to("somebody@somewhere")
    tasks.refresh()
    told = [(problem.file, problem.code, problem.fix) for problem in tasks.problems]
    (folder / "haste.yml").unlink()
    tasks.refresh()

    assert told == [("haste.yml", "bad_name", "Rename it to haste.yaml.")]
    assert tasks.problems == ()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """The shipped tasks are there meanwhile, and the folder's once it is."""
    place = tmp_path / "tasks"
    tasks = TaskFolder(place)
    missing = tasks.problems

    place.mkdir()
    (place / "urgency.yaml").write_text(URGENCY)
    tasks.refresh()

    assert [problem.code for problem in missing] == ["unreadable"]
    assert "urgency" in tasks.catalogue
    assert tasks.problems == ()


def test_a_shipped_task_can_be_reworded(folder: Path) -> None:
    """Another tier or prompt for `sentiment` needs no code, nor does one that takes more."""
    own = (SHIPPED / "sentiment.yaml").read_text().replace("tier: fast", "tier: medium")
    own = own.replace("max_characters: 20000", "max_characters: 30000")
    (folder / "sentiment.yaml").write_text(own)

    tasks = TaskFolder(folder)

    assert tasks.catalogue["sentiment"].tier == "medium"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sentiment", '"BEARISH", ', ""),
        ("sentiment", "kind: text", "kind: texts"),
        ("sentiment", "max_characters: 20000", "max_characters: 19999"),
        ("analysis", "optional: true", "optional: false"),
        ("analysis", "kind: data", "kind: text"),
    ],
)
def test_a_shipped_task_keeps_its_contract(folder: Path, name: str, old: str, new: str) -> None:
    """What would break its callers is refused, and the shipped one stays."""
    own = (SHIPPED / f"{name}.yaml").read_text().replace(old, new)
    (folder / f"{name}.yaml").write_text(own)

    tasks = TaskFolder(folder)

    assert [problem.code for problem in tasks.problems] == ["shipped_task"]
    assert tasks.catalogue == shipped()
