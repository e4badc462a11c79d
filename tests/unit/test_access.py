"""Access rules as tables, and the access file with its keys."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router import atomic_files
from neuronode_router.access import (
    AccessFile,
    AccessKey,
    Principal,
    Role,
    add_key,
    generate_key,
    key_hash,
    may_override,
    may_read_all,
    parse_access,
    require_reader,
    require_writer,
    visible,
)
from neuronode_router.domain.profiles import Profile
from neuronode_router.errors import NotAllowed, NotAuthenticated, SettingsError
from tests.support.control import make_profile

ADMIN = Principal("root", Role.ADMIN)
VIEWER = Principal("auditor", Role.VIEWER)
STRANGER = Principal("nobody", Role.MEMBER)
TEAM_A = Principal("app-a", Role.MEMBER, team="a")
TEAM_B = Principal("app-b", Role.MEMBER, team="b")
GRANTED = Principal("tester", Role.MEMBER, profiles=("lab",))
GRANTED_ALL = Principal("tester", Role.MEMBER, profiles=("*",))
EVERYBODY = (ADMIN, VIEWER, STRANGER, TEAM_A, TEAM_B, GRANTED, GRANTED_ALL)


def profile(*, teams: tuple[str, ...] = (), hidden: bool = False) -> Profile:
    """Return a profile named "lab"."""
    return replace(make_profile("lab"), allowed_teams=teams, hidden=hidden)


@pytest.mark.parametrize(
    ("lab", "who_may_override", "who_sees_it"),
    [
        (profile(), (ADMIN, GRANTED, GRANTED_ALL), EVERYBODY),
        (profile(hidden=True), (ADMIN, GRANTED, GRANTED_ALL), (ADMIN, VIEWER, GRANTED, GRANTED_ALL)),
        (
            profile(teams=("a",)),
            (ADMIN, TEAM_A, GRANTED, GRANTED_ALL),
            (ADMIN, VIEWER, TEAM_A, GRANTED, GRANTED_ALL),
        ),
        (
            profile(teams=("a",), hidden=True),
            (ADMIN, TEAM_A, GRANTED, GRANTED_ALL),
            (ADMIN, VIEWER, TEAM_A, GRANTED, GRANTED_ALL),
        ),
    ],
    ids=["open", "hidden", "of team a", "of team a, hidden"],
)
def test_who_may_use_and_who_sees_a_profile(
    lab: Profile, who_may_override: tuple[Principal, ...], who_sees_it: tuple[Principal, ...]
) -> None:
    """An override needs a grant or the team; reading needs that, a reader's role, or an open profile."""
    assert tuple(who for who in EVERYBODY if may_override(who, lab)) == who_may_override
    assert tuple(who for who in EVERYBODY if visible(who, lab)) == who_sees_it


def test_roles_read_and_write_as_their_names_say() -> None:
    """Only administrators write; administrators and viewers read everything."""
    for who in EVERYBODY:
        if who is not ADMIN:
            with pytest.raises(NotAllowed):
                require_writer(who)
        if not may_read_all(who):
            with pytest.raises(NotAllowed):
                require_reader(who)

    require_writer(ADMIN)
    assert tuple(who for who in EVERYBODY if may_read_all(who)) == (ADMIN, VIEWER)


def test_a_generated_key_is_long_random_and_kept_as_a_hash(tmp_path: Path) -> None:
    """Two keys differ, hold 256 bits, and the file holds neither of them."""
    path = tmp_path / "access.yaml"

    first, entry = generate_key("first", role=Role.ADMIN)
    second, other = generate_key("second", team="a", tasks=["classification"], profiles=["premium"])
    add_key(path, entry)
    add_key(path, other)

    assert first != second
    assert len(first.removeprefix("sk-neuronode-")) == 43
    assert first not in path.read_text()
    assert second not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_added_is_found(tmp_path: Path) -> None:
    """Every field of an entry survives the file, and the key finds it."""
    path = tmp_path / "access.yaml"
    plain, entry = generate_key(
        "app", role=Role.VIEWER, team="a", tasks=["chat", "auto"], profiles=["*"], expires=2e9
    )

    add_key(path, entry)
    access = AccessFile(path, clock=lambda: 1e9)

    assert access.problems == ()
    assert access.find(plain) == entry
    assert access.by_hash(key_hash(plain)) == entry
    assert entry.principal == Principal("app", Role.VIEWER, "a", ("*",))


