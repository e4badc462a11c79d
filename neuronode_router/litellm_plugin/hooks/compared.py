"""An answer as LiteLLM logs it, read as one that the judge may compare: chat requests of plain text only.

It keeps nothing: what it returns refers to the request's text until the comparison is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neuronode_router.auto.comparison import ANSWER_TOKENS, Comparison, Message
from neuronode_router.routing.residency import Required

CHAT = frozenset({"completion", "acompletion"})
ROLES = frozenset({"system", "developer", "user", "assistant"})
LIMITS = frozenset({"num_predict", "max_length"})
"""Parameters that limit an answer's length, beside those whose name says tokens: `max_tokens`, `maxTokens`."""


def comparison_of(
    kwargs: Mapping[str, Any], *, answer: object, rival: str, places: Required, call_id: str, caller: str
) -> Comparison | None:
    """Return what is to be compared, None for a request or an answer that is not plain text, or too long."""
    messages = kwargs.get("messages")
    if kwargs.get("call_type") not in CHAT or not isinstance(messages, list) or not isinstance(answer, str):
        return None
    read = tuple(_messages(messages))
    if not read or len(read) != len(messages):
        return None
    parameters = kwargs.get("optional_params") or {}
    form = parameters.get("response_format")
    found = Comparison(
        call_id,
        caller,
        read,
        answer,
        rival,
        max_tokens=min((ANSWER_TOKENS, *limits_of(parameters))),
        form=form if isinstance(form, Mapping) else None,
        places=places,
    )
    return found if found.fits else None


def limits_of(parameters: Mapping[str, Any]) -> list[int]:
    """Return the lengths that a request or its deployment sets, in parameters as the provider names them."""
    return [
        value
        for name, value in parameters.items()
        if ("token" in name.lower() or name in LIMITS) and type(value) is int and value > 0
    ]


def _messages(given: list[Any]) -> Iterator[Message]:
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
        part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
        for part in parts
    ]
    return "\n".join(text for text in texts if text) if all(isinstance(text, str) for text in texts) else None
