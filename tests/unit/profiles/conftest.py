"""The shelf of profile files that most tests of this room use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.profiles.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A directory with one good profile, `balanced`."""
    return Shelf(tmp_path / "profiles")
