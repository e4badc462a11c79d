"""Arguments that are no text, and standard streams that are full or closed: one line, whatever the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Remote, Terminal

PROGRAM = [sys.executable, "-c", "from neuronode_router.cli.main import main; main()"]
LATIN_1 = os.fsdecode(b"caf\xe9")
CHANGE = ("profile", "switch", "balanced", "-y")


def run(
    command: str, remote: Remote | None = None, *, piped: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run `neuronode` by a line of the shell, which says where its streams lead."""
    words = " ".join(f"'{word}'" for word in PROGRAM)
    environ = dict(os.environ)
    if remote:
        environ |= {"LITELLM_BASE_URL": remote.url, "LITELLM_API_KEY": remote.world.keys["admin"]}
    return subprocess.run(
        ["/bin/sh", "-c", f"{words} {command}"],
        input=piped, env=environ, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        (*CHANGE, "--reason", LATIN_1),
        ("classify", LATIN_1),
        ("team", "bind", LATIN_1, "balanced"),
        ("rollout", "history", LATIN_1),
        ("usage", "residency", "--within", LATIN_1),
        ("status", "--url", f"http://{LATIN_1}:4000"),
        (LATIN_1,),
    ],
)
def test_an_argument_that_is_no_text_is_wrong_usage(
    command: tuple[str, ...], remote: Remote, neuronode: Terminal
) -> None:
    """It is named; nothing is asked or changed."""
    outcome = neuronode(*command)

    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "caf" in outcome.err
    assert remote.world.worker.revision == 1


def test_a_prompt_that_is_no_text_is_wrong_usage() -> None:
    """Nor is any of it shown."""
    outcome = run("classify -", piped=b"caf\xe9")

    assert (outcome.returncode, outcome.stdout, outcome.stderr.count(b"\n")) == (2, b"", 1)
    assert b"caf" not in outcome.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("command", [" ".join(CHANGE), "status --json", "--help", "--version"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(
    command: str, unbuffered: str, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for is done; who reads the line knows that it may be."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)

    outcome = run(f"{command} >/dev/full", remote)

    assert (outcome.returncode, outcome.stderr.count(b"\n")) == (1, 1), outcome.stderr
    assert b"may be done" in outcome.stderr
    assert run(f"{command} >/dev/full 2>/dev/full", remote).returncode == 1
    assert remote.world.worker.revision == (2 if "switch" in command else 1)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_swallows_what_it_is_given(closed: str, remote: Remote) -> None:
    """Nobody wants to read it: the exit code tells."""
    outcome = run(f"{' '.join(CHANGE)} {closed}", remote)

    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert remote.world.worker.revision == 2
