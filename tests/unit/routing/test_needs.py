"""Every wire, every kind of need, wherever it stands: what a request is read to need of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from neuronode_router.routing.contents import MOST_GUESSED
from neuronode_router.routing.conversation import read
from neuronode_router.routing.fit import ROOM, Needs
from neuronode_router.routing.inventory import Ability, Deployment
from neuronode_router.routing.tokens import estimate
from tests.unit.routing.test_conversation import CALL, LONG, USER

PNG = "data:image/png;base64," + "A" * 4000
PDF = "data:application/pdf;base64," + "A" * 4000


def turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}


def gemini(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "x"}, *parts]}], **more}


WHERE_TEXT_STANDS: Mapping[str, Any] = {
    "chat: turn": {"messages": [{"role": "user", "content": LONG}]},
    "chat: part": {"messages": [turn({"type": "text", "text": LONG})]},
    "chat: the oldest of many turns": {"messages": [{"role": "user", "content": LONG}] + [USER] * 99},
    "chat: system": {"messages": [{"role": "system", "content": LONG}, USER]},
    "chat: system of parts": {
        "messages": [{"role": "system", "content": [{"type": "text", "text": LONG}]}, USER]
    },
    "chat: tool definition": {
        "messages": [USER],
        "tools": [{"type": "function", "function": {"name": "f", "description": LONG}}],
    },
    "chat: schema": {
        "messages": [USER],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"description": LONG}}},
    },
    "chat: arguments of a call": {
        "messages": [
            USER,
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": LONG}}]},
        ]
    },
    "chat: result of a tool": {"messages": [USER, CALL, {"role": "tool", "content": LONG}]},
    "chat: result of parts": {
        "messages": [USER, CALL, {"role": "tool", "content": [{"type": "text", "text": LONG}]}]
    },
    "chat: reasoning": {"messages": [USER, {"role": "assistant", "reasoning_content": LONG}]},
    "chat: prediction": {"messages": [USER], "prediction": {"type": "content", "content": LONG}},
    "text: prompt": {"prompt": LONG},
    "text: one of many": {"prompt": ["x", LONG, "y"]},
    "text: suffix": {"prompt": "x", "suffix": LONG},
    "embeddings: one of many": {"input": ["x", LONG]},
    "responses: text": {"input": LONG},
    "responses: instructions": {"input": "x", "instructions": LONG},
    "responses: item": {"input": [{"role": "user", "content": [{"type": "input_text", "text": LONG}]}]},
    "responses: arguments": {"input": [USER, {"type": "function_call", "name": "f", "arguments": LONG}]},
    "responses: output": {"input": [USER, {"type": "function_call_output", "output": LONG}]},
    "responses: output of parts": {
        "input": [{"type": "function_call_output", "output": [{"type": "input_text", "text": LONG}]}]
    },
    "responses: schema": {
        "input": "x",
        "text": {"format": {"type": "json_schema", "schema": {"description": LONG}}},
    },
    "messages: system": {"system": LONG, "messages": [USER]},
    "messages: system as list": {"system": [{"type": "text", "text": LONG}], "messages": [USER]},
    "messages: tool": {"messages": [USER], "tools": [{"name": "f", "input_schema": {"description": LONG}}]},
    "messages: input of a call": {
        "messages": [
            USER,
            {"role": "assistant", "content": [{"type": "tool_use", "input": {"deep": [{"q": LONG}]}}]},
        ]
    },
    "messages: result nested as list": {
        "messages": [turn({"type": "tool_result", "content": [{"type": "text", "text": LONG}]})]
    },
    "messages: thinking": {
        "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": LONG}]}]
    },
    "messages: document of text": {
        "messages": [turn({"type": "document", "source": {"type": "text", "data": LONG}})]
    },
    "messages: document of parts": {
        "messages": [
            turn(
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": LONG}]},
                }
            )
        ]
    },
    "gemini: part": gemini({"text": LONG}),
    "gemini: systemInstruction": gemini(systemInstruction={"parts": [{"text": LONG}]}),
    "gemini: system_instruction": gemini(system_instruction={"parts": {"text": LONG}}),
    "gemini: tool": gemini(tools=[{"functionDeclarations": [{"name": "f", "description": LONG}]}]),
    "gemini: arguments": gemini({"functionCall": {"name": "f", "args": {"q": LONG}}}),
    "gemini: result": gemini({"functionResponse": {"name": "f", "response": {"out": LONG}}}),
    "gemini: schema": gemini(generationConfig={"responseSchema": {"description": LONG}}),
    "gemini: config": gemini(config={"system_instruction": LONG}),
}


@pytest.mark.parametrize("where", WHERE_TEXT_STANDS)
def test_text_counts_wherever_it_stands(where: str) -> None:
    """Everything that is sent takes room, in whichever field of whichever format it is sent, and nothing twice."""
    tokens = read(WHERE_TEXT_STANDS[where]).needs.tokens

    assert estimate([LONG]) * 0.95 <= tokens <= estimate([LONG]) * 1.1 + 500


IMAGES: tuple[Any, ...] = (
    {"messages": [turn({"type": "image_url", "image_url": {"url": PNG}})]},
    {"messages": [turn({"type": "image_url", "image_url": "https://example.com/a"})]},
    {"messages": [turn({"type": "image_url", "image_url": {"url": PNG}}), *[USER] * 99]},
    {
        "messages": [
            USER,
            CALL,
            {"role": "tool", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
        ]
    },
    {"messages": [turn({"type": "file", "file": {"file_data": PNG}})]},
    {"messages": [turn({"type": "file", "file": {"file_id": "f", "format": "image/webp"}})]},
    {"input": [turn({"type": "input_image", "image_url": PNG})]},
    {"input": [turn({"type": "input_image", "file_id": "f"})]},
    {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": PNG}]}]},
    {
        "input": [
            {
                "type": "computer_call_output",
                "output": {"type": "computer_screenshot", "image_url": PNG},
            }
        ]
    },
    {
        "messages": [
            turn({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}})
        ]
    },
    {"messages": [turn({"type": "image", "source": {"type": "url", "url": "https://example.com/a"}})]},
    {
        "messages": [
            turn({"type": "tool_result", "content": [{"type": "image", "source": {"type": "base64"}}]})
        ]
    },
    gemini({"inlineData": {"mimeType": "image/png", "data": "AA"}}),
    gemini({"inline_data": {"mime_type": "image/png", "data": "AA"}}),
    gemini({"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b"}}),
    gemini({"file_data": {"file_uri": "gs://a/b.jpg"}}),
    gemini({"functionResponse": {"name": "f", "parts": [{"inlineData": {"mimeType": "image/png"}}]}}),
)
PDFS: tuple[Any, ...] = (
    {"messages": [turn({"type": "file", "file": {"file_data": PDF, "filename": "a"}})]},
    {"messages": [turn({"type": "file", "file": {"file_id": "f"}})]},
    {"input": [turn({"type": "input_file", "file_data": PDF})]},
    {"input": [turn({"type": "input_file", "file_url": "https://example.com/a.pdf"})]},
    {"messages": [turn({"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}})]},
    {
        "messages": [
            turn({"type": "tool_result", "content": [{"type": "document", "source": {"type": "file"}}]})
        ]
    },
    gemini({"inlineData": {"mimeType": "application/pdf", "data": "AA"}}),
    gemini({"fileData": {"fileUri": "https://example.com/a.pdf"}}),
)
SOUNDS: tuple[Any, ...] = (
    {"messages": [turn({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}})]},
    {"messages": [turn({"type": "file", "file": {"file_data": "data:audio/mpeg;base64,AA"}})]},
    {"input": [turn({"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}})]},
    gemini({"inlineData": {"mimeType": "audio/ogg", "data": "AA"}}),
)
FILMS: tuple[Any, ...] = (
    {"messages": [turn({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}})]},
    {"messages": [turn({"type": "file", "file": {"file_id": "gs://a/b", "format": "video/mp4"}})]},
    gemini({"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/v"}}),
)


@pytest.mark.parametrize(
    ("modality", "body"),
    [
        (name, body)
        for name, bodies in (("image", IMAGES), ("pdf", PDFS), ("audio", SOUNDS), ("video", FILMS))
        for body in bodies
    ],
)
def test_what_is_no_text_is_seen_wherever_it_stands(modality: str, body: dict[str, Any]) -> None:
    """In every format's spelling, in results of tools and in old turns; its bytes do not count as text."""
    needs = read(body).needs

    assert needs.modalities == {"text", modality}
    assert needs.tokens < 3000


