"""A request and its answer as LiteLLM tells them, read as what the judge may compare: plain text of the chat, messages
and responses formats.

It keeps what a sampled request of the latter two asks until its end, for LiteLLM's log does not have all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from neuronode_router.auto.comparison import ANSWER_TOKENS, Comparison, Message
from neuronode_router.routing.contents import SYSTEM
from neuronode_router.routing.conversation import system_beside
from neuronode_router.routing.residency import NOTHING_REQUIRED, Required

CHAT = frozenset({"completion", "acompletion"})
OTHERS = {
    **dict.fromkeys(("anthropic_messages", "aanthropic_messages"), "messages"),
    **dict.fromkeys(("responses", "aresponses"), "input"),
}
"""Calls of the other two formats, and where they keep what is said."""
ROLES = frozenset({"system", "developer", "user", "assistant"})
TEXTS = frozenset({"text", "input_text", "output_text"})
LIMITS = frozenset({"num_predict", "max_length"})
"""Parameters that limit an answer's length, beside those whose name says tokens: `max_tokens`, `maxTokens`."""
UNSUITED = (
    *("previous_response_id", "conversation", "prompt", "background", "truncation", "context_management"),
    *("text", "output_format", "output_config", "tools", "mcp_servers", "container"),
)
"""Fields of theirs that a request to another group would not say again: more than is sent, forms, and tools."""
HELD = 50
"""Requests whose text is held at the same time; the oldest is let go."""


Whose = tuple[str, str]
"""LiteLLM's call id, which callers may choose, and the caller."""


class HeldRequests:
    """What sampled requests ask, from before their first attempt until the answer is there."""

    def __init__(self) -> None:
        self._held: dict[Whose, Mapping[str, Any]] = {}

    def hold(self, whose: Whose, kwargs: Mapping[str, Any], call_type: object) -> None:
        """Refer to the text of a request of the messages or responses format; copies nothing."""
        place = OTHERS.get(str(getattr(call_type, "value", call_type)))
        # LiteLLM translates some formats into others by a call within the call: the first is the client's.
        if place is None or whose in self._held or any(kwargs.get(name) for name in UNSUITED):
            return
        self._held[whose] = {name: kwargs[name] for name in (place, *SYSTEM) if name in kwargs}
        if len(self._held) > HELD:
            del self._held[next(iter(self._held))]

    def take(self, whose: Whose | None) -> Mapping[str, Any] | None:
        """Let a request go and return it, None where it is not held."""
        return self._held.pop(whose, None) if whose is not None else None


def comparison_of(
    kwargs: Mapping[str, Any],
    *,
    held: Mapping[str, Any] | None,
    answer: str | None,
    rival: str,
    whose: Whose,
    places: Required = NOTHING_REQUIRED,
) -> Comparison | None:
    """Return what is to be compared, None for a request or an answer that is not plain text, or too long."""
    asked = {"messages": kwargs.get("messages")} if kwargs.get("call_type") in CHAT else held
    messages = None if asked is None else as_messages(asked)
    if answer is None or messages is None:
        return None
    parameters = kwargs.get("optional_params") or {}
    form = parameters.get("response_format")
    found = Comparison(
        *whose,
        messages,
        answer,
        rival,
        max_tokens=min((ANSWER_TOKENS, *limits_of(parameters))),
        form=form if isinstance(form, Mapping) else None,
        places=places,
    )
    return found if found.fits else None


def whole_answer(response: object) -> str | None:
    """Return the text of an answer that was given to its end, None for one that is more or less than that."""
    choices = getattr(response, "choices", None)
    if isinstance(choices, list) and choices:
        content = getattr(getattr(choices[0], "message", None), "content", None)
        ended = getattr(choices[0], "finish_reason", None) == "stop"
        return content if ended and isinstance(content, str) else None
    items = getattr(response, "output", None)
    if getattr(response, "status", None) != "completed" or not isinstance(items, list):
        return None
    if any(getattr(item, "type", None) not in ("message", "reasoning") for item in items):
        return None
    parts = [
        part for item in items for part in getattr(item, "content", None) or () if item.type == "message"
    ]
    texts = [part.text for part in parts if getattr(part, "type", None) == "output_text"]
    return "".join(texts) if len(texts) == len(parts) else None


def limits_of(parameters: Mapping[str, Any]) -> list[int]:
    """Return the lengths that a request or its deployment sets, in parameters as the provider names them."""
    return [
        value
        for name, value in parameters.items()
        if ("token" in name.lower() or name in LIMITS) and type(value) is int and value > 0
    ]


def as_messages(body: Mapping[str, Any]) -> tuple[Message, ...] | None:
    """Return what a body of any of the formats asks as chat messages, None where that is more than text."""
    given = body.get("messages", body.get("input"))
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(turns, list):
        return None
    told = tuple(_messages(turns))
    if not told or len(told) != len(turns):
        return None
    system = system_beside(body)
    return ({"role": "system", "content": system}, *told) if system else told


def _messages(given: Iterable[Any]) -> Iterator[Message]:
    """Yield the messages that are text and nothing else."""
    for message in given:
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in ROLES or message.get("tool_calls") or message.get("function_call"):
            continue
        content = message.get("content")
        text = content if isinstance(content, str) else _joined(content)
        if text is not None:
            yield {"role": str(role), "content": text}


def _joined(parts: object) -> str | None:
    if not isinstance(parts, list):
        return None
    texts = [
        part.get("text") if isinstance(part, Mapping) and part.get("type") in TEXTS else None
        for part in parts
    ]
    return "\n".join(text for text in texts if text) if all(isinstance(text, str) for text in texts) else None
