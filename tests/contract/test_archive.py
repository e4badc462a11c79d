"""The audit log's oldest rows go into a file: both go on to prove what they proved together, over both databases."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path

import pytest

from neuronode_router.control.archive import Archived, archive
from neuronode_router.control.audit import AuditQuery, read_copy
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.profiles import ProfileSet
from neuronode_router.errors import AuditBroken, SettingsError, UnknownRevision
from tests.contract.conftest import MakeStore
from tests.contract.test_store import fill, propose, tamper
from tests.support.control import make_profile


@pytest.fixture
def store(make_store: MakeStore) -> ControlStore:
    """Ten revisions, committed at 1, 2, ... 10."""
    ticks = count(1)
    made = make_store(clock=lambda: float(next(ticks)))
    fill(made, 10)
    return made


def copy_of(*files: Path) -> dict[int, str]:
    """Read archives as a copy of the log."""
    return read_copy(line for file in files for line in file.read_bytes().split(b"\n"))


def test_what_is_archived_and_what_is_left_verify_together(store: ControlStore, tmp_path: Path) -> None:
    """One archive after the other; the log goes on, and every file is only its owner's."""
    first, second = tmp_path / "1.ndjson", tmp_path / "2.ndjson"

    assert archive(store.database, first, before=5.0) == Archived(1, 4, 0)
    store.commit(**propose(10))
    assert archive(store.database, second, before=8.0) == Archived(5, 7, 0)

    assert [entry.revision for entry in store.audit.page(AuditQuery())] == [11, 10, 9, 8]
    assert store.audit.verify() == store.audit.verify(against=copy_of(second)) == 11
    assert sorted(copy_of(first, second)) == list(range(1, 8))
    assert store.audit.verify(against=copy_of(first, second)) == 11
    with pytest.raises(
        AuditBroken, match=r"ends at revision 4, the log goes on from 7: nothing was compared"
    ):
        store.audit.verify(against=copy_of(first))
    assert {file.stat().st_mode & 0o777 for file in (first, second)} == {0o600}
    with pytest.raises(UnknownRevision):
        store.read_at(7)


def test_sets_that_only_old_rows_name_are_gone(store: ControlStore, tmp_path: Path) -> None:
    """What is in force, and what a row that stays leads to or away from, is kept."""
    lone = [ProfileSet({"premium": make_profile("premium", chat=f"chat_{n}")}) for n in range(3)]
    for number, profiles in enumerate(lone):
        store.commit(**propose(10 + number, profiles=profiles))
    store.commit(**propose(13, profiles=lone[2]))

    assert archive(store.database, tmp_path / "old.ndjson", before=13.5) == Archived(1, 13, 3)
    assert store.audit.verify() == 14
    current = store.read()
    assert current is not None
    assert current.profiles.digest == lone[2].digest


def test_the_newest_row_stays(store: ControlStore, tmp_path: Path) -> None:
    """However old it is; and where nothing is old enough no file is made."""
    assert archive(store.database, tmp_path / "all.ndjson", before=99.0).last == 9
    with pytest.raises(SettingsError):
        archive(store.database, tmp_path / "none.ndjson", before=99.0)

    assert not (tmp_path / "none.ndjson").exists()
    assert store.audit.verify() == 10


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM neuronode_audit WHERE revision = 5",
        "DELETE FROM neuronode_audit_archive",
        "UPDATE neuronode_audit_archive SET revision = 3",
        "UPDATE neuronode_audit_archive SET hash = 'x'",
    ],
)
def test_what_is_missing_at_the_joint_is_found(
    store: ControlStore, state_url: str, tmp_path: Path, statement: str
) -> None:
    """A log that does not begin where its archive ends does not verify."""
    archive(store.database, tmp_path / "old.ndjson", before=5.0)

    tamper(state_url, statement)

    with pytest.raises(AuditBroken):
        store.audit.verify()


def test_another_archive_is_no_copy(store: ControlStore, make_store: MakeStore, tmp_path: Path) -> None:
    """The newest archived row must be the one that the log follows."""
    other = ControlStore(f"sqlite:///{tmp_path / 'other.db'}")
    fill(other, 10, reason="never said")
    archive(other.database, tmp_path / "other.ndjson", before=float("inf"))
    other.close()
    archive(store.database, tmp_path / "own.ndjson", before=10.0)

    with pytest.raises(AuditBroken, match="Row 9, which the log follows"):
        store.audit.verify(against=copy_of(tmp_path / "other.ndjson"))


def test_a_file_that_exists_is_not_touched_and_nothing_is_deleted(
    store: ControlStore, tmp_path: Path
) -> None:
    """An archive is never overwritten."""
    (tmp_path / "old.ndjson").write_text("mine")

    with pytest.raises(FileExistsError):
        archive(store.database, tmp_path / "old.ndjson", before=5.0)

    assert (tmp_path / "old.ndjson").read_text() == "mine"
    assert len(store.audit.page(AuditQuery())) == 10


def test_a_broken_log_is_not_archived(store: ControlStore, state_url: str, tmp_path: Path) -> None:
    """What is broken stays where it can be looked into."""
    tamper(state_url, "UPDATE neuronode_audit SET reason = 'forged' WHERE revision = 3")

    with pytest.raises(AuditBroken):
        archive(store.database, tmp_path / "old.ndjson", before=5.0)

    assert not (tmp_path / "old.ndjson").exists()


def test_commits_go_on_meanwhile(store: ControlStore, tmp_path: Path) -> None:
    """Whoever switches while somebody archives loses nothing."""

    def commit() -> None:
        for revision in range(10, 30):
            store.commit(**propose(revision))

    committing = threading.Thread(target=commit)
    committing.start()
    archive(store.database, tmp_path / "old.ndjson", before=9.5)
    committing.join()

    assert store.audit.verify(against=copy_of(tmp_path / "old.ndjson")) == 30
