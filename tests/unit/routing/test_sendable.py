"""Bodies that no server can be sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.sendable import LONG, unsendable

TEXT = st.text(st.characters(codec=None), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, JSON))
def test_a_body_is_sendable_exactly_if_json_can_hold_it(body: dict[str, object]) -> None:
    """Numbers that are none and half characters are found wherever they stand, and nothing else."""
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        assert unsendable(body) is not None
    else:
        assert unsendable(body) is None


@pytest.mark.parametrize("text", ['{"max_tokens": 1e400}', '{"stop": ["\\ud800"]}', '{"a": [[NaN]]}'])
def test_what_clients_can_write_is_found(text: str) -> None:
    """Python's reader of JSON lets these in."""
    assert unsendable(json.loads(text)) is not None


@pytest.mark.parametrize("size", [LONG - 1, LONG, 6_000, 200_000])
@pytest.mark.parametrize("wrong", [float("inf"), float("-inf"), float("nan"), "\ud800", {"\udfff": 1}])
def test_nothing_hides_behind_many_values(size: int, wrong: object) -> None:
    """However much stands before, after, beside or around it."""
    many: list[object] = [0] * size

    assert unsendable({"x": many, "bad": {"a": [wrong]}}) is not None
    assert unsendable({"bad": {"a": [wrong]}, "x": many}) is not None
    assert unsendable({"x": [*many, wrong]}) is not None
    assert unsendable({"x": [[[0], wrong], *([value] for value in many)]}) is not None
    assert unsendable({"x": many, "fine": {"a": [0.5, "ä", True, None]}}) is None


def test_depth_is_no_hiding_place() -> None:
    """Deeper than Python's own writer goes."""
    deep: object = float("nan")
    for _ in range(5_000):
        deep = [{"a": deep}]

    assert unsendable({"x": deep}) is not None
