"""Which requests can be asked once more without side effects, and what of them is sent then.

It must not know callers, groups or LiteLLM. What is not known to be harmless is not repeated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_BYTES = 131_072
"""Longer requests are not repeated, as JSON in UTF-8: a few wait in memory, and what they cost must be bounded."""


class Repeated(StrEnum):
    """The formats of which requests are repeated."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"


FORMATS: Mapping[str, Repeated] = {
    **dict.fromkeys(("completion", "acompletion"), Repeated.CHAT),
    **dict.fromkeys(("anthropic_messages", "aanthropic_messages"), Repeated.MESSAGES),
    **dict.fromkeys(("responses", "aresponses"), Repeated.RESPONSES),
}
"""By LiteLLM's name of the call."""

_SAID: Mapping[Repeated, frozenset[str]] = {
    Repeated.CHAT: frozenset(
        {
            *("messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
            *(
                "response_format",
                "temperature",
                "top_p",
                "max_tokens",
                "max_completion_tokens",
                "stop",
                "seed",
            ),
            *("presence_penalty", "frequency_penalty", "logit_bias", "reasoning_effort", "verbosity"),
            *("thinking", "top_k", "logprobs", "top_logprobs"),
        }
    ),
    Repeated.MESSAGES: frozenset(
        {
            *("messages", "system", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences"),
            *("tools", "tool_choice", "thinking", "output_format", "output_config"),
        }
    ),
    Repeated.RESPONSES: frozenset(
        {
            *("input", "instructions", "max_output_tokens", "temperature", "top_p", "tools", "tool_choice"),
            *("parallel_tool_calls", "reasoning", "text"),
        }
    ),
}
"""What says something to a model: it is sent again as it was."""

_UNSAID = frozenset(
    {
        *(
            "model",
            "stream",
            "stream_options",
            "user",
            "metadata",
            "litellm_metadata",
            "tags",
            "cache",
            "caching",
        ),
        *("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "num_retries", "max_retries"),
        *("timeout", "stream_timeout", "request_timeout", "service_tier", "safety_identifier", "truncation"),
        *(
            "prompt_cache_key",
            "prompt_cache_retention",
            "litellm_session_id",
            "litellm_trace_id",
            "session_id",
        ),
        *(
            "guardrails",
            "disable_fallbacks",
            "allowed_openai_params",
            "additional_drop_params",
            "drop_params",
        ),
        *("anthropic_version", "no-log", "include"),
    }
)
"""What says nothing to a model, or only how LiteLLM handles the request: it is left out."""

_JUDGED = frozenset({"store", "background", "n"})
"""What may stand there as long as it asks for nothing out of the ordinary."""

_LIMITS: Mapping[Repeated, tuple[str, ...]] = {
    Repeated.CHAT: ("max_completion_tokens", "max_tokens"),
    Repeated.MESSAGES: ("max_tokens",),
    Repeated.RESPONSES: ("max_output_tokens",),
}
"""What limits an answer's length."""

_OWN_TOOLS: Mapping[Repeated, frozenset[object]] = {
    Repeated.CHAT: frozenset({"function"}),
    Repeated.MESSAGES: frozenset({None, "custom"}),
    Repeated.RESPONSES: frozenset({"function"}),
}
"""The kinds of tools that the client runs itself: calling one does nothing here. Others run at the provider."""

_TURNS = frozenset({"message", "function_call", "function_call_output", "reasoning", None})
"""Kinds of items of the responses format that stand for themselves; others refer to what a provider keeps."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """A request as it is asked once more."""

    format: Repeated
    body: Mapping[str, Any]
    """What is sent, without model and limit of the length."""
    size: int
    """Bytes as JSON: no tokenizer makes more tokens than bytes."""
    limit: int | None
    """The longest answer that the client wants, in tokens."""
    limit_name: str
    """The field that says so."""


def repetition(kind: Repeated, sent: Mapping[str, Any], fields: Set[str]) -> Repetition | None:
    """Return how to ask a request again, None where it cannot be, or not without side effects. Never raises.

    `fields` are those that the client wrote, `sent` those of them that go to a provider, as they are sent.
    """
    given = {name: value for name, value in sent.items() if value is not None}
    if fields - _SAID[kind] - _UNSAID - _JUDGED or not _is_harmless(kind, given):
        return None
    names = _LIMITS[kind]
    limits = {name: given[name] for name in names if type(given.get(name)) is int and given[name] > 0}
    body = {name: given[name] for name in given if name in _SAID[kind] and name not in names}
    try:
        size = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
    except (TypeError, ValueError, RecursionError):
        return None
    if kind is Repeated.RESPONSES:
        body["store"] = False  # providers keep answers of this format unless they are told not to
    return Repetition(kind, body, size, min(limits.values(), default=None), next(iter(limits), names[-1]))


def _is_harmless(kind: Repeated, given: Mapping[str, Any]) -> bool:
    if given.get("store") or given.get("background") or given.get("n", 1) != 1:
        return False
    tools, turns = given.get("tools", ()), given.get("input", ())
    return _are(tools, _OWN_TOOLS[kind]) and (isinstance(turns, str) or _are(turns, _TURNS))


def _are(things: object, kinds: frozenset[object]) -> bool:
    if not isinstance(things, Iterable):
        return False
    return all(isinstance(one, Mapping) and _kind(one) in kinds for one in things)


def _kind(thing: Mapping[str, Any]) -> object:
    kind = thing.get("type")
    return kind if kind is None or isinstance(kind, str) else False


def wanted_form(kind: Repeated, sent: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the form that a request demands as a `response_format`, None where any text will do. Never raises."""
    if kind is Repeated.CHAT:
        found = sent.get("response_format")
        return found if isinstance(found, Mapping) else None
    place = sent.get("text") if kind is Repeated.RESPONSES else sent.get("output_config")
    found = place.get("format") if isinstance(place, Mapping) else sent.get("output_format")
    if not isinstance(found, Mapping):
        return None
    if found.get("type") != "json_schema":
        return found
    return {"type": "json_schema", "json_schema": {"schema": found.get("schema")}}
