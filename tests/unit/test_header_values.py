"""Texts in headers come back as they were written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.header_values import read, written
from neuronode_router.domain.names import fits_header

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("%2aé模 ")


@given(TEXTS)
def test_what_is_read_is_what_was_written(text: str) -> None:
    """Also where a text looks like an encoded one."""
    assert read(written(text)) == text
    assert not text or fits_header(written(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [("gruen", "gruen"), ("grün", "grün"), ("模", "%E6%A8%A1"), ("100%", "100%"), ("a%20", "a%2520")],
)
def test_what_a_header_can_carry_stays_readable(text: str, value: str) -> None:
    """Only what must be is encoded."""
    assert written(text) == value
