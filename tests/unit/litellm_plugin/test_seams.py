"""What the table of seams promises of a LiteLLM that lacks something: only what everything needs stops the start."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import neuronode_router.litellm_plugin as plugin
from neuronode_router.errors import UnsupportedLiteLLM
from neuronode_router.litellm_plugin import seams
from neuronode_router.litellm_plugin.seams import NEEDED, SEAMS, Era, Part

ROOM = Path(plugin.__file__).parent


def at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported."""
    for statement in body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            continue
        if isinstance(statement, ast.ClassDef | ast.If | ast.Try | ast.With):
            yield from at_import(statement.body)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*statement.decorator_list, *statement.args.defaults, *statement.args.kw_defaults):
                yield from ast.walk(part) if part is not None else ()
        else:
            yield from ast.walk(statement)


def taken(path: Path) -> Iterator[str]:
    """Yield what a module takes of LiteLLM when it is imported, as `module:attribute`."""
    for node in at_import(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "litellm":
            yield from (f"{node.module}:{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("litellm."))
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "litellm"
        ):
            yield f"litellm:{node.attr}"


def test_an_import_takes_only_what_everything_needs() -> None:
    """A seam of a part that can be off is taken where it is used: a release that lacks it starts without the part."""
    needed = [seam.path for seam in SEAMS if seam.part in NEEDED and seam.era is Era.ANY]
    found = {(path.name, each) for path in ROOM.rglob("*.py") for each in taken(path)}

    assert len(found) > 20
    assert {each for each in found if not any(path.startswith(each[1]) for path in needed)} == set()


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        ({Part.ADMISSION: ["litellm:gone"], Part.PROOF: ["litellm:off"]}, UnsupportedLiteLLM),
        ({}, ImportError),
    ],
)
def test_a_start_without_what_everything_needs_names_it(
    monkeypatch: pytest.MonkeyPatch, *, missing: dict[Part, list[str]], error: type[Exception]
) -> None:
    """The worker stops with what LiteLLM lacks, and with nothing else in its place; another ImportError stays."""
    monkeypatch.setattr(seams, "lacking", lambda: missing)

    with pytest.raises(error) as caught, seams.named_if_missing():
        raise ImportError("a module of whatever")

    assert ("litellm:gone" in str(caught.value)) is bool(missing)
    assert "litellm:off" not in str(caught.value)


def test_what_a_part_needs_to_be_off_is_told_apart() -> None:
    """Nobody reads that admission is off where it works on without something: it is impaired, and off is off."""
    told = seams.problems({Part.ADMISSION: ["a:b"], Part.PROOF: ["c:d"]}, "1.111.0")

    assert [problem.message.partition(":")[0] for problem in told] == ["Impaired", "Off"]
    assert {problem.code for problem in told} == {"part_off"}
