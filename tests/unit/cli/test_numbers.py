"""Numbers of the command line are numbers: what JSON cannot say is refused where it is typed."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from neuronode_router.cli.main import COMMANDS, LazyGroup
from neuronode_router.cli.options import Number
from tests.unit.cli.conftest import Terminal

COMMAND_LINES = (
    ("shadow", "start", "balanced", "--budget"),
    ("shadow", "start", "balanced", "--budget", "1", "--share"),
    ("shadow", "start", "balanced", "--budget", "1", "--hours"),
    ("profile", "switch", "balanced", "--warm-timeout"),
    ("team", "bind", "search", "--then", "balanced", "--beyond"),
    ("rollout", "start", "balanced", "--steps"),
    ("policy", "preview", "--days"),
)


@pytest.mark.parametrize("typed", COMMAND_LINES, ids=" ".join)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_a_mistake_of_who_types(
    neuronode: Terminal, typed: tuple[str, ...], number: str
) -> None:
    """Nothing is sent for it."""
    ended = neuronode(*typed, number)

    assert ended.code == 2
    assert number in ended.err


def test_a_guard_without_a_number_is_refused(neuronode: Terminal) -> None:
    """Dots and digits in a row are none."""
    assert neuronode("rollout", "start", "balanced", "--guard", "error_rate:at_most=1.2.3").code == 2


def commands(command: click.Command) -> Iterator[click.Command]:
    """Yield a command and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found)


def test_every_option_that_takes_a_number_takes_only_that() -> None:
    """No command reads one by click's own types, for which NaN is within any bounds."""
    options = [one for found in commands(LazyGroup("neuronode")) for one in found.params]
    numbers = [one for one in options if isinstance(one.type, click.types.FloatParamType)]

    assert len(options) > len(COMMANDS)
    assert numbers
    assert [one.name for one in numbers if not isinstance(one.type, Number)] == []
