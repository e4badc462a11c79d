"""The import contract is true: it passes on this tree, and a room that nobody gave a floor breaks it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("neuronode_router", "admin_api")

INTRUDERS = {
    "a room of its own": ("neuronode_router/helpers/__init__.py", "import neuronode_router.domain\n"),
    "a room that imports LiteLLM": ("neuronode_router/helpers/__init__.py", "import litellm\n"),
    "LiteLLM below the plugin": ("neuronode_router/stats/sneaky.py", "import litellm\n"),
    "a web framework below the plugin": ("neuronode_router/usage/sneaky.py", "import fastapi\n"),
    "a way up": ("neuronode_router/routing/sneaky.py", "import neuronode_router.litellm_plugin.runtime\n"),
    "a sibling": ("neuronode_router/stats/sneaky.py", "import neuronode_router.usage.sums\n"),
    "the plugin in the admin API": (
        "admin_api/sneaky.py",
        "import neuronode_router.litellm_plugin.runtime\n",
    ),
}


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the copy in `directory`, whatever is installed."""
    program = Path(sys.executable).with_name("lint-imports")
    environ = {**os.environ, "PYTHONPATH": str(directory)}
    command = [str(program), "--no-cache"]
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The source, copied."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_kept(copy: Path) -> None:
    """This tree passes."""
    checked = lint(copy)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("kind", INTRUDERS)
def test_an_intruder_fails_the_check(copy: Path, kind: str) -> None:
    """Whatever comes in without a floor, or against the directions, is named."""
    place, text = INTRUDERS[kind]
    (copy / place).parent.mkdir(exist_ok=True)
    (copy / place).write_text(text)

    checked = lint(copy)

    assert checked.returncode == 1
    assert Path(place).parts[1].removesuffix(".py") in checked.stdout


def test_public_class_names_are_unique() -> None:
    """One name, one meaning: no two modules define a public class of the same name."""
    homes = defaultdict(list)
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(ROOT)))

    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
