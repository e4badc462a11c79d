"""docs/usage.md names every outcome, name, basis, finding and bound there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuronode_router.settings import variable
from neuronode_router.usage.buffer import MAX_ACCOUNTS, MAX_KEYS, MAX_MINUTES, MAX_REQUESTS
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.forecast import ENOUGH
from neuronode_router.usage.periods import DAY, HOUR, HOURS_KEPT, MINUTES_KEPT
from neuronode_router.usage.prices import Basis
from neuronode_router.usage.report import GROUPINGS
from neuronode_router.usage.store import MAX_AT_ONCE
from neuronode_router.usage.targets import Violation
from neuronode_router.usage.writer import REQUESTS_KEPT

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "usage.md").read_text()
SETTINGS = [variable("usage_days"), variable("usage_flush_seconds")]
COUNTS = ["usage_failures", "usage_overflowed", "usage_uncounted"]


@pytest.mark.parametrize("word", [*RequestOutcome, *GROUPINGS, *Basis, *Violation, *SETTINGS, *COUNTS])
def test_every_word_is_documented(word: str) -> None:
    """An operator who meets the word finds it on the page."""
    assert f"`{word}`" in PAGE


def test_the_bounds_of_the_page_are_those_of_the_code() -> None:
    """Numbers that the page states are the ones in force."""
    assert f"{MAX_KEYS} combinations a minute" in PAGE
    assert f"Beyond {MAX_ACCOUNTS} of these" in PAGE
    assert f"transactions of {MAX_AT_ONCE} rows" in PAGE
    assert f"newest {MAX_REQUESTS} of each flush" in PAGE
    assert f"kept for {MINUTES_KEPT // HOUR} hours, then hours, for {HOURS_KEPT // DAY} days" in PAGE
    assert f"from {ENOUGH} answers on" in PAGE
    assert (MAX_MINUTES, REQUESTS_KEPT) == (120, HOUR), "the page says two hours, and an hour"
