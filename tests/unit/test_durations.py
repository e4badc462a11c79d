"""Durations as people write them."""

from __future__ import annotations

import pytest

from neuronode_router.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("10m", 600.0), ("2h", 7200.0), ("1d", 86_400.0), ("2w", 1_209_600.0), ("0s", 0.0)],
)
def test_a_number_and_a_unit_are_seconds(text: str, seconds: float) -> None:
    """There is one unit for each letter."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "1.5h", "5 minutes", " 1s", "1s\n", "1mo", "1H", "٣s", "1234567s"]
)
def test_anything_else_is_none(text: str) -> None:
    """Neither other units nor other digits are guessed at."""
    assert seconds_of(text) is None