def test_files_take_room_by_their_size() -> None:
    """A document of a megabyte is dozens of pages, and a text file is its text."""
    document = {"inlineData": {"mimeType": "application/pdf", "data": "A" * 1_400_000}}
    table = {"inlineData": {"mimeType": "text/csv", "data": "A" * 40_000}}

    assert read(gemini(document)).needs.tokens > 30_000
    assert read(gemini(table)).needs == Needs(tokens=read(gemini(table)).needs.tokens)
    assert read(gemini(table)).needs.tokens > 8_000


@pytest.mark.parametrize("kind", ["application/pdf", "audio/wav", "video/mp4", "application/x-unknown"])
def test_what_only_the_bytes_of_a_file_tell_is_a_guess(kind: str) -> None:
    """Ten megabytes may be three scanned pages: the text beside them is sure, and their first page."""
    file = {"inlineData": {"mimeType": kind, "data": "A" * 14_000_000}}

    needs = read(gemini({"text": "x " * 4_000}, file)).needs

    assert 12_000 < needs.guessed <= MOST_GUESSED
    assert 3_000 < needs.sure < 8_000
    assert needs.sure + needs.guessed == needs.tokens
    assert needs.least(Deployment("a", "g", context_window=8192)) == needs.sure + ROOM


@pytest.mark.parametrize(
    ("body", "abilities"),
    [
        ({"messages": [USER], "tools": [{"type": "function"}]}, {Ability.TOOLS}),
        ({"messages": [USER], "functions": [{"name": "f"}]}, {Ability.TOOLS}),
        ({"messages": [USER], "tools": [{"type": "function"}], "tool_choice": "none"}, set()),
        ({"messages": [USER], "response_format": {"type": "json_schema"}}, {Ability.SCHEMA}),
        ({"messages": [USER], "response_format": {"type": "json_object"}}, set()),
        ({"messages": [USER], "reasoning_effort": "high"}, {Ability.REASONING}),
        ({"input": "x", "tools": [{"type": "function"}]}, {Ability.TOOLS}),
        ({"input": "x", "text": {"format": {"type": "json_schema"}}}, {Ability.SCHEMA}),
        ({"input": "x", "reasoning": {"effort": "high"}}, {Ability.REASONING}),
        ({"messages": [USER], "output_format": {"type": "json_schema"}}, {Ability.SCHEMA}),
        ({"messages": [USER], "thinking": {"type": "enabled"}}, {Ability.REASONING}),
        (gemini(tools=[{"functionDeclarations": [{"name": "f"}]}]), {Ability.TOOLS}),
        (gemini(generationConfig={"responseSchema": {"type": "object"}}), {Ability.SCHEMA}),
    ],
)
def test_abilities_are_named_in_every_format(body: dict[str, Any], abilities: set[Ability]) -> None:
    """Tools, a schema for the answer, and reasoning."""
    assert read(body).needs.abilities == abilities


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [USER], "max_tokens": 900},
        {"messages": [USER], "max_completion_tokens": 900},
        {"input": "x", "max_output_tokens": 900},
        gemini(generationConfig={"maxOutputTokens": 900}),
        gemini(config={"max_output_tokens": 900}),
    ],
)
def test_the_longest_answer_is_named_in_every_format(body: dict[str, Any]) -> None:
    """An answer needs room beside the prompt; more than a little of it is a wish."""
    needs = read(body).needs

    assert needs.answer == 900
    assert needs.least(Deployment("a", "g", context_window=8192)) == needs.tokens + ROOM


def test_parameters_are_those_that_say_something() -> None:
    """One answer, no log probabilities, and null are what goes without saying."""
    body = {"messages": [USER], "n": 1, "logprobs": False, "seed": None, "top_logprobs": 3, "model": "auto"}

    assert read(body).needs.parameters == {"top_logprobs"}
    assert read(body | {"n": 2}).needs.parameters == {"n", "top_logprobs"}