def test_comments_survive_an_added_key(tmp_path: Path) -> None:
    """The file belongs to the operator: adding a key keeps what was written there."""
    path = tmp_path / "access.yaml"
    add_key(path, generate_key("one")[1])
    path.write_text(path.read_text() + "  # the night job\n")

    add_key(path, generate_key("two")[1])

    assert "# the night job" in path.read_text()
    assert [key.name for key in parse_access(path.read_bytes(), file="f")[0]] == ["one", "two"]


def test_a_second_key_of_the_same_name_is_refused(tmp_path: Path) -> None:
    """A name is what the audit log shows, so it names one key; the file stays as it was."""
    path = tmp_path / "access.yaml"
    add_key(path, generate_key("one")[1])
    before = path.read_bytes()

    with pytest.raises(SettingsError, match="twice"):
        add_key(path, generate_key("one")[1])

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_stays_its_owners(tmp_path: Path) -> None:
    """A proxy that reads it by its group, or by a link, goes on reading it."""
    path, link = tmp_path / "access.yaml", tmp_path / "link.yaml"
    add_key(path, generate_key("one")[1])
    path.chmod(0o640)
    link.symlink_to(path.name)

    add_key(link, generate_key("two")[1])

    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [key.name for key in parse_access(path.read_bytes(), file="f")[0]] == ["one", "two"]


