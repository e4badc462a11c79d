"""All of a body counts, wherever it stands, but the few fields that no model reads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuronode_router.routing.contents import KEPT_BACK, PER_TOKEN, collect
from neuronode_router.routing.conversation import read, read_needs
from neuronode_router.routing.inventory import Ability
from neuronode_router.routing.tokens import estimate
from tests.unit.routing.test_needs import IMAGES, PDFS, WHERE_TEXT_STANDS

TOLD = "Am Hafen lag ein Boot, und niemand wusste, wem es einmal gehört hatte. " * 300
"""A text that is in no body before."""
TOKENS = estimate([TOLD])
SEALED = TOKENS * 0.95 if PER_TOKEN == 1 else len(TOLD) // PER_TOKEN * 0.95
FILES = frozenset({"data", "file_data", "url", "image_url", "video_url", "audio_url", "file_url"})
"""Keys whose texts are the bytes of a file where they stand in one."""
BODIES = (*WHERE_TEXT_STANDS.values(), *IMAGES, *PDFS)
KEYS = (
    *("content", "text", "parts", "role", "type", "id", "tool_calls", "arguments", "input", "output", "name"),
    *("functionResponse", "reasoning_content", "signature", "documents", "guided_json", "anything", "x" * 60),
    *("chat_template_kwargs", "web_search_options", "source", "prompt_variables", "extra_body", "query"),
)


def places(node: Any) -> Iterator[Any]:
    """Yield every mapping and list of a body, however deep."""
    yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from places(child)


def is_counted(key: str) -> bool:
    """Return whether a field of a body goes to a model."""
    return key not in KEPT_BACK and not key.startswith("_")


@settings(
    deadline=None, max_examples=settings().max_examples * 8, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.data())
def test_a_text_counts_wherever_it_is_put(data: st.DataObject) -> None:
    """In any place of any wire's body, under any key, as text, in a list or in an object, and in `extra_body`."""
    body = copy.deepcopy(data.draw(st.sampled_from(BODIES)))
    if data.draw(st.booleans()):
        body = {"model": "m", "extra_body": body}
    before = collect(body).tokens
    place = data.draw(st.sampled_from(list(places(body))))
    shape = data.draw(st.sampled_from(SHAPES))
    key = data.draw(st.sampled_from(KEYS) | st.text("abcdef_", min_size=1, max_size=9).filter(is_counted))
    if isinstance(place, list):
        if all(isinstance(item, str) for item in place):
            before = 0  # perhaps prompts, each served on its own
        place.insert(data.draw(st.integers(0, len(place))), shape(TOLD))
    elif key in place and data.draw(st.booleans()):
        place[key] = [place[key], shape(TOLD)]
    else:
        before -= estimate([str(place.get(key, ""))]) + 2000
        place[key] = shape(TOLD)

    # What is sealed, a signature or an id, is judged by its length.
    assert collect(body).tokens >= before + min(TOKENS * 0.95, SEALED) - 10


SHAPES: tuple[Callable[[str], Any], ...] = (
    str,
    lambda text: [text],
    lambda text: {"anything": text},
    lambda text: {"deep": [{"deeper": {"text": "x", "more": text}}]},
    lambda text: {"role": "user", "content": "x", "tool_calls": [{"function": {"arguments": text}}]},
    lambda text: {text: 1},
)


@pytest.mark.parametrize(
    "turn",
    [
        {"content": "x", "tool_calls": [{"function": {"arguments": TOLD}}]},
        {"content": "x", "reasoning_content": TOLD},
        {"role": "user", "content": {"text": "x", "more": TOLD}},
        {"text": "x", "functionResponse": {"response": {"out": TOLD}}},
        {"content": "x", "output": TOLD},
        {"text": "x", "content": TOLD},
        {"role": {"text": TOLD}, "content": "x"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "note": TOLD}},
        {"text": TOLD, "inlineData": {"mimeType": "image/png", "data": "AA"}},
    ],
)
@pytest.mark.parametrize("field", ["messages", "input", "contents"])
def test_no_text_hides_behind_another(turn: Mapping[str, object], field: str) -> None:
    """However a turn or a part is made up, its first text is not taken for all of it."""
    assert read_needs({field: [turn]}).tokens >= 0.95 * TOKENS


