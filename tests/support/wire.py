"""What the fake provider answers in each wire format: those of OpenAI, Anthropic and Gemini.

Pure functions from (deployment name, word count) to bodies and events; every answer carries the name of the
deployment that was asked, in its text and in every streamed chunk. It must not know sockets or LiteLLM.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

PROMPT_TOKENS = 11
"""What every request is billed as."""

OUTGROWN = "This model's maximum context length is 8 tokens: it was"
"""How an error begins by which LiteLLM knows that a prompt is too long for a model: that of status 413."""


def chat(name: str, words: int) -> dict[str, Any]:
    """Return an OpenAI chat completion whose text is `words` times the deployment's name."""
    message = {"role": "assistant", "content": " ".join([name] * words)}
    return _openai("chat.completion", name, words) | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]
    }


def logprobs(token: str, probability: float) -> dict[str, Any]:
    """Return the log probabilities of a chat completion whose text is one token."""
    told = {"token": token, "logprob": math.log(probability), "bytes": None, "top_logprobs": []}
    return {"content": [told], "refusal": None}


def chat_events(name: str, words: int) -> Iterator[str]:
    """Yield an OpenAI chat stream: a role, `words` chunks with the name, the end, the usage, `[DONE]`."""
    yield _chat_chunk(name, {"role": "assistant", "content": ""})
    for _ in range(words):
        yield _chat_chunk(name, {"content": f"{name} "})
    yield _chat_chunk(name, {}, finish="stop")
    usage = _openai("chat.completion.chunk", name, words) | {"choices": []}
    yield _data(usage)
    yield "data: [DONE]\n\n"


def completion(name: str, words: int) -> dict[str, Any]:
    """Return an OpenAI text completion."""
    choice = {"index": 0, "text": " ".join([name] * words), "logprobs": None, "finish_reason": "stop"}
    return _openai("text_completion", name, words) | {"choices": [choice]}


def completion_events(name: str, words: int) -> Iterator[str]:
    """Yield an OpenAI text completion stream."""
    for _ in range(words):
        choice = {"index": 0, "text": f"{name} ", "logprobs": None, "finish_reason": None}
        yield _data(_openai("text_completion", name, 1) | {"choices": [choice], "usage": None})
    last = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
    yield _data(_openai("text_completion", name, words) | {"choices": [last]})
    yield "data: [DONE]\n\n"


def embeddings(name: str, count: int) -> dict[str, Any]:
    """Return `count` OpenAI embeddings of two numbers each."""
    rows = [{"object": "embedding", "index": i, "embedding": [0.25, 0.5]} for i in range(count)]
    usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    return {"object": "list", "model": name, "data": rows, "usage": usage}


def responses(name: str, words: int) -> dict[str, Any]:
    """Return an OpenAI responses object, completed."""
    return _response(name, "completed", [_output_item(" ".join([name] * words), "completed")], words)


def responses_events(name: str, words: int) -> Iterator[str]:
    """Yield the events of an OpenAI responses stream."""
    place = {"item_id": "msg_fake", "output_index": 0, "content_index": 0}
    yield _event("response.created", {"response": _response(name, "in_progress", [], 0)})
    yield _event("response.output_item.added", {"output_index": 0, "item": _output_item(None, "in_progress")})
    yield _event("response.content_part.added", {**place, "part": _output_text("")})
    for _ in range(words):
        yield _event("response.output_text.delta", {**place, "delta": f"{name} "})
    text = f"{name} " * words
    yield _event("response.output_text.done", {**place, "text": text})
    yield _event("response.content_part.done", {**place, "part": _output_text(text)})
    done = _output_item(text, "completed")
    yield _event("response.output_item.done", {"output_index": 0, "item": done})
    yield _event("response.completed", {"response": _response(name, "completed", [done], words)})


def anthropic(name: str, words: int) -> dict[str, Any]:
    """Return an Anthropic message."""
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": name,
        "content": [{"type": "text", "text": " ".join([name] * words)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": words},
    }


def anthropic_events(name: str, words: int) -> Iterator[str]:
    """Yield the events of an Anthropic message stream."""
    start = anthropic(name, 0) | {"content": [], "stop_reason": None}
    yield _event("message_start", {"message": start})
    yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    for _ in range(words):
        yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": f"{name} "}})
    yield _event("content_block_stop", {"index": 0})
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _event("message_delta", {"delta": stop, "usage": {"output_tokens": words}})
    yield _event("message_stop", {})


def gemini(name: str, words: int) -> dict[str, Any]:
    """Return a Gemini answer."""
    return _gemini(name, " ".join([name] * words), words, finish="STOP")


def gemini_events(name: str, words: int) -> Iterator[str]:
    """Yield a Gemini stream: a chunk per word, each with the usage so far, the last with the reason it ended."""
    for number in range(1, words + 1):
        yield _data(_gemini(name, f"{name} ", number, finish="STOP" if number == words else None))


def error(status: int) -> dict[str, Any]:
    """Return OpenAI's error body."""
    return {"error": {"message": _told_to_fail(status), "type": "fake", "code": status}}


def anthropic_error(status: int) -> dict[str, Any]:
    """Return Anthropic's error body."""
    kind = _ANTHROPIC_ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": _told_to_fail(status)}}


def gemini_error(status: int) -> dict[str, Any]:
    """Return Gemini's error body."""
    word = _GEMINI_ERRORS.get(status, "INTERNAL")
    return {"error": {"code": status, "message": _told_to_fail(status), "status": word}}


_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_GEMINI_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _told_to_fail(status: int) -> str:
    why = OUTGROWN if status == 413 else "the fake provider was"
    return f"{why} told to fail with {status}"


def _gemini(name: str, text: str, words: int, *, finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    if finish:
        candidate["finishReason"] = finish
    usage = {
        "promptTokenCount": PROMPT_TOKENS,
        "candidatesTokenCount": words,
        "totalTokenCount": PROMPT_TOKENS + words,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": name, "responseId": "fake-1"}


def _openai(kind: str, name: str, words: int) -> dict[str, Any]:
    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": words,
        "total_tokens": PROMPT_TOKENS + words,
    }
    return {"id": "fake-1", "object": kind, "created": 1, "model": name, "usage": usage}


def _chat_chunk(name: str, delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _data(_openai("chat.completion.chunk", name, 1) | {"choices": [choice], "usage": None})


def _response(name: str, status: str, output: list[dict[str, Any]], words: int) -> dict[str, Any]:
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": 1,
        "model": name,
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": words,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": PROMPT_TOKENS + words,
        },
    }


def _output_item(text: str | None, status: str) -> dict[str, Any]:
    content = [] if text is None else [_output_text(text)]
    return {"id": "msg_fake", "type": "message", "role": "assistant", "status": status, "content": content}


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _event(kind: str, fields: dict[str, Any]) -> str:
    return f"event: {kind}\n" + _data({"type": kind, **fields})


def _data(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, separators=(',', ':'))}\n\n"
