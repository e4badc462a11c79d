"""How answers and errors look in a terminal: tables for people, JSON for programs, one line per error.

It must not know what is shown. Data goes to standard output, everything said about it to standard error. Whatever
came from elsewhere is stripped of characters that could steer a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO, TypeAlias

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from neuronode_router.errors import NeuronodeError

UNLIMITED = 10_000
"""Columns of an output that is no terminal: a program that reads it must not meet wrapped lines."""
Part: TypeAlias = Table | Text | str
"""What stands below each other in an answer."""
NUMBER = ">"
"""In front of a column's title: it holds numbers, so it is aligned to the right."""


def clean(value: object) -> str:
    """Return a value as one line of printable text; None is a dash."""
    text = "-" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def moment(unix: float | None) -> str:
    """Return a time in the zone of this machine, to the second; None is a dash."""
    return "-" if unix is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix))


def print_json(document: object) -> None:
    """Print a document. ASCII only, so that no console spoils it."""
    click.echo(json.dumps(document, indent=2))


def print_json_line(document: object) -> None:
    """Print a document of a stream, as one line."""
    click.echo(json.dumps(document))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table without lines, which every console can show. Where it is narrow, cells take several lines."""
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        title, justify = column.removeprefix(NUMBER), "right" if column.startswith(NUMBER) else "left"
        result.add_column(title, justify=justify, header_style="bold", overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        result.add_row(*(Text(clean(cell)) for cell in row))
    return result


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """Return names and values below each other; a value that is a `Text` keeps its colour."""
    result = Table(
        Column(overflow="fold"),
        Column(overflow="fold"),
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=False,
    )
    for name, value in rows:
        result.add_row(Text(name, style="bold"), value if isinstance(value, Text) else Text(clean(value)))
    return result


def warning(text: str) -> Text:
    """Return what somebody should look at, as a line."""
    return Text(clean(text), "yellow")


def problem(text: str) -> Text:
    """Return what is broken, as a line."""
    return Text(clean(text), "bold red")


def answer(document: object, view: Callable[[], Iterable[Part]], *, as_json: bool) -> None:
    """Print a document for programs, or what `view` makes of it for people."""
    if as_json:
        print_json(document)
    else:
        show(*view())


def show(*parts: Part, err: bool = False) -> None:
    """Print tables and lines to standard output, or to standard error what is no data."""
    console = terminal(sys.stderr if err else sys.stdout)
    for part in parts:
        console.print(part)


def terminal(stream: TextIO) -> Console:
    """Return a stream as it is now: colours only on a terminal, and never with NO_COLOR."""
    width = None if stream.isatty() else UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def note(text: str) -> None:
    """Say something about what goes on, on standard error."""
    click.echo(clean(text), err=True)


def changes_table(changes: Iterable[dict[str, Any]], *, of: str = "task") -> Table:
    """Return what changes, one below the other, under the title `of`."""
    return table(
        (of, "before", "after"),
        ((change["task"], change["before"], change["after"]) for change in changes),
    )


def error_lines(error: NeuronodeError) -> list[str]:
    """Return what to print of an error: what happened, each of its problems where it has some, and what to do."""
    if not error.problems:
        return [clean(f"{error.message} {error.fix}")]
    # The message repeats the problems in one sentence; what helps against all of them is said nowhere else.
    return [*map(clean, error.problems), clean(error.fix)]