@pytest.mark.parametrize(
    "more",
    [
        {"extra_body": {"messages": [{"role": "user", "content": TOLD}]}},
        {"extra_body": {"tools": [{"function": {"description": TOLD}}]}},
        {"extra_body": {"extra_body": {"anything": TOLD}}},
        {"documents": [{"title": "x", "snippet": TOLD}]},
        {"chat_template_kwargs": {"note": TOLD}},
        {"web_search_options": {"user_location": TOLD}},
        {"guided_json": {"description": TOLD}},
        {"guided_regex": TOLD},
        {"tool_choice": {"function": {"name": TOLD}}},
        {"numbers": list(range(20_000))},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_field_that_nobody_knows_counts(more: dict[str, Any]) -> None:
    """Servers take fields that are in no list of ours."""
    assert read_needs({"messages": [{"role": "user", "content": "x"}], **more}).tokens >= 0.95 * TOKENS


def test_what_is_put_over_a_body_is_needed_too() -> None:
    """Images, tools and schemas of `extra_body` go out like any others."""
    inner = {**IMAGES[0], "tools": [{"type": "function"}], "response_format": {"type": "json_schema"}}

    needs = read({"messages": [{"role": "user", "content": "x"}], "extra_body": inner}).needs

    assert needs.modalities == {"text", "image"}
    assert needs.abilities == {Ability.TOOLS, Ability.SCHEMA}
    assert {"tools", "response_format"} <= needs.parameters


def test_images_are_seen_behind_more_pieces_than_are_looked_into() -> None:
    """A body of very many parts cannot hide what a deployment is blind for."""
    image = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a"}}],
    }
    many = [{"role": "user", "content": [{"type": "text", "text": "x"}]}] * 15_000

    assert "image" in read_needs({"messages": [image, *many]}).modalities


def test_what_is_served_one_by_one_need_not_fit_together() -> None:
    """Prompts, also where LiteLLM calls them messages, texts to embed, and documents to rank with their question."""
    one = read_needs({"prompt": TOLD}).tokens

    for field in ("prompt", "input", "messages", "documents"):
        assert one * 0.9 <= read_needs({field: [TOLD, *[TOLD[40:]] * 5]}).tokens <= one * 1.2
    assert read_needs({"query": TOLD, "documents": ["x", TOLD]}).tokens >= 1.9 * one
    assert read_needs({"input": [[1] * 900, [2] * 10]}).tokens >= 900
    assert read_needs({"input": [[TOLD], ["x"]]}).tokens >= 0.95 * one


def test_the_longest_of_many_is_the_one_with_the_most_tokens() -> None:
    """A shorter text of another kind may be more."""
    prose, digits = "Der Markt blieb geschlossen. " * 400, "7391" * 2000

    assert read_needs({"input": [prose, digits, prose[7:]]}).tokens >= 0.9 * estimate([digits])


@pytest.mark.parametrize("key", ["signature", "encrypted_content", "id", "tool_use_id", "thoughtSignature"])
def test_what_is_sealed_takes_room_by_its_length(key: str) -> None:
    """A name costs nothing; what a provider sealed in it does."""
    part = {"type": "thinking", "thinking": "x"}
    short = read_needs({"messages": [{"role": "assistant", "content": [part | {key: "a1" * 20}]}]}).tokens
    long = read_needs({"messages": [{"role": "assistant", "content": [part | {key: "a1" * 20_000}]}]}).tokens

    assert short < 20
    assert long >= 40_000 // PER_TOKEN


@pytest.mark.parametrize(
    "more",
    [
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
        {"output_format": {"type": "json_schema"}},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"text": {"format": {"type": "json_schema"}}},
        {"generationConfig": {"responseJsonSchema": {"type": "object"}}},
        {"guided_json": {"type": "object"}},
        {"format": {"type": "json_schema"}},
    ],
    ids=str,
)
def test_a_schema_is_asked_for_in_every_spelling(more: dict[str, Any]) -> None:
    """Wherever it stands, and in `extra_body`."""
    turns = {"messages": [{"role": "user", "content": "x"}]}

    assert Ability.SCHEMA in read_needs({**turns, **more}).abilities
    assert Ability.SCHEMA in read_needs({**turns, "extra_body": more}).abilities
