"""How the suite is dealt: whole folders first, since one process has each of them to the end."""

from __future__ import annotations

from pathlib import Path

from tests.support.scheduling import APART, LONG, SHARED, turn_of, unit_of

ROOT = Path(__file__).parents[3]
FILES = [str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py")]


def test_what_is_long_comes_in_the_order_of_its_list() -> None:
    """A folder does not wait for the files of it that are dealt apart."""
    dealt = dict.fromkeys(unit_of(file) for file in sorted(FILES, key=turn_of))

    assert tuple(dealt)[: len(SHARED) + len(APART)] == LONG[: len(SHARED) + len(APART)]


def test_the_lists_name_what_is_there() -> None:
    """A file that was renamed would be dealt with its folder again, without a word."""
    assert [place for place in LONG if not (ROOT / place).exists()] == []
