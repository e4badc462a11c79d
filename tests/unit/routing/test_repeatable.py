"""Which requests are asked once more, and what of them is sent: nothing with side effects, nothing unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.repeatable import FORMATS, Repeated, repetition, wanted_form

MESSAGES = [{"role": "user", "content": "Größe?"}]
BODIES: dict[Repeated, dict[str, Any]] = {
    Repeated.CHAT: {"messages": MESSAGES, "temperature": 0, "tools": [{"type": "function", "function": {}}]},
    Repeated.MESSAGES: {"messages": MESSAGES, "system": "Brief.", "max_tokens": 9, "tools": [{"name": "x"}]},
    Repeated.RESPONSES: {
        "input": MESSAGES,
        "text": {"format": {"type": "text"}},
        "tools": [{"type": "function"}],
    },
}
SCHEMA = {"type": "object"}


def again(kind: Repeated, **more: Any) -> Any:
    """Return how a request is asked again."""
    body = BODIES[kind] | more
    return repetition(kind, body, body.keys())


@pytest.mark.parametrize("kind", Repeated)
def test_what_says_something_is_sent_again(kind: Repeated) -> None:
    """As it was; what is the client's or LiteLLM's own business is left out, and nothing is stored."""
    found = again(
        kind, model="chat", stream=True, user="u-1", metadata={"a": 1}, fallbacks=["x"], n=1, store=False
    )

    kept = {name: value for name, value in BODIES[kind].items() if name != "max_tokens"}
    assert found.body == kept | ({"store": False} if kind is Repeated.RESPONSES else {})
    assert found.size > 20


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        *((kind, {"store": True}) for kind in Repeated),
        *((kind, {"n": 2}) for kind in Repeated),
        *((kind, {"nobody_knows_this": 1}) for kind in Repeated),
        *((kind, {"tools": [{"type": "web_search"}]}) for kind in Repeated),
        *((kind, {"tools": ["x"]}) for kind in Repeated),
        *((kind, {"tools": 3}) for kind in Repeated),
        (Repeated.CHAT, {"web_search_options": {}}),
        (Repeated.CHAT, {"modalities": ["audio"]}),
        (Repeated.MESSAGES, {"mcp_servers": [{}]}),
        (Repeated.MESSAGES, {"container": "c"}),
        (Repeated.MESSAGES, {"tools": [{"type": "computer_20250124", "name": "computer"}]}),
        (Repeated.RESPONSES, {"previous_response_id": "resp_1"}),
        (Repeated.RESPONSES, {"conversation": "conv_1"}),
        (Repeated.RESPONSES, {"background": True}),
        (Repeated.RESPONSES, {"prompt": {"id": "p"}}),
        (Repeated.RESPONSES, {"tools": [{"type": "mcp"}]}),
        (Repeated.RESPONSES, {"input": [{"type": "item_reference", "id": "i"}]}),
    ],
)
def test_what_cannot_be_repeated(kind: Repeated, more: dict[str, Any]) -> None:
    """It would be stored, run something, go on from what a provider keeps, or nobody knows what it does."""
    assert again(kind, **more) is None


def test_a_field_that_went_elsewhere_on_its_way_counts() -> None:
    """The client wrote it, whatever became of it."""
    body = BODIES[Repeated.CHAT]

    assert repetition(Repeated.CHAT, body, {*body, "extra_body"}) is None
    assert repetition(Repeated.CHAT, body, {*body, "model"}) is not None


@pytest.mark.parametrize(
    ("kind", "more", "limit", "name"),
    [
        (Repeated.CHAT, {}, None, "max_tokens"),
        (Repeated.CHAT, {"max_tokens": 7}, 7, "max_tokens"),
        (Repeated.CHAT, {"max_completion_tokens": 8}, 8, "max_completion_tokens"),
        (Repeated.CHAT, {"max_tokens": 0}, None, "max_tokens"),
        (Repeated.MESSAGES, {}, 9, "max_tokens"),
        (Repeated.RESPONSES, {"max_output_tokens": 5}, 5, "max_output_tokens"),
        (Repeated.RESPONSES, {}, None, "max_output_tokens"),
    ],
)
def test_the_clients_own_limit_holds(
    kind: Repeated, more: dict[str, Any], limit: int | None, name: str
) -> None:
    """In the field in which it stood."""
    found = again(kind, **more)

    assert (found.limit, found.limit_name) == (limit, name)
    assert name not in found.body


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (Repeated.CHAT, {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
        (Repeated.RESPONSES, {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}}),
        (Repeated.MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        (Repeated.MESSAGES, {"output_format": {"type": "json_schema", "schema": SCHEMA}}),
    ],
)
def test_a_schema_is_found_in_each_format(kind: Repeated, sent: dict[str, Any]) -> None:
    """As the chat format has it; without one there is none."""
    assert wanted_form(kind, sent) == {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    assert wanted_form(kind, {"text": "x", "output_config": None}) is None


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
_NAMES = st.sampled_from(
    ["messages", "input", "tools", "n", "store", "max_tokens", "text", "output_config", "x"]
)


@given(kind=st.sampled_from(Repeated), sent=st.dictionaries(_NAMES, _ANY, max_size=5))
def test_no_body_raises(kind: Repeated, sent: dict[str, Any]) -> None:
    """Clients send what they like."""
    found = repetition(kind, sent, sent.keys())
    wanted_form(kind, sent)

    assert found is None or not {"n", "x", "stream"} & found.body.keys()


def test_the_formats_are_known_by_litellms_calls() -> None:
    """Synchronous and not."""
    assert {FORMATS[name] for name in ("acompletion", "aresponses", "anthropic_messages")} == set(Repeated)
