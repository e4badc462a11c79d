"""A rollback over files that say what nobody committed, refused or not picked up yet: no work is lost."""

from __future__ import annotations

import pytest

from neuronode_router.domain.profiles import ProfileSet
from tests.unit.profiles.shelf import GOOD, HOST, Shelf

CHEAP = GOOD.replace(b"cost_level: medium", b"cost_level: low")
OTHER = GOOD.replace(b"chat: small", b"chat: large")


@pytest.fixture
def in_force(shelf: Shelf) -> ProfileSet:
    """What is committed: balanced, premium and idle, which the files say too."""
    shelf.put("premium", GOOD)
    shelf.put("idle", GOOD)
    return shelf.files.load(HOST)


@pytest.fixture
def earlier(shelf: Shelf, in_force: ProfileSet) -> ProfileSet:
    """What is rolled back to: premium was cheap."""
    shelf.put("premium", CHEAP)
    found = shelf.files.load(HOST)
    shelf.put("premium", GOOD)
    assert found != in_force
    return found


@pytest.mark.parametrize("work", [b"x y\n", GOOD.replace(b"chat: small", b"chat: lagre")])
def test_broken_where_nothing_changes(
    shelf: Shelf, in_force: ProfileSet, earlier: ProfileSet, work: bytes
) -> None:
    """It need not be touched, so it is not, and the receipt will say so."""
    shelf.put("balanced", work)

    staged = shelf.files.stage_set(earlier, HOST, in_force)
    staged.publish()

    assert shelf.content() == {"balanced.yaml": work, "idle.yaml": GOOD, "premium.yaml": CHEAP}
    assert [said for said in staged.warnings if "balanced.yaml is left as it is" in said] == [
        *staged.warnings
    ]


@pytest.mark.parametrize(("name", "work"), [("premium", b"x y\n"), ("premium", OTHER), ("night", OTHER)])
def test_what_must_change_is_kept_beside(
    shelf: Shelf, in_force: ProfileSet, earlier: ProfileSet, work: bytes, name: str
) -> None:
    """The files say the earlier set, and the work lies beside, for those who could read it; undone, it is back."""
    shelf.put(name, work).chmod(0o640)
    before = shelf.content()

    staged = shelf.files.stage_set(earlier, HOST, in_force)
    staged.publish()

    assert shelf.files.load(HOST) == earlier
    (kept,) = shelf.directory.glob(f"{name}.yaml.kept-*")
    assert kept.read_bytes() == work
    assert kept.stat().st_mode & 0o777 == 0o640
    assert any(kept.name in said for said in staged.warnings)
    staged.revert()
    assert shelf.content() == before


def test_the_same_work_is_kept_once(shelf: Shelf, in_force: ProfileSet, earlier: ProfileSet) -> None:
    """What lies beside is never written over, and a copy more is not needed."""
    for _ in range(2):
        shelf.put("premium", b"x y")
        staged = shelf.files.stage_set(earlier, HOST, in_force)
        staged.publish()
        staged.finish()

    assert len(staged.warnings) == len(list(shelf.directory.glob("*.kept-*"))) == 1


def test_what_is_in_force_is_kept_by_the_history(
    shelf: Shelf, in_force: ProfileSet, earlier: ProfileSet
) -> None:
    """Files that say what is committed leave nothing behind."""
    staged = shelf.files.stage_set(earlier, HOST, in_force)
    staged.publish()

    assert staged.warnings == ()
    assert shelf.content() == {"balanced.yaml": GOOD, "idle.yaml": GOOD, "premium.yaml": CHEAP}
