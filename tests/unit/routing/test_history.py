"""What goes of a history at another provider: exactly what only its maker can read, once, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.conversation import is_answer
from neuronode_router.routing.growth import begins
from neuronode_router.routing.history import acceptable, rejected, unfit_thinking

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
HIDDEN = {"type": "redacted_thinking", "data": "d"}
TEXT = {"type": "text", "text": "yes"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
SEALED = {"type": "web_search_result_location", "url": "u", "encrypted_index": "e"}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"encrypted_content": "e"}],
}
CITING = TEXT | {"citations": [SEALED]}
USER = {"role": "user", "content": "who are you"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def said(*parts: object, **fields: object) -> dict[str, Any]:
    return {"role": "assistant", "content": list(parts), **fields}


def everything(_: int) -> bool:
    return True


def nothing(_: int) -> bool:
    return False


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (said(THOUGHT, TEXT), said(TEXT), {"thinking_blocks"}),
        (said(HIDDEN, TEXT, THOUGHT), said(TEXT), {"thinking_blocks"}),
        (said(THOUGHT, USE), said(USE), {"thinking_blocks"}),
        (said(THOUGHT), None, {"thinking_blocks"}),
        (said(THOUGHT, tool_calls=[CALL]), said(tool_calls=[CALL]), {"thinking_blocks"}),
        (
            {"role": "assistant", "content": "yes", "thinking_blocks": [THOUGHT], "reasoning_items": [{}]},
            {"role": "assistant", "content": "yes"},
            {"thinking_blocks"},
        ),
        (said(SEARCH, FOUND, CITING), said(TEXT), {"hosted_tools", "encrypted_content"}),
        (
            said(CITING | {"citations": [SEALED, {"url": "u"}]}),
            said(TEXT | {"citations": [{"url": "u"}]}),
            {"encrypted_content"},
        ),
        (said(SEARCH, FOUND), None, {"hosted_tools"}),
        (
            said({"type": "mcp_tool_use", "id": "m"}, {"type": "mcp_tool_result", "tool_use_id": "m"}, TEXT),
            said(TEXT),
            {"hosted_tools"},
        ),
        (said({"type": "compaction", "encrypted_content": "e"}, TEXT), said(TEXT), {"encrypted_content"}),
        ({"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, None, {"item_ids"}),
        (
            {
                "role": "assistant",
                "content": "yes",
                "provider_specific_fields": {"thinking_blocks": [THOUGHT]},
            },
            {"role": "assistant", "content": "yes"},
            {"encrypted_content"},
        ),
        (said(TEXT, audio=None), said(TEXT, audio=None), set()),
        (said(TEXT), said(TEXT), set()),
        (said(USE), said(USE), set()),
        ({"role": "assistant", "content": "yes", "provider_specific_fields": {"citations": None}},) * 2
        + (set(),),
        ({"role": "assistant", "content": "yes"}, {"role": "assistant", "content": "yes"}, set()),
        (
            {"role": "user", "content": [THOUGHT]},
            {"role": "user", "content": [THOUGHT]},
            set(),
        ),
    ],
)
def test_what_goes_of_a_message(
    before: dict[str, Any], after: dict[str, Any] | None, names: set[str]
) -> None:
    """Signed parts go, whole messages only where nothing else is left of them; what a person sent stays."""
    found = acceptable({"messages": [USER, before, USER]}, everything, keeps_state=True)

    expected = [USER, *([after] if after else []), USER]
    assert found.changed.get("messages", [USER, before, USER]) == expected
    assert (set(found.names), found.left_out) == (names, frozenset())


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ({"type": "reasoning", "id": "rs_1", "encrypted_content": "e"}, None, {"encrypted_content"}),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, None, {"encrypted_content"}),
        ({"type": "compaction", "encrypted_content": "e"}, None, {"encrypted_content"}),
        ({"type": "item_reference", "id": "msg_1"}, None, {"item_reference"}),
        (
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
            {"item_ids"},
        ),
        (
            {"role": "assistant", "id": "msg_1", "content": "yes"},
            {"role": "assistant", "content": "yes"},
            {"item_ids"},
        ),
        ({"type": "web_search_call", "id": "ws_1"}, None, {"hosted_tools"}),
        ({"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}, None, {"hosted_tools"}),
        ({"type": "mcp_approval_request", "id": "mcpr_1"}, None, {"hosted_tools"}),
        (
            {"type": "computer_call", "id": "cu_1", "call_id": "c"},
            {"type": "computer_call", "call_id": "c"},
            {"item_ids"},
        ),
    ],
)
def test_what_goes_of_an_item(before: dict[str, Any], after: dict[str, Any] | None, names: set[str]) -> None:
    """Items that only their maker can read or has run go; calls and messages lose their maker's id."""
    found = acceptable({"input": [USER, before]}, everything, keeps_state=True)

    assert found.changed.get("input", [USER, before]) == [USER, *([after] if after else [])]
    assert set(found.names) == names


