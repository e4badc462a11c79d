"""Every benchmark can be started, and takes the options that pages name it with."""

from __future__ import annotations

import argparse
import importlib
import logging
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
COMMAND = re.compile(r"`python -m (benchmarks\.[^`]+)`")
BY_NAME = re.compile(r"(?:`benchmarks/run|set --)((?: \w+)+)")
"""In pages, and in the script itself."""


def named() -> Iterator[str]:
    """Yield what pages say to type behind `python -m`, and what `benchmarks/run` makes of names."""
    for page in (*PAGES, ROOT / "benchmarks/run"):
        yield from COMMAND.findall(page.read_text())
        for names in BY_NAME.findall(page.read_text()):
            yield from (f"benchmarks.{name}" for name in names.split())


def scripts() -> Iterator[str]:
    """Yield each benchmark with what it needs: a folder, where it says so."""
    for path in (ROOT / "benchmarks").rglob("*.py"):
        if "__main__" in (text := path.read_text()):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield f"{module} DATA_FOLDER" if '_argument("data"' in text else module


COMMANDS = sorted({*scripts(), *named()})


class Understood(Exception):
    """The options are read; what comes next measures."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_benchmark_starts_and_reads_its_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it imports is there, its options are those that it is named with, and nothing is done before."""
    levels = [logging.getLogger(name).level for name in ("", "neuronode_router")]
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
        parser.format_help()
        parse(parser)
        raise Understood

    script, *words = shlex.split(command)
    monkeypatch.setattr(sys, "argv", [script, *words])
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)

    with pytest.raises(Understood):
        importlib.import_module(script).main()
    assert [logging.getLogger(name).level for name in ("", "neuronode_router")] == levels


def test_commands_are_found_at_all() -> None:
    """In pages, in the script that runs several, and among the benchmarks."""
    assert {"benchmarks.tokens", "benchmarks.switch --workers 2 --switches 120"} <= set(COMMANDS)
    assert {"benchmarks.overload", "benchmarks.task_api"} <= set(named())
