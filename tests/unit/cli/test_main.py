"""The command line: exit codes, one line per error, output for programs."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from neuronode_router.access import AccessFile, Role
from neuronode_router.cli.main import main
from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.change import ChangeOrder, ChangeTarget
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import Profile, ProfileSet
from neuronode_router.domain.rules import PersonalDataRule


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run `neuronode` in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["neuronode", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_an_unusable_setting_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable is named; no traceback."""
    monkeypatch.setenv("NEURONODE_RENDER", "maybe")

    assert run(monkeypatch, "serve") == 2

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "NEURONODE_RENDER" in error


def test_a_missing_configuration_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The file is named, and the flag that names another."""
    assert run(monkeypatch, "serve", "--config", tmp_path / "none.yaml") == 2

    error = capsys.readouterr().err
    assert str(tmp_path / "none.yaml") in error
    assert "--config" in error


def test_an_option_of_a_command_stands_behind_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone the command takes the status's options; before another command they would do nothing, and are refused."""
    assert run(monkeypatch, "--state-dir", "nowhere", "usage") == 2
    assert "neuronode usage --state-dir" in capsys.readouterr().err


def test_without_a_key_it_is_said_where_one_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder by its name, and a command that can be pasted."""
    monkeypatch.delenv("LITELLM_API_KEY", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert run(monkeypatch, "--state-dir", tmp_path / "none") == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "none" / "master_key") in said
    assert "neuronode status --state-dir DIRECTORY" in said


def test_a_key_is_shown_once_and_known_afterwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Standard output is the key alone; the file has only the hash, mode 0600."""
    path = tmp_path / "access.yaml"
    grants = ["--team", "red", "--task", "classification", "--profile", "premium", "--role", "viewer"]

    assert run(monkeypatch, "key", "create", "--name", "ci", "--file", path, *grants) == 0

    plain = capsys.readouterr().out.strip()
    entry = AccessFile(path).find(plain)
    assert (entry.name, entry.role, entry.team) == ("ci", Role.VIEWER, "red")
    assert (entry.tasks, entry.profiles) == (("classification",), ("premium",))
    assert plain not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_says_where_its_data_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Places and the rule for personal data are written as the file reads them; a place that is none is a mistake."""
    path = tmp_path / "access.yaml"
    rules = ["--residency", "local", "--residency", "de", "--personal-data", "refuse"]

    assert run(monkeypatch, "key", "create", "--name", "ci", "--file", path, *rules) == 0
    assert run(monkeypatch, "key", "create", "--name", "b", "--file", path, "--residency", "No place") == 2

    (entry,) = AccessFile(path).entries()
    assert (entry.residency, entry.personal_data) == (("local", "de"), PersonalDataRule.REFUSE)
    assert entry.principal.confines


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--team", "", "begin with a letter"),
        ("--name", "J\u00fcrgen Gro\u00df", "begin with a letter"),
        ("--name", "", "begin with a letter"),
        ("--expires", "2020-01-01", "is over"),
    ],
)
def test_a_key_that_nobody_could_mean_is_not_made(
    option: str,
    value: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """An empty variable of a script would make a key without a team; it is the option that is wrong, not the file."""
    path = tmp_path / "access.yaml"
    name = [] if option == "--name" else ["--name", "ci"]

    assert run(monkeypatch, "key", "create", "--file", path, *name, option, value) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert option in said.err
    assert why in said.err
    assert not path.exists()


def test_a_key_of_a_taken_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The audit log tells callers apart by these names."""
    path = tmp_path / "access.yaml"
    assert run(monkeypatch, "key", "create", "--name", "ci", "--file", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "ci"
    before = path.read_bytes()

    assert run(monkeypatch, "key", "create", "--name", "ci", "--file", path) == 2

    assert capsys.readouterr().out == ""
    assert path.read_bytes() == before


def test_a_key_needs_a_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written to a place nobody chose."""
    monkeypatch.delenv("NEURONODE_ACCESS_FILE", raising=False)

    assert run(monkeypatch, "key", "create", "--name", "ci") == 2
    assert "--file" in capsys.readouterr().err


def test_an_intact_audit_log_verifies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 0, and the number of revisions."""
    commit_two(tmp_path)

    assert run(monkeypatch, "audit", "verify", "--state-dir", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "revisions": 2}


def test_old_rows_are_archived_and_verify_with_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The file is what `verify --against` reads; a second one of the name is refused, and too little is said so."""
    commit_two(tmp_path)
    file, where = tmp_path / "old.ndjson", ("--state-dir", tmp_path)

    assert (
        run(monkeypatch, "audit", "archive", "--older-than", "2099-01-01", "--to", file, *where, "--json")
        == 0
    )
    moved = json.loads(capsys.readouterr().out)
    assert (moved["first"], moved["last"]) == (1, 1)
    assert run(monkeypatch, "audit", "verify", "--against", file, *where) == 0
    assert (
        run(monkeypatch, "audit", "archive", "--older-than", "2099-01-01", "--to", tmp_path / "b", *where)
        == 2
    )
    assert "as old as that" in capsys.readouterr().err


def test_an_edited_row_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 1, and the first revision that is wrong."""
    commit_two(tmp_path)
    with sqlite3.connect(tmp_path / "control.db") as database:
        database.execute("UPDATE neuronode_audit SET reason = 'never happened' WHERE revision = 2")
    database.close()

    assert run(monkeypatch, "audit", "verify", "--state-dir", tmp_path, "--json") == 1
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["ok"], verdict["revision"]) == (False, 2)


