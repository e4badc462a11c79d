"""Files of this project that its pages name are there: a proof that was renamed would prove nothing to its reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"(?<![\w/.-])(?:tests|benchmarks|scripts|deploy)/[\w./-]*\w")

MODULE = re.compile(r"`((?:[\w-]+/)+\w+\.py)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """Tests, benchmarks, scripts, and what is deployed."""
    assert [file for file in NAMED.findall(page.read_text()) if not (ROOT / file).exists()] == []


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Every module of ours by its path: what is installed below the root is none."""
    own = (path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [f"/{path.relative_to(ROOT)}" for folder in own for path in folder.rglob("*.py")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_is_there(page: Path, modules: list[str]) -> None:
    """By the end of its path: pages leave out the package."""
    named = MODULE.findall(page.read_text())

    assert [name for name in named if not any(module.endswith(f"/{name}") for module in modules)] == []


def test_names_are_found() -> None:
    """Among the words of a decision."""
    (page,) = (ROOT / "docs/decisions").glob("0013-*.md")

    assert "tests/host/test_attempts.py" in NAMED.findall(page.read_text())
    assert "hooks/admission.py" in "".join(MODULE.findall((ROOT / "docs/architecture.md").read_text()))
