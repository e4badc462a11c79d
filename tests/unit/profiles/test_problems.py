"""Each bad file of tests/testdata/profiles is refused with exactly these problems, and its good twin is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.errors import ProfilesInvalid
from neuronode_router.profiles.problems import Code
from tests.unit.profiles.shelf import GOOD, HOST, TESTDATA, Shelf


def _expected() -> dict[str, list[tuple[str, str]]]:
    """Return the table: case -> (code, problem as text with file, line, path, message and fix)."""
    table: dict[str, list[tuple[str, str]]] = {}
    for line in (TESTDATA / "expected.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            case, code, problem = line.split(" | ", 2)
            table.setdefault(case, []).append((code, problem))
    return table


EXPECTED = _expected()
CASES = sorted(path.name.removesuffix(".bad.yaml") for path in TESTDATA.glob("*.bad.yaml"))


def test_every_bad_file_is_in_the_table() -> None:
    """A pair that nobody expects anything of would prove nothing."""
    assert sorted(EXPECTED) == CASES


@pytest.mark.parametrize("case", CASES)
def test_bad_file(shelf: Shelf, case: str) -> None:
    """All problems are found at once, each with its place, its code, what is wrong and the fix."""
    shelf.put("premium", (TESTDATA / f"{case}.bad.yaml").read_bytes())

    found = shelf.check()

    assert [(problem.code, str(problem)) for problem in found] == EXPECTED[case]
    assert all((problem.line > 0) == (problem.column > 0) for problem in found)


@pytest.mark.parametrize("case", CASES)
def test_good_twin(shelf: Shelf, case: str) -> None:
    """The same file, fixed as the problem says, loads."""
    shelf.put("premium", (TESTDATA / f"{case}.good.yaml").read_bytes())

    assert sorted(shelf.files.load(HOST).profiles) == ["balanced", "premium"]


def test_problems_of_all_files_come_at_once(shelf: Shelf) -> None:
    """Two broken files are reported by one call, sorted by file and line."""
    shelf.put("premium", (TESTDATA / "several_at_once.bad.yaml").read_bytes())
    shelf.put("ultra", (TESTDATA / "unknown_key.bad.yaml").read_bytes())

    with pytest.raises(ProfilesInvalid) as refused:
        shelf.files.load(HOST)

    problems = refused.value.problems
    assert {problem.file for problem in problems} == {"premium.yaml", "ultra.yaml"}
    assert list(problems) == sorted(problems, key=lambda p: (p.file, p.line, p.column))
    assert problems == shelf.check()


@pytest.mark.parametrize("name", ["chat", "task_chat"])
def test_a_task_that_the_host_has_as_a_group_need_not_be_mapped(shelf: Shelf, name: str) -> None:
    """Its group answers. Once that is committed, a group that vanishes is no reason to refuse the next edit."""
    shelf.put("balanced", GOOD.replace(b"  chat:", b"  # chat:"))
    has_it = HostFacts(HOST.groups | {name}, HOST.aliases)

    assert "chat" not in shelf.files.load(has_it).profiles["balanced"].tasks
    assert shelf.codes() == [Code.MISSING_TASK]
    assert shelf.files.check(replace(HOST, tasked={"balanced": frozenset()})) == ()
    assert (
        len(shelf.files.check(replace(HOST, tasked={"other": frozenset(), "balanced": frozenset({"chat"})})))
        == 1
    )


def test_a_group_that_takes_a_committed_tasks_name_stops_no_edit(shelf: Shelf) -> None:
    """Only the change that brings the collision is refused, with the way out."""
    hidden = replace(HOST, groups=HOST.groups | {"chat"})

    assert [problem.code for problem in shelf.files.check(hidden)] == [Code.NAME_COLLISION]
    assert shelf.files.check(replace(hidden, tasked={"balanced": frozenset({"chat"})})) == ()


def test_a_slip_in_a_tasks_name_is_told_where_it_is(shelf: Shelf) -> None:
    """What one profile alone has is no fault of all the others: it is said once, with the name that was meant."""
    good = (TESTDATA / "unknown_key.good.yaml").read_bytes()
    shelf.put("ultra", good)
    shelf.put("premium", good.replace(b"  chat:", b"  chatt:"))

    slip, missing = sorted(shelf.check(), key=lambda problem: problem.message, reverse=False)

    assert (slip.file, slip.path, missing.path) == ("premium.yaml", "tasks.chatt", "tasks.chat")
    assert slip.message == "No other profile has the task 'chatt', and all must have the same tasks."
    assert "chat" in slip.fix
    assert missing.message == "The task 'chat' is missing."


def test_a_task_that_several_profiles_have_is_missing_in_the_others(shelf: Shelf) -> None:
    """Then it is meant."""
    good = (TESTDATA / "task_of_one_profile.bad.yaml").read_bytes()
    shelf.put("ultra", good)
    shelf.put("premium", good)

    (missing,) = shelf.check()

    assert (missing.file, missing.message) == (
        "balanced.yaml",
        "The task 'translation' is missing. Other profiles have it, and all must have the same tasks.",
    )


def test_codes_of_the_directory(shelf: Shelf) -> None:
    """What only a directory can have wrong carries a code too, so that the vocabulary is complete."""
    in_pairs = {code for rows in EXPECTED.values() for code, _ in rows}

    of_the_directory = {
        Code.UNREADABLE,
        Code.LEADS_OUTSIDE,
        Code.TOO_MANY_FILES,
        Code.TOO_LARGE,
        Code.NO_PROFILE,
        Code.MISSING_BALANCED,
    }  # shown by test_files.py and test_reader.py
    assert in_pairs | of_the_directory == set(Code)
