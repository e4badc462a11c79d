"""What a request shows of its conversation: where answers begin, what was asked, and by what they are known again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.growth import Marks, marks_of, read_growth

HI = {"role": "user", "content": "hi"}
YES = {"role": "assistant", "content": "yes"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


@pytest.mark.parametrize(
    ("body", "places", "end"),
    [
        ({"messages": [HI]}, [], 1),
        ({"messages": [HI, YES, HI]}, [1], 3),
        ({"messages": [HI, YES, YES, HI, YES]}, [4, 2, 1], 5),
        ({"messages": [HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}]}, [1], 2),
        ({"input": "hi"}, [], 1),
        ({"input": [HI, {"type": "reasoning"}, {"type": "function_call", "call_id": "c"}]}, [1], 3),
        ({"input": [HI, {"type": "item_reference", "id": "rs_1"}, {"type": "message", "role": "assistant"}]}, [1], 3),
        ({"contents": [{"parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yes"}]}]}, [1], 2),
        ({"messages": [None, 7, {"role": 3}]}, [], 3),
        ({}, [], 1),
    ],
)  # fmt: skip
def test_where_answers_begin(body: Mapping[str, object], places: list[int], end: int) -> None:
    """In every format, and whatever a client sends; items of one answer follow each other."""
    growth = read_growth(body)

    assert (list(growth.places()), growth.end) == (places, end)


@pytest.mark.parametrize(
    ("turns", "asked"),
    [
        ([HI], ("hi",)),
        ([{"role": "tool", "tool_call_id": "call_1", "content": "found"}], ("call_1",)),
        ([{"type": "function_call_output", "call_id": "c", "output": "found"}], ("c",)),
        (
            [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}]}],
            ("toolu_1",),
        ),
        ([{"role": "user", "content": [{"text": "<note>x</note>"}, {"type": "text", "text": "on"}]}], ("on",)),
        (["no turn"], ()),
        ([], ()),
    ],
)  # fmt: skip
def test_what_an_answer_answered(turns: list[Any], asked: tuple[str, ...]) -> None:
    """By the ids of the calls whose results are handed in, as clients cut old results; else by what was said."""
    assert read_growth({"messages": turns}).asked(len(turns)) == asked


@pytest.mark.parametrize(
    ("answer", "marks"),
    [
        ([YES], Marks(text="yes")),
        ([{"role": "assistant", "content": " yes\n"}], Marks(text="yes")),
        ([{"role": "assistant", "content": None, "tool_calls": [CALL]}], Marks(call="call_1")),
        ([{"role": "assistant", "content": "yes", "thinking_blocks": [THOUGHT]}], Marks("s", "", "yes")),
        (
            [{"role": "assistant", "content": [THOUGHT, {"type": "tool_use", "id": "toolu_1", "input": {}}]}],
            Marks("s", "toolu_1"),
        ),
        ([{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "d"}]}], Marks("d")),
        (
            [{"role": "assistant", "content": "", "reasoning_items": [{"encrypted_content": "e"}]}],
            Marks("e"),
        ),
        (
            [{"content": [{"type": "redacted_thinking", "data": "litellm_encrypted_reasoning:e"}]}],
            Marks("e"),
        ),
        (
            [
                {"type": "reasoning", "encrypted_content": "e", "content": [{"text": "a thought"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "yes"}]},
                {"type": "function_call", "id": "fc_1", "call_id": "c"},
            ],
            Marks("e", "c", "yes"),
        ),
        ([{"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "yes"}]}], Marks(text="yes")),
        ([{"role": "assistant", "content": [{"type": "server_tool_use", "id": "srvtoolu_1", "input": {}}]}], Marks()),
        ([{"role": "assistant", "tool_calls": "none", "content": [7, {"type": ["x"]}]}], Marks()),
    ],
)  # fmt: skip
def test_by_what_an_answer_is_known_again(answer: list[dict[str, Any]], marks: Marks) -> None:
    """The same as LiteLLM logs it and as clients of each format send it again."""
    assert marks_of(answer) == marks


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Marks("s", "c", "yes"), Marks("s", "c", "yes"), True),
        (Marks("s", "c", "yes"), Marks("t", "c", "yes"), False),
        (Marks("s", "c", "yes"), Marks("", "c", "altered"), True),
        (Marks("s", "", "yes"), Marks("", "", "yes"), True),
        (Marks("s"), Marks("", "c"), False),
        (Marks(), Marks(), False),
    ],
)
def test_the_surest_mark_that_both_have_tells(one: Marks, other: Marks, same: bool) -> None:
    """Clients leave thoughts out, and some alter texts."""
    assert one.are_of(other) is other.are_of(one) is same


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["role", "type", "content", "parts", "text", "id", "call_id", "tool_calls", "thinking_blocks", "signature"]
    ) | st.text(max_size=3), inner, max_size=4),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["messages", "input", "contents", "prompt"]), json, max_size=2))
def test_nothing_a_client_sends_raises(body: dict[str, Any]) -> None:
    """Whatever JSON stands where turns are looked for."""
    growth = read_growth(body)

    for place in growth.places():
        assert len(growth.answer(place)) == 3
        growth.asked(place)
    growth.asked(growth.end)
