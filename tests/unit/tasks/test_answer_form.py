"""The form of answers: what was demanded and can be checked, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.tasks.answer_form import MAX_CHARS, has_form, is_unanswered

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DEMANDED = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
_PATTERN = {"type": "object", "properties": {"n": {"type": "string", "pattern": "(b+)+$"}}}
COSTLY = {"type": "json_schema", "json_schema": {"schema": _PATTERN}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"content": "hello"}, None),
        ({"content": '{"n": 1}', "response_format": {"type": "text"}}, None),
        ({"content": '{"n": 1}', "response_format": {"type": "json_object"}}, True),
        ({"content": "Sure! n is 1.", "response_format": {"type": "json_object"}}, False),
        ({"content": '{"n": 1}', "response_format": DEMANDED}, True),
        ({"content": '{"n": "one"}', "response_format": DEMANDED}, False),
        ({"content": None, "response_format": DEMANDED}, False),
        ({"content": None, "arguments": ('{"city": "Bonn"}',)}, True),
        ({"content": None, "arguments": ('{"city": "Bonn"}', "{city: Bonn}")}, False),
        ({"content": None, "arguments": ("{}",), "response_format": DEMANDED}, True),
        ({"content": '{"n": 1', "finish_reason": "length", "response_format": DEMANDED}, None),
        ({"content": "And so", "finish_reason": "length"}, None),
        ({"content": '"' + "x" * MAX_CHARS, "response_format": {"type": "json_object"}}, None),
        (
            {
                "content": '{"n": "aaaa"}',
                "response_format": COSTLY,
            },
            True,
        ),
    ],
)
def test_only_what_was_demanded_is_checked(found: dict[str, Any], said: bool | None) -> None:
    """JSON, a schema that is cheap to check, arguments; not what the client's own limit cut off."""
    assert has_form(**found) is said


@given(
    st.text(),
    st.lists(st.text(), max_size=3),
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_nothing_makes_it_fail(content: str, arguments: list[str], schema: Any) -> None:
    """Whatever a client demands, and a model answers."""
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}

    assert has_form(content=content, arguments=arguments, response_format=wanted) in (True, False)
    assert has_form(content=json.dumps([content]), response_format={"type": "json_object"}) is True


@pytest.mark.parametrize(
    ("finish_reason", "limited", "said"),
    [
        ("content_filter", False, True),
        ("content_filter", True, True),
        ("length", False, True),
        ("length", True, False),
        ("stop", False, False),
        (None, False, False),
    ],
)
def test_what_the_client_itself_cut_off_was_answered(
    finish_reason: str | None, limited: bool, said: bool
) -> None:
    """A provider's refusal is no answer, nor is one that broke off without a limit."""
    assert is_unanswered(finish_reason, limited=limited) is said