def test_a_copy_is_read_line_by_line_whatever_a_reason_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The export writes what else ends a line of text as it is."""
    commit_two(tmp_path, reason="pasted\u2028from\u2029a\x85page")
    store = ControlStore(f"sqlite:///{tmp_path / 'control.db'}")
    lines = [json.dumps(asdict(entry), ensure_ascii=False) for entry in store.audit.page(AuditQuery())]
    store.close()
    (tmp_path / "copy").write_text("\r\n".join(lines), "utf-8")

    assert (
        run(monkeypatch, "audit", "verify", "--state-dir", tmp_path, "--against", tmp_path / "copy") == 0
    ), capsys.readouterr()


def test_looking_into_a_store_does_not_make_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A wrong directory is told, and stays as it is."""
    where = ("--state-dir", tmp_path / "typo")

    assert run(monkeypatch, "audit", "verify", *where) == 1
    assert "nothing was ever committed there" in capsys.readouterr().out
    assert run(monkeypatch, "audit", "archive", "--older-than", "90d", "--to", tmp_path / "a", *where) != 0
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_does_not_verify(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A wrong database must not look intact."""
    store = ControlStore(f"sqlite:///{tmp_path / 'control.db'}")
    assert store.revision() == 0
    store.close()

    assert run(monkeypatch, "audit", "verify", "--state-dir", tmp_path) == 1
    assert "nothing was ever committed" in capsys.readouterr().out


def commit_two(state_dir: Path, *, reason: str = "") -> None:
    """Commit two revisions to the store that lies in `state_dir`."""
    profiles = ProfileSet({name: profile(name) for name in ("balanced", "premium")})
    store = ControlStore(f"sqlite:///{state_dir / 'control.db'}")
    for expected, active in enumerate(("balanced", "premium")):
        order = ChangeOrder("switch" if expected else "bootstrap", Actor("me"), reason)
        store.commit(order, ChangeTarget(active, profiles), (), expected=expected)
    store.close()


def profile(name: str) -> Profile:
    """A profile that sends everything to one group."""
    return Profile(
        name=name,
        description="",
        cost_level="low",
        performance_level="low",
        tasks={"chat": f"group_{name}"},
        tiers=dict.fromkeys(Tier, ("group",)),
    )
