"""How long an attempt may take, in every spelling."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.litellm_plugin.timeouts import NAMES, first_seconds, seconds, wished

ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    *(st.lists(st.integers(), max_size=2), st.dictionaries(st.sampled_from("ab"), st.floats(), max_size=2)),
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (3, 3.0),
        ("0.01", 0.01),
        (" 1e-3\n", 0.001),
        (True, 1.0),
        (httpx.Timeout(5.0, connect=0.5), 0.5),
        (httpx.Timeout(None), None),
        ({"connect": "0.5", "read": 20}, 0.5),
        ({"connect": {"read": 1}}, None),
        ("soon", None),
        ("nan", None),
        (10**400, None),
        ([1], None),
        (None, None),
    ],
)
def test_a_timeout_is_read_in_every_spelling(written: object, read: float | None) -> None:
    """Numbers, numbers as text, and httpx's; the shortest part counts."""
    assert seconds(written) == read


@pytest.mark.parametrize("extra", [{"timeout": "0.01"}, {"stream_timeout": 0.01}, {"request_timeout": 0.01}])
def test_what_is_written_for_the_server_counts_too(extra: dict[str, Any]) -> None:
    """A server that is a proxy itself may obey it."""
    assert wished({"extra_body": extra, "timeout": 20}) == 0.01


def test_streams_have_a_timeout_of_their_own() -> None:
    """In LiteLLM's order; nothing said is no wish."""
    both = {"timeout": "3", "stream_timeout": "2"}

    assert (wished(both), wished({**both, "stream": True})) == (3.0, 2.0)
    assert (wished({}), wished({"timeout": 0, "request_timeout": None})) == (None, None)


@given(st.dictionaries(st.sampled_from([*NAMES[True], "stream", "extra_body"]), ANYTHING))
def test_whatever_is_wished_is_no_operators_timeout_unless_it_can_be_read(attempt: dict[str, Any]) -> None:
    """A wish that somebody else may understand is never taken for none, and never raises."""
    wish = wished(attempt)

    if attempt.get("timeout") and not attempt.get("stream"):
        assert wish is not None
        assert math.isfinite(wish)
    assert seconds(attempt) is None or math.isfinite(seconds(attempt) or 0.0)


def test_an_operators_timeout_is_read_alike() -> None:
    """Text in a configuration, and 0 is none."""
    names = NAMES[False]

    assert first_seconds(names, {"timeout": 0}, {"timeout": None, "request_timeout": "30"}) == 30.0
    assert first_seconds(names, {}) is None
