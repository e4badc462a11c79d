"""FilesMemory: what was last in force is known to the workers of a host and its next start."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.profiles.memory import FilesMemory, content_hash, hash_of
from tests.unit.profiles.shelf import HOST, Shelf, good_document


def test_what_one_keeps_the_other_recalls(tmp_path: Path) -> None:
    """Two workers, one file; a later word replaces an earlier one."""
    one, other = (FilesMemory(tmp_path / "state" / "profiles.seen") for _ in range(2))
    assert other.recall() is None
    one.keep("a" * 64)
    assert other.recall() == "a" * 64
    other.keep("b" * 64)

    assert one.recall() == "b" * 64


def test_an_old_word_is_not_recalled_where_a_new_one_could_not_be_written(tmp_path: Path) -> None:
    """Else going back to what the files said before would be no edit; once it can be written, the file counts again."""
    place = tmp_path / "state"
    memory = FilesMemory(place / "profiles.seen")
    memory.keep("old")
    place.rename(tmp_path / "away")
    place.touch()
    memory.keep("new")
    assert memory.recall() == "new"

    place.unlink()
    (tmp_path / "away").rename(place)
    memory.keep("newer")

    assert FilesMemory(place / "profiles.seen").recall() == "newer"
    assert memory.recall() == "newer"


@given(st.dictionaries(st.sampled_from(["a.yaml", "b.yaml", "c.yml", "Ä.yaml"]), st.binary(max_size=40)))
def test_a_directory_hashes_as_its_files_do(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    """What will be written can be hashed before it is; hidden files are editors' own."""
    directory = tmp_path_factory.mktemp("files")
    for name, content in files.items():
        (directory / name).write_bytes(content)
    (directory / ".a.yaml.swp.yaml").write_text("half")

    assert content_hash(directory) == hash_of(files.items()) == hash_of(reversed(files.items()))


@pytest.mark.parametrize("change", ["edit", "add", "remove", "nothing"])
def test_a_staged_change_knows_what_it_leaves(shelf: Shelf, tmp_path: Path, change: str) -> None:
    """Once it is committed, and not before, the files as they are then are remembered."""
    memory = FilesMemory(tmp_path / "seen")
    shelf.put("extra", shelf.path("balanced").read_bytes())
    shelf.files._memory = memory
    found = shelf.files.load(HOST)
    fewer = type(found)({"balanced": found.profiles["balanced"]})
    staged = {
        "edit": lambda: shelf.files.stage_profile("balanced", good_document(description="Other."), HOST),
        "add": lambda: shelf.files.stage_profile("added", good_document(), HOST),
        "remove": lambda: shelf.files.stage_set(fewer, HOST),
        "nothing": lambda: shelf.files.stage_found(HOST),
    }[change]()

    staged.publish()
    assert memory.recall() is None
    staged.finish()

    assert memory.recall() == content_hash(shelf.directory)


def test_what_is_put_back_is_not_remembered(shelf: Shelf, tmp_path: Path) -> None:
    """Nor is what nobody knows to be committed."""
    memory = FilesMemory(tmp_path / "seen")
    shelf.files._memory = memory

    for end in ("revert", "leave"):
        staged = shelf.files.stage_profile("balanced", good_document(description=end), HOST)
        staged.publish()
        getattr(staged, end)()

    assert memory.recall() is None
