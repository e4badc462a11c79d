"""What only a real terminal shows: a screen that is redrawn, a question, a key that is not echoed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuronode_router.domain.audit import Actor
from tests.support.servers import wait_until
from tests.unit.cli.conftest import Remote


class Screen:
    """A command on a pseudo-terminal of 30 lines, and everything it has written."""

    def __init__(self, directory: Path, environ: Mapping[str, str], *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from neuronode_router.cli.main import main; main()", *arguments],
            stdin=slave, stdout=slave, stderr=slave, cwd=directory,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30", **environ},
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(self._master, False)
        self.written = ""

    def shows(self, text: str) -> bool:
        """Whether the text was ever written."""
        self._read()
        return text in self.written

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def close(self) -> None:
        """Switch the terminal off."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> None:
        try:
            while part := os.read(self._master, 65536):
                self.written += part.decode()
        except OSError:
            return  # nothing more now, or the command has ended


@contextmanager
def screen(remote: Remote, directory: Path, *arguments: str, **environ: str) -> Iterator[Screen]:
    """Run a command against a proxy on a terminal."""
    given = {"LITELLM_BASE_URL": remote.url, "LITELLM_API_KEY": remote.world.keys["admin"], **environ}
    running = Screen(directory, given, *arguments)
    try:
        yield running
    finally:
        running.close()


def test_a_watched_status_is_redrawn(remote: Remote, tmp_path: Path) -> None:
    """The screen follows a switch; Ctrl-C leaves it without a trace of an error."""
    with screen(remote, tmp_path, "status", "--watch") as terminal:
        wait_until(lambda: terminal.shows("in force in 1 of 1 workers"), what="the first screen")

        remote.do(remote.world.manager.switch("balanced", actor=Actor("me")))
        wait_until(lambda: terminal.shows("chat_balanced"), what="the next screen")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(10) == 0

        assert not terminal.shows("Traceback")
        assert not terminal.shows("Aborted")


def test_a_switch_asks_on_the_terminal(remote: Remote, tmp_path: Path) -> None:
    """And takes the answer from there."""
    with screen(remote, tmp_path, "profile", "switch", "balanced") as terminal:
        wait_until(lambda: terminal.shows("Make this change? [y/N]"), what="the question")

        terminal.type("y\n")
        wait_until(lambda: terminal.shows("revision 2 in force"), what="the receipt")
        assert terminal.process.wait(10) == 0


def test_ctrl_c_at_the_question_changes_nothing(remote: Remote, tmp_path: Path) -> None:
    """One word, exit code 1."""
    with screen(remote, tmp_path, "profile", "switch", "balanced") as terminal:
        wait_until(lambda: terminal.shows("Make this change? [y/N]"), what="the question")

        terminal.process.send_signal(signal.SIGINT)

        assert terminal.process.wait(10) == 1
        assert terminal.shows("Aborted")
        assert not terminal.shows("Traceback")
        assert remote.world.worker.revision == 1


def test_a_key_that_is_typed_is_not_echoed(remote: Remote, tmp_path: Path) -> None:
    """It is asked for where the environment has none."""
    key = remote.world.keys["admin"]
    with screen(remote, tmp_path, "profile", "list", LITELLM_API_KEY="") as terminal:
        wait_until(lambda: terminal.shows("Key of the proxy"), what="the prompt")

        terminal.type(f"{key}\n")
        wait_until(lambda: terminal.shows("ultra_fast"), what="the list")

        assert not terminal.shows(key)


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_what_is_wrong_is_coloured_on_a_terminal_only(
    remote: Remote, tmp_path: Path, environ: dict[str, str], *, coloured: bool
) -> None:
    """A warning is yellow; with NO_COLOR the words alone say it."""
    remote.world.reported |= {"warnings": ["look at this"]}

    with screen(remote, tmp_path, "status", **environ) as terminal:
        wait_until(lambda: terminal.shows("Warning: look at this"), what="the status")
        assert terminal.process.wait(10) in (0, 1)

        assert terminal.shows("\x1b[33mWarning: look at this") is coloured