@pytest.mark.parametrize(
    ("reply", "after"),
    [
        (
            {"type": "function_call_output", "id": "fco_1", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c"},
        ),
        ({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}, None),
        (*({"type": "mcp_approval_response", "approval_request_id": "of an own one"},) * 2,),
        (*({"role": "user", "id": "the client's own", "content": "go on"},) * 2,),
    ],
)  # fmt: skip
def test_what_goes_of_a_reply_to_a_foreign_answer(
    reply: dict[str, Any], after: dict[str, Any] | None
) -> None:
    """The id under which the maker keeps it, and all of it where what it replies to is gone."""
    asked = [{"type": "mcp_approval_request", "id": "mcpr_1"}]
    asked.append({"type": "function_call", "call_id": "c"})

    found = acceptable({"input": [USER, *asked, reply]}, everything, keeps_state=True)

    assert found.changed["input"] == [USER, asked[1], *([after] if after else [])]


def test_the_id_of_a_response_goes_where_nobody_knows_it() -> None:
    """With the maker itself, or one that never sees it, it stays."""
    body = {"input": "on", "previous_response_id": "resp_1"}

    assert acceptable(body, everything, keeps_state=False).left_out == {"previous_response_id"}
    assert acceptable(body, everything, keeps_state=True).names == frozenset()


def test_only_what_others_wrote_goes() -> None:
    """The turns of the one who is asked keep their signatures."""
    body = {"messages": [USER, said(THOUGHT, TEXT), USER, said(THOUGHT, TEXT)]}

    found = acceptable(body, lambda place: place < 2, keeps_state=True)

    assert found.changed["messages"] == [USER, said(TEXT), USER, said(THOUGHT, TEXT)]


parts = st.sampled_from(
    [THOUGHT, HIDDEN, TEXT, USE, SEARCH, FOUND, CITING, {"type": ["no kind"]}, {"type": "image"}, "bare"]
)
messages = st.one_of(
    st.builds(lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "tool"]),
              st.lists(parts, max_size=4)),
    st.builds(lambda content: {"role": "assistant", "content": content}, st.lists(parts, max_size=4)),
    st.builds(lambda text: {"role": "assistant", "content": text, "thinking_blocks": [THOUGHT]}, st.text()),
    st.builds(
        lambda kind, mark: {"type": kind, "id": "x_1", **mark},
        st.sampled_from([
            *("reasoning", "function_call", "message", "item_reference", "function_call_output"),
            *("web_search_call", "mcp_approval_request", "mcp_approval_response"),
        ]),
        st.sampled_from([
            *({}, {"encrypted_content": "e"}, {"role": "assistant"}, {"call_id": "c"}),
            *({"approval_request_id": "x_1"}, {"approval_request_id": [], "id": {}}),
        ]),
    ),
    st.sampled_from([None, 7, "text", [], {}]),
)  # fmt: skip
bodies = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(messages, max_size=8),
        "input": st.one_of(st.text(), st.lists(messages, max_size=8)),
        "previous_response_id": st.just("resp_1"),
        "temperature": st.just(0.5),
        "tools": st.just([{"name": "look"}]),
    },
)


