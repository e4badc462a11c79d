"""Files of this project that its pages name are there: a proof that was renamed would prove nothing to its reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"(?<![\w/.-])(?:tests|benchmarks|scripts|deploy)/[\w./-]*\w")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """Tests, benchmarks, scripts, and what is deployed."""
    assert [file for file in NAMED.findall(page.read_text()) if not (ROOT / file).exists()] == []


def test_names_are_found() -> None:
    """Among the words of a decision."""
    (page,) = (ROOT / "docs/decisions").glob("0013-*.md")

    assert "tests/host/test_attempts.py" in NAMED.findall(page.read_text())
