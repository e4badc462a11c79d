"""docs/cli.md has every command, option and code of the doctor that there is, and none that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from neuronode_router.agents.tools import TOOLS
from neuronode_router.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cli.md").read_text()
HEAD, *_SECTIONS = re.split(r"^### ", PAGE, flags=re.MULTILINE)
SECTIONS = {text.splitlines()[0]: text for text in _SECTIONS}
OPTION = re.compile(r"`(--[a-z-]+)`")
IN_ROW = re.compile(r"^\| (`-.+?) \|", re.MULTILINE)
ELSEWHERE = {"neuronode serve": {"--port", "--host", "--workers"}}
"""Options that a section names in a sentence, since another page explains them."""


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what is typed."""
    context = click.Context(group, **group.context_settings)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{name} {word}", command


COMMANDS: Mapping[str, click.Command] = dict(commands(cli, "neuronode"))


def options(command: click.Command) -> set[str]:
    """The long names of a command's options."""
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--")
    }


def rows(text: str) -> set[str]:
    """The options that tables of a text explain."""
    return {option for row in IN_ROW.findall(text) for option in OPTION.findall(row)}


SHARED = rows(HEAD)


def test_every_command_has_a_section_and_every_section_is_a_command() -> None:
    """By the words that are typed."""
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_explains_the_options_of_its_command_and_no_others(name: str) -> None:
    """Except those that mean the same everywhere, which the head of the page explains."""
    explained = rows(SECTIONS[name]) | ELSEWHERE.get(name, set())

    assert explained | (SHARED & options(COMMANDS[name])) == options(COMMANDS[name])
    assert all(option in SECTIONS[name] for option in ELSEWHERE.get(name, ()))


def test_what_is_said_to_be_shared_is_shared() -> None:
    """An option of one command belongs into its section."""
    for option in SHARED:
        assert sum(option in options(command) for command in COMMANDS.values()) > 1, option


def test_every_tool_for_agents_is_in_its_table_and_no_other() -> None:
    """By the names that an agent sees."""
    table = re.findall(r"^\| `([a-z_]+)` \|", SECTIONS["neuronode mcp"], re.MULTILINE)

    assert sorted(table) == sorted(tool.name for tool in TOOLS)


def codes_of_the_doctor() -> Iterator[str]:
    """The second argument of every `Finding` that is written out in the doctor's room."""
    for file in (ROOT / "neuronode_router/cli/doctor").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                yield from (
                    each.value
                    for each in ast.walk(node.args[1])
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def test_every_code_of_the_doctor_is_in_its_table_and_no_other() -> None:
    """A reader finds what a finding is about."""
    table = re.findall(r"^\| (`[a-z].+?) \|", SECTIONS["neuronode doctor"], re.MULTILINE)
    documented = {code for row in table for code in re.findall(r"`([a-z_]+)`", row)}
    releases = {"compromised_litellm", "unsupported_litellm"}  # the codes of the errors that say so

    assert documented == set(codes_of_the_doctor()) | releases