@given(bodies, st.booleans(), st.sets(st.integers(0, 7)))
def test_nothing_else_changes_and_once_is_enough(
    body: dict[str, Any], keeps: bool, foreign: set[int]
) -> None:
    """Other fields, other turns and the body handed in stay as they were; what came out is left alone."""
    untouched = copy.deepcopy(body)

    found = acceptable(body, lambda place: place in foreign, keeps_state=keeps)

    assert body == untouched
    assert found.changed.keys() <= {"messages", "input"}
    assert found.left_out <= {"previous_response_id"}
    assert bool(found.names) == bool(found.changed or found.left_out)
    for key, turns in found.changed.items():
        places = [at for at in range(len(body[key])) if begins(body[key], at)]
        made = [max((at for at in places if at <= number), default=-1) for number in range(len(body[key]))]
        own = [turn for turn, place in zip(body[key], made, strict=True) if place not in foreign]
        left = iter(turns)
        assert all(any(turn is kept for turn in left) for kept in own), "in their order"
    all_out = acceptable(body, everything, keeps_state=keeps)
    clean = {key: value for key, value in (body | all_out.changed).items() if key not in all_out.left_out}
    second = acceptable(clean, everything, keeps_state=keeps)
    assert (dict(second.changed), second.left_out, second.names) == ({}, frozenset(), frozenset())


@given(bodies)
def test_at_its_maker_a_history_is_not_touched(body: dict[str, Any]) -> None:
    """Where nobody else wrote anything, nothing goes."""
    found = acceptable(body, nothing, keeps_state=True)

    assert (dict(found.changed), found.left_out, found.names) == ({}, frozenset(), frozenset())


@pytest.mark.parametrize(
    ("turn", "asked", "unfit"),
    [
        (said(USE), {"thinking": {"type": "enabled"}}, {"thinking"}),
        (said(USE), {"reasoning_effort": "low"}, {"reasoning_effort"}),
        (said(tool_calls=[CALL]), {"reasoning_effort": "low"}, {"reasoning_effort"}),
        (said(THOUGHT, USE), {"thinking": {"type": "enabled"}}, set()),
        (said(tool_calls=[CALL], thinking_blocks=[THOUGHT]), {"reasoning_effort": "low"}, set()),
        (said(TEXT), {"thinking": {"type": "enabled"}}, set()),
        (said(USE), {}, set()),
    ],
)
def test_thinking_is_not_asked_for_in_a_loop_that_began_without(
    turn: dict[str, Any], asked: dict[str, Any], unfit: set[str]
) -> None:
    """Only where the last answer calls a tool, and does not begin with a thought."""
    turns = [USER, turn, {"role": "tool", "tool_call_id": "call_1", "content": "ok"}]

    assert unfit_thinking({"messages": turns, **asked}, turns) == unfit


ACCEPTS = frozenset({"temperature", "reasoning_effort", "tools"})


@pytest.mark.parametrize(
    ("body", "left_out", "changed"),
    [
        ({"seed": 7, "temperature": 0.5}, {"seed"}, {}),
        ({"max_tokens": 5, "response_format": {"type": "json_object"}, "tools": [1]}, set(), {}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5000}},
            {"thinking"},
            {"reasoning_effort": "high"},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            {"thinking"},
            {"reasoning_effort": "medium"},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"thinking"}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "adaptive"}}, {"thinking"}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "adaptive"}, "reasoning_effort": "low"}, {"thinking"}, {}),
        ({"seed": None, "unknown": 1}, set(), {}),
    ],
)
def test_parameters_that_a_model_refuses(
    body: dict[str, Any], left_out: set[str], changed: dict[str, Any]
) -> None:
    """They go by name; a wish for thinking is put in the other model's words; what an answer needs stays."""
    found = rejected(body, ACCEPTS)

    assert (set(found.left_out), dict(found.changed)) == (left_out, changed)
    assert found.names == found.left_out


@pytest.mark.parametrize("turn", [{"role": "assistant"}, {"role": "model"}, {"type": "function_call"}])
def test_what_an_assistant_wrote(turn: dict[str, Any]) -> None:
    """By role, or by the kind of an item that has none."""
    assert is_answer(turn)
    assert not is_answer({"role": "user"})
