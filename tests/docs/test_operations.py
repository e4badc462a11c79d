"""docs/operations.md says everything about settings, options and exit codes that the code knows, and nothing else."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from pathlib import Path

import click
import pytest
from pydantic_core import PydanticUndefined

from neuronode_router.cli.main import cli
from neuronode_router.settings import PREFIX, Settings, variable

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
ROWS = dict(re.findall(rf"^\| `({PREFIX}\w+)` \| (.+?) \|", OPERATIONS, re.MULTILINE))


def test_every_setting_has_a_row_and_every_row_is_a_setting() -> None:
    """The table is complete and holds nothing that is gone."""
    assert set(ROWS) == {variable(name) for name in Settings.model_fields}


FIXED = {
    name: f.default for name, f in Settings.model_fields.items() if f.default not in (None, PydanticUndefined)
}


@pytest.mark.parametrize("name", FIXED)
def test_the_documented_default_is_the_real_one(name: str) -> None:
    """Defaults that do not depend on the place are written as the code has them."""
    default = FIXED[name]
    written = str(default).lower() if isinstance(default, bool) else default
    assert ROWS[variable(name)] == f"`{written}`"


def test_every_setting_describes_itself() -> None:
    """The class is where an engineer looks: each field is followed by its docstring."""
    body = ast.parse(textwrap.dedent(inspect.getsource(Settings))).body[0]
    assert isinstance(body, ast.ClassDef)
    described = {
        field.target.id
        for field, text in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    assert described == set(Settings.model_fields)


def test_every_option_of_serve_is_documented() -> None:
    """`--help` and the page agree."""
    serve = cli.get_command(click.Context(cli), "serve")
    assert serve is not None
    options = {
        opt for p in serve.params if isinstance(p, click.Option) for opt in p.opts if opt.startswith("--")
    }

    documented = set(re.findall(r"^\| `(--[a-z-]+)", OPERATIONS, re.MULTILINE))

    assert documented == options


def test_every_command_is_documented() -> None:
    """A reader finds each command of the command line."""
    for group, command in (("audit", "verify"), ("key", "create")):
        found = cli.get_command(click.Context(cli), group)
        assert isinstance(found, click.Group)
        assert command in found.commands
        assert f"neuronode {group} {command}" in OPERATIONS
