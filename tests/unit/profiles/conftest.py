"""The shelf of profile files that most tests of this room use."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from tests.unit.profiles.shelf import Shelf

# These tests share a busy machine and touch files: how long one example takes says nothing about the law.
hypothesis.settings.register_profile("shared-machine", deadline=None)
hypothesis.settings.load_profile("shared-machine")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A directory with one good profile, `balanced`."""
    return Shelf(tmp_path / "profiles")
