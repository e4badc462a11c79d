"""What we write as one scalar, every YAML reader reads back equal."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from neuronode_router.domain.names import NAME_PATTERN
from neuronode_router.yaml11 import is_trap, read, scalar

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)
TRAPS = [
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "null",
    "~",
    "1e3",
    "012",
    "0o17",
    "0x1f",
    "0b1",
    "1_000",
    "2024-01-01",
]
MORE_TRAPS = ["1:30", ".5", "1.", "-1", ".inf", ".NaN", "=", "<<", "true", ""]


@given(st.one_of(NAMES, TEXTS), st.sampled_from([None, "'", '"']))
@example("a\x85b\u2028c\ufeffd\U0001f600", None)
@example("'quoted' \\ \"twice\" #no : comment", "'")
def test_scalars_survive_every_reader(text: str, quote: str | None) -> None:
    """As value, key and list item, PyYAML (1.1, C and Python) and ruamel.yaml (1.2) read what was written."""
    written = (
        f"key: {scalar(text, quote=quote)}\n{scalar(text, quote=quote)}: [{scalar(text, quote=quote)}]\n"
    )

    expected = {"key": text, text: [text]} if text != "key" else {"key": [text]}
    if text != "key":
        assert read(written) == expected
        assert yaml.safe_load(written) == expected
        assert YAML(typ="safe", pure=True).load(written) == expected
    assert "\n" not in scalar(text, quote=quote)


@given(NAMES)
@example("08_")
def test_a_name_that_is_no_trap_reads_as_itself(name: str) -> None:
    """What is not called a trap really is a text to PyYAML and to a YAML 1.2 reader, unquoted."""
    if not is_trap(name):
        assert yaml.safe_load(name) == name
        assert YAML(typ="safe", pure=True).load(name) == name


@pytest.mark.parametrize("text", [*TRAPS, *MORE_TRAPS])
def test_traps_are_known_and_quoted(text: str) -> None:
    """Every word that some reader turns into another value is a trap, and is written with quotes."""
    assert is_trap(text)
    assert scalar(text) == f'"{text}"'


@pytest.mark.parametrize("text", ["small", "gpt-6-luna", "tier_fast", "a.b/c", "x012", "nope", "yesterday"])
def test_ordinary_names_stay_plain(text: str) -> None:
    """Names that are safe are written as people write them."""
    assert not is_trap(text)
    assert scalar(text) == text
