"""Bodies of every wire format: what is read of them, how large they are, whether tools are at work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.classifier.excerpt import read as read_excerpt
from neuronode_router.routing.conversation import CHARS_PER_TOKEN, IMAGE_TOKENS, LOOKED_AT, read

USER = {"role": "user", "content": "Fasse das zusammen."}
CALL = {"role": "assistant", "tool_calls": [{"id": "a"}]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [USER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Fasse das zusammen."}]}]},
        {"input": "Fasse das zusammen."},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Fasse das zusammen."}]}]},
        {"prompt": "Fasse das zusammen."},
        {"prompt": ["first", "Fasse das zusammen."]},
        {"contents": [{"role": "user", "parts": [{"text": "Fasse das zusammen."}]}]},
        {"contents": [{"parts": {"text": "Fasse das zusammen."}}]},
    ],
)
def test_the_last_user_turn_of_every_format_is_read(body: dict[str, Any]) -> None:
    """What a classifier would look at is the user's text."""
    assert read_excerpt(read(body).turns).pieces[0] == "fasse das zusammen."


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [USER, CALL, {"role": "tool", "content": "42"}]},
        {"messages": [USER, CALL, {"role": "user", "content": [{"type": "tool_result", "content": "42"}]}]},
        {"input": [USER, {"type": "function_call"}, {"type": "function_call_output", "output": "42"}]},
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"parts": [{"functionResponse": {}}]}]},
    ],
)
def test_a_tool_loop_is_seen_in_every_format(body: dict[str, Any]) -> None:
    """Results of tools at the end mean that the loop goes on; the person's turn keeps its place."""
    found = read(body)

    assert found.in_tool_loop
    assert found.place == 0


def test_a_question_after_a_tool_loop_ends_it() -> None:
    """A person's new turn is no loop, whatever was before."""
    found = read({"messages": [USER, CALL, {"role": "tool", "content": "42"}, USER], "tools": [{}]})

    assert (found.in_tool_loop, found.uses_tools, found.place) == (False, True, 3)


def test_size_counts_prompt_answer_preamble_and_images() -> None:
    """The window a request needs is estimated from everything that goes into it."""
    body = {
        "system": "s" * 300,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "t" * 600}, IMAGE]}],
    }

    needs = read(body).needs

    assert needs.tokens == 50 + 900 // CHARS_PER_TOKEN + IMAGE_TOKENS
    assert needs.modalities == {"text", "image"}


def test_old_turns_are_estimated_and_not_read() -> None:
    """A conversation of any length costs the same; its size is taken from the recent turns."""
    turns = [{"role": "user", "content": "x" * 30}] * (10 * LOOKED_AT)

    assert read({"messages": turns}).needs.tokens == 10 * LOOKED_AT * 30 // CHARS_PER_TOKEN


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "parts", "inlineData", "tool_result", "output"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["messages", "input", "prompt", "contents", "tools", "system"]), anything)
)
def test_no_body_is_too_strange(body: dict[str, Any]) -> None:
    """Whatever was sent, reading never raises and what it returns can be classified."""
    found = read(body)

    read_excerpt(found.turns)
    assert found.needs.tokens >= 0
