"""What costs nobody a manual: `neuronode` alone, whose key was refused, names that a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from neuronode_router.cli.http import KEY_VARIABLE
from neuronode_router.cli.main import cli
from tests.support.place import PROFILES
from tests.unit.cli.conftest import Remote, Terminal


def completed(*words: str) -> set[str]:
    """Return what a shell offers after these words."""
    *before, begun = words
    found = ShellComplete(cli, {}, "neuronode", "_NEURONODE_COMPLETE").get_completions(before, begun)
    return {item.value for item in found}


def test_alone_it_shows_the_status(remote: Remote, neuronode: Terminal) -> None:
    """The same as the command, exit code and all."""
    alone, asked = neuronode(), neuronode("status")

    assert (alone.code, alone.err) == (asked.code, asked.err)
    assert "premium" in alone.out
    assert alone.out.splitlines()[0] == asked.out.splitlines()[0]


def test_a_refused_key_says_where_it_came_from(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable, or the file; never the key."""
    kept = tmp_path / "state"
    kept.mkdir()
    (kept / "master_key").write_text("sk-canary-in-a-file")
    monkeypatch.setenv(KEY_VARIABLE, "sk-canary-in-the-environment")

    by_variable, by_file = neuronode("status"), neuronode("status", "--state-dir", kept)

    assert KEY_VARIABLE in by_variable.err
    assert str(kept / "master_key") in by_file.err
    assert (by_variable.code, by_file.code) == (1, 1)
    assert "canary" not in by_variable.err + by_file.err


def test_the_key_of_a_named_state_directory_is_sent(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy that was started with --state-dir is asked with it, whatever the environment has left over."""
    (tmp_path / "master_key").write_text(remote.world.keys["admin"])
    monkeypatch.setenv(KEY_VARIABLE, "sk-of-another-proxy")

    assert neuronode("status", "--state-dir", tmp_path).code == 0


def test_names_of_the_proxy_are_completed(remote: Remote) -> None:
    """Profiles and tasks, as arguments and as options."""
    assert completed("profile", "switch", "b") == {"balanced"}
    assert completed("profile", "diff", "premium", "ultra") == {"ultra_fast"}
    assert completed("classify", "--task", "classi") == {"classification"}
    assert completed("shadow", "start", "balanced", "--judge", "chat_u") == {"chat_ultra_fast"}
    assert completed("key", "create", "--task", "chat") == {"chat", *(f"chat_{name}" for name in PROFILES)}


def test_nothing_is_completed_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No error, no question for a key."""
    monkeypatch.setenv("LITELLM_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)

    assert completed("profile", "switch", "b") == set()


def test_a_glance_loads_nothing_that_it_does_not_need() -> None:
    """`status` answers the sooner: settings, SQL and the web framework are for others."""
    heavy = ("pydantic", "sqlalchemy", "fastapi", "litellm", "yaml")
    code = (
        "import sys; import neuronode_router.cli.commands.status, neuronode_router.cli.http;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )

    assert done.stdout.strip() == "[]"
