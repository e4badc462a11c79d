"""Every `neuronode` command that a page or a message of ours names exists, with the options that it is named with."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from admin_api.agents.routes import PATH as AGENTS
from admin_api.router import ENDPOINTS
from neuronode_router.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CHANGELOG.md", "docs/*.md", "deploy/**/*.y*ml", "docker-compose.yml", "scripts/*")
SOURCES = ("neuronode_router/**/*.py", "admin_api/**/*.py", "admin_api/ui/static/js/*.js")
IN_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`+(neuronode [^`\n]+)`+")
PAGES_IN_FULL = sorted((ROOT / "docs").glob("*.md"))
SHIPPED = set(re.findall(r"model_name: (\S+)", (ROOT / "litellm_config.yaml").read_text()))
"""Model groups of the configuration that comes with it."""
ENDS = {"|", "||", "&&", ";", "#", ">"}


def named(text: str) -> Iterator[str]:
    """Yield the command lines of a text: those of its blocks, and those between backticks."""
    yield from IN_LINE.findall(text)
    for block in IN_BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("neuronode"):
                yield line


FOUND = sorted(
    {
        line
        for pattern in (*PAGES, *SOURCES)
        for file in ROOT.glob(pattern)
        if file.is_file()
        for line in named(file.read_text())
    }
)


def words(line: str) -> list[str]:
    """Return what is typed after `neuronode`, up to what the shell does with it."""
    found: list[str] = []
    for word in shlex.split(line, comments=True)[1:]:
        if word in ENDS:
            break
        found.append(word)
    return found


@pytest.mark.parametrize("line", FOUND)
def test_a_command_that_is_named_exists_with_its_options(line: str) -> None:
    """Only its values are not looked at: `FILE` may stand for one."""
    command: click.Command = cli
    rest = words(line)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        context = click.Context(command, **command.context_settings)
        inner = command.get_command(context, rest[0])
        assert inner is not None, f"there is no {rest[0]}"
        command, rest = inner, rest[1:]
    rest = [word for word in rest if word not in ("--help", "--version", "...")]

    command.make_parser(click.Context(command, **command.context_settings)).parse_args([*rest, "A VALUE"])


@pytest.mark.parametrize("line", [line for line in FOUND if line.startswith("neuronode rollout start")])
def test_an_edit_that_is_named_names_groups_that_are_shipped(line: str) -> None:
    """It works as it is pasted."""
    edits = re.findall(r"--set \S+?=(\S+)", line)

    assert {group for edit in edits for group in edit.split(",")} <= SHIPPED


def test_what_a_wrong_edit_is_told_to_write_can_be_written() -> None:
    """The message is an example too."""
    outcome = CliRunner().invoke(cli, ["rollout", "start", "--set", "chat"])
    told = re.findall(r"\w=(\w+(?:,\w+)*)", outcome.output)

    assert len(told) == 2
    assert {group for edit in told for group in edit.split(",")} <= SHIPPED


@pytest.mark.parametrize("page", PAGES_IN_FULL)
def test_where_a_command_writes_into_a_home_the_directory_was_made(page: Path) -> None:
    """A fresh home has none of them."""
    for block in IN_BLOCK.findall(page.read_text()):
        for found in re.finditer(r"> (~/\S+)/\S+", block):
            assert f"mkdir -p {found[1]}\n" in block[: found.start()], found[0]


@pytest.mark.parametrize("page", PAGES_IN_FULL)
def test_a_page_tries_no_profile_that_it_has_just_switched_to(page: Path) -> None:
    """A rollout of the active profile is refused."""
    blocks = "".join(IN_BLOCK.findall(page.read_text()))
    active = None
    for verb, name in re.findall(
        r"^neuronode (profile switch|rollout start) ([a-z]\w*)", blocks, re.MULTILINE
    ):
        assert verb == "profile switch" or name != active
        active = name if verb == "profile switch" else active


def test_commands_are_found_at_all() -> None:
    """In blocks and in sentences, of pages and of messages."""
    assert {"neuronode doctor", "neuronode mcp", "neuronode train --back"} <= set(FOUND)
    assert len(FOUND) > 40


ADDRESS = re.compile(r"(?<![\w.])/(?:admin|neuronode)(/[a-z][\w{}$./-]*)")
ROUTES = [
    *(re.compile(re.sub(r"\{\w+\}", "[^/]+", endpoint.path)) for endpoint in ENDPOINTS),
    *(
        re.compile(re.escape(path))
        for path in (
            AGENTS,
            "/health/readiness",
            "/health/startup",
            "/ui",
            "/ui/",
            "/profiles",
            "/ui/session",
        )
    ),
]


@pytest.mark.parametrize(
    "page", sorted(file for pattern in PAGES for file in ROOT.glob(pattern) if file.is_file())
)
def test_an_address_that_is_named_is_a_route(page: Path) -> None:
    """Of the admin API, under either of its prefixes; what stands for a name may be anything."""
    named = {match.rstrip("./") for match in ADDRESS.findall(page.read_text())}

    assert {path for path in named if not any(route.fullmatch(path) for route in ROUTES)} == set()


PLAIN = re.compile(r"neuronode_router\.plugin:start.*\blitellm --config", re.DOTALL)
COMMENTED = re.compile(r"(?:^#   .*\n)+", re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "litellm_config.yaml"])
def test_a_plain_litellm_is_started_with_a_master_key(page: str) -> None:
    """It refuses to start without one; `neuronode serve` makes one up."""
    text = (ROOT / page).read_text()
    blocks = (IN_BLOCK if page.endswith(".md") else COMMENTED).finditer(text)
    starts = [block[0] for block in blocks if PLAIN.search(block[0])]

    assert starts
    assert all(re.search(r"export LITELLM_MASTER_KEY=sk-\$\(openssl", block) for block in starts)


def test_the_files_of_the_tutorial_hold_what_an_address_may_have(tmp_path: Path) -> None:
    """Sourced unquoted, an address with parameters was left out, and a `$` of a password replaced."""
    (block,) = [b for b in IN_BLOCK.findall((ROOT / "docs/tutorial.md").read_text()) if "secrets.env <<" in b]
    given = {"DATABASE_URL": "postgresql://u:a$b@h/d?sslmode=require&limit=5", "OPENAI_API_KEY": "sk-$x"}

    values = " ".join(f'"${name}"' for name in given)
    done = subprocess.run(
        ["/bin/sh", "-euc", f'{block}\nunset {" ".join(given)}\n. ./secrets.env\nprintf "%s\\n" {values}'],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == list(given.values())


OURS_BY_NAME = re.compile(
    r"pip install [^\n`]*neuronode.router(?:\[|==|['\" `])|neuronode.router(?:==|\[\w+\])"
)


@pytest.mark.parametrize("pattern", [*PAGES, *SOURCES])
def test_nothing_of_ours_is_installed_by_its_name(pattern: str) -> None:
    """It is on no index: whoever claims the name there would have his code installed."""
    files = [file for file in ROOT.glob(pattern) if file.is_file()]

    assert [file.name for file in files if OURS_BY_NAME.search(file.read_text())] == []
