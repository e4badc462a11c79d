"""Output that survives consoles, pipes and hostile texts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from neuronode_router.cli.main import COMMANDS, cli
from neuronode_router.cli.terminal import clean, facts, table
from neuronode_router.domain.audit import Actor
from tests.unit.cli.conftest import Remote, Terminal

PROGRAM = [sys.executable, "-c", "from neuronode_router.cli.main import main; main()"]
LONG = "bedrock/eu.anthropic.claude-opus-4-1-20250805-with-a-suffix-that-goes-on"


@given(st.text())
def test_nothing_from_elsewhere_can_steer_a_terminal(text: str) -> None:
    """Escape sequences, line breaks and marks that turn the direction of writing are gone."""
    assert clean(text).isprintable()


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize(
    "shown",
    [
        table(("validation_primary", ">before", "after"), [("extraction", LONG, f"{LONG}:v1")]),
        table(
            [f"column_{number}" for number in range(9)], [[f"chosen_group_{number}" for number in range(9)]]
        ),
        facts([("the_name_of_a_fact", LONG), (LONG, "vertex_ai")]),
    ],
)
def test_a_narrow_terminal_cuts_no_name(shown: Table, width: int) -> None:
    """Consent is asked under these: what does not fit into a line goes on in the next one."""
    wide, narrow = (Console(width=columns, file=io.StringIO()) for columns in (10_000, width))
    for console in (wide, narrow):
        console.print(shown)

    characters = [Counter("".join(one.file.getvalue().split())) for one in (wide, narrow)]  # type: ignore[attr-defined]
    assert characters[0] == characters[1]


def test_the_audit_log_of_an_attacker_is_harmless(remote: Remote, neuronode: Terminal) -> None:
    """A reason is free text of whoever may switch, and others read it in their terminals."""
    assert neuronode("profile", "switch", "balanced", "-y", "--reason", "\x1b]0;owned\x07\x1b[2J").code == 0

    outcome = neuronode("audit", "tail")

    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out


def run(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """`neuronode` in a process of its own, as a console starts it."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, **environ},
        cwd=cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_windows_console_is_survived(remote: Remote, tmp_path: Path) -> None:
    """Code page 1252 has no Greek: a question mark stands for it, and the command goes on."""
    shipped, file = remote.world.profiles / "premium.yaml", tmp_path / "premium.yaml"
    file.write_text(
        shipped.read_text().replace("The test profile premium.", '"λόγος für alle …"'), encoding="utf-8"
    )

    outcome = run(
        "profile", "edit", "premium", "--file", str(file), "-y",
        cwd=tmp_path,
        PYTHONIOENCODING="cp1252",
        LITELLM_BASE_URL=remote.url,
        LITELLM_API_KEY=remote.world.keys["admin"],
    )  # fmt: skip

    assert outcome.returncode == 0, outcome.stderr
    assert "????? für alle …" in outcome.stderr.decode("cp1252")
    assert b"Traceback" not in outcome.stderr


def test_colours_are_for_terminals_only(remote: Remote, tmp_path: Path) -> None:
    """A pipe gets plain text, and lines that are not wrapped."""
    outcome = run(
        "profile",
        "list",
        cwd=tmp_path,
        LITELLM_BASE_URL=remote.url,
        LITELLM_API_KEY=remote.world.keys["admin"],
    )

    assert b"\x1b" not in outcome.stdout
    assert len(outcome.stdout.splitlines()) == 6


def test_a_reader_that_goes_away_is_no_error(remote: Remote, tmp_path: Path) -> None:
    """As in `neuronode audit tail | head`."""
    environ = {**os.environ, "LITELLM_BASE_URL": remote.url, "LITELLM_API_KEY": remote.world.keys["admin"]}
    process = subprocess.Popen(
        [*PROGRAM, "status", "--watch", "--json"],
        env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    remote.do(
        remote.world.manager.switch("balanced", actor=Actor("me"))
    )  # so that there is something to write
    with process.stderr:
        process.wait(20)
        assert b"Traceback" not in process.stderr.read()


HEAVY = ("httpx", "rich", "pydantic", "sqlalchemy", "fastapi", "litellm", "asyncio")


def test_the_help_loads_nothing_heavy() -> None:
    """`neuronode --help` answers in about a tenth of a second because of what it does not import."""
    code = (
        "import sys\n"
        "from neuronode_router.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr, end='')"
    )

    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (outcome.returncode, outcome.stderr) == (0, "")


OPTIONAL = ("httpx._main", "h2", "attr", "pydantic", "sqlalchemy", "fastapi", "litellm", "asyncio")


def test_the_status_loads_nothing_that_it_does_not_need(remote: Remote) -> None:
    """A glance is quick because of what is not imported: parts of libraries included, which stay importable."""
    code = (
        "import sys\n"
        "from neuronode_router.cli.main import cli\n"
        "try: cli(['status'])\n"
        "except SystemExit: pass\n"
        f"print(*(name for name in {OPTIONAL} if name in sys.modules), file=sys.stderr, end='')\n"
        "import attr, h2"
    )
    environ = {**os.environ, "LITELLM_BASE_URL": remote.url, "LITELLM_API_KEY": remote.world.keys["admin"]}

    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environ
    )

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "premium" in outcome.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_entry_of_the_table_is_a_command(name: str) -> None:
    """Of that name, with a line that fits the help of a narrow terminal."""
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name
    assert len(COMMANDS[name][1]) < 65


@pytest.mark.parametrize("word", ["", "pro", "--v"])
def test_completion_offers_names_without_loading_them(word: str) -> None:
    """What a shell gets when the user presses the key."""
    offered = [item.value for item in cli.shell_complete(click.Context(cli), word)]

    assert offered == {"": list(COMMANDS), "pro": ["profile"], "--v": ["--version"]}[word]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, neuronode: Terminal) -> None:
    """It asks the program itself, by the variable that click listens to."""
    outcome = neuronode("completion", shell)

    assert outcome.code == 0
    assert "_NEURONODE_COMPLETE" in outcome.out