def test_keys_that_are_added_at_once_are_all_kept(tmp_path: Path) -> None:
    """Each call reads what the one before it wrote."""
    path = tmp_path / "access.yaml"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_key(path, generate_key(f"k{number}")[1]), range(16)))

    assert len(parse_access(path.read_bytes(), file="f")[0]) == 16
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_somebody_else_is_changing_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says so."""
    monkeypatch.setattr(atomic_files, "LOCK_SECONDS", 0.05)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(SettingsError, match="another process"):
            add_key(tmp_path / "access.yaml", generate_key("one")[1])
    finally:
        os.close(handle)


@pytest.mark.parametrize("plain", ["", "sk-wrong", "x" * 10_000, "\ud800", "sk-neuronode-é"])
def test_an_unknown_key_is_not_authenticated(tmp_path: Path, plain: str) -> None:
    """Whatever is sent as a key that nobody knows gives one error, which does not repeat it."""
    add_key(tmp_path / "access.yaml", generate_key("one")[1])
    access = AccessFile(tmp_path / "access.yaml")

    with pytest.raises(NotAuthenticated) as raised:
        access.find(plain)

    assert str(raised.value) == "This key is not known."


def test_a_key_ends_when_it_expires(tmp_path: Path) -> None:
    """At its last second a key works, from the moment named in the file on it does not."""
    now = 1_000_000.0
    plain, entry = generate_key("guest", expires=now + 60)
    add_key(tmp_path / "access.yaml", entry)
    access = AccessFile(tmp_path / "access.yaml", clock=lambda: now)

    assert access.find(plain) == entry
    now += 60

    with pytest.raises(NotAuthenticated, match="expired"):
        access.find(plain)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2030-01-01", 1893456000.0),
        ("2030-01-01T00:00:00Z", 1893456000.0),
        ("2030-01-01T02:00:00+02:00", 1893456000.0),
        ("2030-01-01 00:00:00", 1893456000.0),
    ],
)
def test_expiry_is_read_as_utc_unless_it_says_otherwise(written: str, meant: float) -> None:
    """A date or a time, with or without a zone, names the same moment on every machine."""
    raw = f"keys: [{{name: a, sha256: '{'0' * 64}', expires: {written}}}]".encode()

    keys, problems = parse_access(raw, file="access.yaml")

    assert problems == ()
    assert keys[0].expires == meant


GOOD_HASH = "'" + "0" * 64 + "'"


@pytest.mark.parametrize(
    ("text", "code", "line", "path"),
    [
        ("", "empty", 0, ""),
        ("keys: [", "syntax", 1, ""),
        ("keys: []\nkeys: []", "duplicate_key", 2, "keys"),
        ("keys: []\n---\nkeys: []", "several_documents", 2, ""),
        ("keys: &a []", "anchor", 1, ""),
        ("keys: !!python/object/apply:os.system [ls]", "tag", 1, ""),
        ("[" * 5000, "too_deep", 1, ""),
        ("#" * 300_000, "too_large", 0, ""),
        ("keys: []\nadmin: true", "access_invalid", 2, "admin"),
        (f"keys:\n- name: a\n  sha256: {GOOD_HASH}\n  api_base: x", "access_invalid", 4, "keys[0].api_base"),
        (f"keys:\n- name: a\n  sha256: {GOOD_HASH}\n  role: root", "access_invalid", 4, "keys[0].role"),
        (f"keys:\n- name: 7\n  sha256: {GOOD_HASH}", "access_invalid", 2, "keys[0].name"),
        (f"keys:\n- name: 'a\\nb'\n  sha256: {GOOD_HASH}", "access_invalid", 2, "keys[0].name"),
        ("keys:\n- name: a\n  sha256: sk-plain", "access_invalid", 3, "keys[0].sha256"),
        ("keys:\n- name: a\n  sha256: 'A" + "0" * 63 + "'", "access_invalid", 3, "keys[0].sha256"),
        (f"keys:\n- name: a\n  sha256: {GOOD_HASH}\n  expires: soon", "access_invalid", 4, "keys[0].expires"),
        (
            f"keys:\n- name: a\n  sha256: {GOOD_HASH}\n- name: b\n  sha256: {GOOD_HASH}",
            "access_repeated",
            5,
            "keys[1].sha256",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, code: str, line: int, path: str) -> None:
    """Each kind of mistake has a code, a line and a path, and no key of the file is used."""
    keys, problems = parse_access(text.encode(), file="access.yaml")

    assert keys == ()
    assert (code, line) in {(problem.code, problem.line) for problem in problems}
    assert any(problem.path.startswith(path) for problem in problems)
    assert all(problem.fix and problem.file == "access.yaml" for problem in problems)


def test_all_problems_are_reported_at_once() -> None:
    """One look shows everything that must be fixed."""
    text = f"keys:\n- name: a\n  sha256: x\n  frob: 1\n- 3\n- sha256: {GOOD_HASH}\n"

    problems = parse_access(text.encode(), file="access.yaml")[1]

    assert {problem.path for problem in problems} == {
        "keys[0].sha256",
        "keys[0].frob",
        "keys[1]",
        "keys[2].name",
    }


@given(st.binary(max_size=300) | st.text(alphabet="keys:-[]{}&*!'\"\n #a0", max_size=120).map(str.encode))
def test_no_bytes_make_the_reader_raise(raw: bytes) -> None:
    """Whatever the file holds, the answer is either keys or problems."""
    keys, problems = parse_access(raw, file="access.yaml")

    assert not (keys and problems)


def test_a_broken_file_keeps_the_last_good_keys(tmp_path: Path) -> None:
    """A slip of the pen, or a file that is gone, locks nobody out and is shown; fixing it clears the problem."""
    path = tmp_path / "access.yaml"
    plain, entry = generate_key("one")
    add_key(path, entry)
    good = path.read_bytes()
    access = AccessFile(path)

    for breakage in (lambda: path.write_text("keys: ["), path.unlink):
        breakage()
        access.refresh()

        assert access.problems
        assert access.find(plain) == entry

    path.write_bytes(good)
    access.refresh()
    assert access.problems == ()


def test_a_missing_file_lets_nobody_in(tmp_path: Path) -> None:
    """Without a file there are no keys, and the problem says what to do."""
    access = AccessFile(tmp_path / "absent.yaml")

    with pytest.raises(NotAuthenticated):
        access.find("")
    assert access.problems[0].code == "access_unreadable"


def test_a_removed_key_stops_working_while_the_proxy_runs(tmp_path: Path) -> None:
    """Removing an entry revokes the key without a restart."""
    path = tmp_path / "access.yaml"
    plain, entry = generate_key("one")
    add_key(path, entry)
    access = AccessFile(path)
    assert access.find(plain) == entry

    path.write_text("keys: []\n")
    access.refresh()

    with pytest.raises(NotAuthenticated):
        access.find(plain)
    assert access.by_hash(entry.sha256) is None


def test_a_file_that_others_can_write_is_warned_about(tmp_path: Path) -> None:
    """Who can write the file can make himself an administrator."""
    path = tmp_path / "access.yaml"
    add_key(path, generate_key("one")[1])
    assert AccessFile(path).warnings == ()

    path.chmod(0o666)

    assert "chmod 600" in AccessFile(path).warnings[0]


def test_an_entry_without_a_role_is_a_member() -> None:
    """What is not said gives the fewest rights."""
    keys = parse_access(f"keys: [{{name: a, sha256: {GOOD_HASH}}}]".encode(), file="f")[0]

    assert keys == (AccessKey("a", "0" * 64, Role.MEMBER, None, (), (), None),)
