"""README.md: short, and nothing in it leads nowhere. Its commands are run in tests/e2e/test_serve.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md"))))


def test_it_fits_into_a_few_minutes() -> None:
    """The house style allows 150 lines."""
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Links inside the repository name files that exist."""
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)

    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]

    assert missing == []


def test_scripts_it_names_can_be_run() -> None:
    """Each `scripts/...` exists and is executable, and each script is named somewhere."""
    named = set(re.findall(r"\bscripts/(\w+)", README))

    assert {"serve", "test", "check"} <= named
    assert all(os.access(ROOT / "scripts" / name, os.X_OK) for name in named)


def test_the_profile_it_shows_is_the_shipped_one() -> None:
    """The excerpt says what the file says."""
    (block,) = re.findall(r"```yaml\n# profiles/balanced.yaml\n(.*?)```", README, re.DOTALL)
    shipped = yaml.safe_load((ROOT / "profiles/balanced.yaml").read_text())

    shown = yaml.safe_load(block)

    for key in ("description", "cost_level", "performance_level"):
        assert shown[key] == shipped[key]
    for key in ("tasks", "tiers"):
        assert shown[key].items() <= shipped[key].items()
