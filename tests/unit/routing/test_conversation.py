"""Bodies of every wire format: what is read of them, what they need, whether tools are at work, and who is who."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.classifier.excerpt import read as read_excerpt
from neuronode_router.routing.conversation import LOOKED_AT, read
from neuronode_router.routing.tokens import estimate

USER = {"role": "user", "content": "Fasse das zusammen."}
CALL = {"role": "assistant", "tool_calls": [{"id": "a"}]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "42"}
REMINDER = "<system-reminder>\nThe list of tasks is empty.\n</system-reminder>"
LONG = "Der Markt blieb geschlossen, und die Preise fielen um ein Drittel. " * 400


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
        {"messages": [USER, CALL, RESULT, {"role": "user", "content": REMINDER}]},
        {"messages": [USER] + [CALL, RESULT] * LOOKED_AT},
    ],
)
def test_the_last_user_turn_of_every_format_is_read(body: dict[str, Any]) -> None:
    """What a classifier would look at is the user's text, also where a long loop came after it."""
    assert read_excerpt(read(body).turns).pieces[0] == "fasse das zusammen."


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [USER, CALL, RESULT]},
        {"messages": [USER, CALL, RESULT, RESULT]},
        {"messages": [USER, CALL, RESULT, {"role": "user", "content": REMINDER}]},
        {"messages": [USER, CALL, {"role": "user", "content": [{"type": "tool_result", "content": "42"}]}]},
        {
            "messages": [
                USER,
                CALL,
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": "42"}, {"type": "text", "text": REMINDER}],
                },
            ]
        },
        {"messages": [USER] + [CALL, RESULT] * 200},
        {"input": [USER, {"type": "function_call"}, {"type": "function_call_output", "output": "42"}]},
        {"input": [USER, {"type": "computer_call"}, {"type": "computer_call_output", "output": {}}]},
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"parts": [{"functionResponse": {}}]}]},
        {"contents": [{"parts": [{"text": "x"}]}, {"role": "user", "parts": [{"function_response": {}}]}]},
    ],
)
def test_a_tool_loop_is_seen_in_every_format(body: dict[str, Any]) -> None:
    """Results of tools at the end mean that the loop goes on; the person's turn keeps its place."""
    found = read(body)

    assert found.in_tool_loop
    assert found.place == 0


def test_a_loop_is_known_by_its_persons_texts_however_long_it_is() -> None:
    """Neither results nor reminders change by what a loop is known again; another opening does."""
    body = {"messages": [USER, CALL, RESULT], "tools": [{}]}
    reminded = {
        "role": "user",
        "content": [{"type": "text", "text": REMINDER}, {"type": "text", "text": USER["content"]}],
    }

    known = read(body).known_by

    assert known == read({"messages": [USER], "tools": [{}]}).known_by
    assert known == read({"messages": [reminded, *[CALL, RESULT] * 150], "tools": [{}]}).known_by
    assert known != read({"messages": [{"role": "user", "content": "Other"}, CALL, RESULT]}).known_by


def test_a_question_after_a_tool_loop_ends_it() -> None:
    """A person's new turn is no loop, whatever was before."""
    found = read({"messages": [USER, CALL, RESULT, USER], "tools": [{}]})

    assert (found.in_tool_loop, found.uses_tools, found.place) == (False, True, 3)


def test_an_answer_that_is_begun_for_the_assistant_ends_a_loop() -> None:
    """What an assistant said after the results is no result."""
    assert not read({"messages": [USER, CALL, RESULT, {"role": "assistant", "content": "{"}]}).in_tool_loop


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab<>/é字", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("role", "content", "type", "text", "parts", "inlineData", "output", "source", "user"),
                    *("file", "image_url", "url", "input", "format", "mimeType", "functionResponse"),
                ]
            ),
            inner | st.sampled_from(["user", "tool_result", "file", "image_url", "document"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = ["messages", "input", "prompt", "contents", "tools", "system", "functions", "response_format"]
MORE_FIELDS = ["text", "generationConfig", "config", "max_tokens", "instructions", "systemInstruction", "n"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS + MORE_FIELDS), anything))
def test_no_body_is_too_strange(body: dict[str, Any]) -> None:
    """Whatever was sent, reading never raises and what it returns can be classified."""
    found = read(body)

    read_excerpt(found.turns)
    assert found.needs.tokens >= 0


@settings(deadline=None)
@given(anything, st.sampled_from(["messages", "input", "contents"]))
def test_what_is_added_never_makes_a_request_smaller(more: Any, where: str) -> None:
    """A further turn takes room or none, whatever it is."""
    body = {where: [USER, USER]}

    assert read({where: [USER, USER, more]}).needs.tokens >= read(body).needs.tokens - 1


@pytest.mark.parametrize("field", ["messages", "tools", "response_format"])
def test_what_is_nested_too_deep_for_json_is_counted(field: str) -> None:
    """Thousands of brackets neither raise nor hide what stands within."""
    deep: Any = LONG
    for _ in range(5000):
        deep = [deep]

    assert read({field: [deep]}).needs.tokens > len(LONG) / 4


def test_more_pieces_than_are_looked_into_count_as_json() -> None:
    """A body of very many parts is bounded in what it costs, and not smaller for it."""
    turns = [{"role": "user", "content": [{"type": "text", "text": "word"}]}] * 15_000

    assert read({"messages": turns}).needs.tokens > estimate(["word"] * 15_000)
    assert read({"messages": turns}).needs.tokens < estimate([json.dumps(turns)]) * 2
