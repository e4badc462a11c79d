"""Bodies that no server can be sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.sendable import MAX_VALUES, unsendable

TEXT = st.text(st.characters(codec=None), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("xyz"), JSON))
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


def test_the_work_is_bounded() -> None:
    """Beyond so many values nothing is looked at."""
    assert unsendable({"input": [0] * MAX_VALUES, "last": float("inf")}) is not None
    assert unsendable({"input": [[0] * MAX_VALUES, [float("nan")]]}) is not None
    assert unsendable({"first": [0], "input": [[float("nan")], [0] * MAX_VALUES]}) is None
