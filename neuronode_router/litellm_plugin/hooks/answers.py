"""An answer as LiteLLM logs it, read as what it says and what is kept of it: of each format, plain or streamed.

It must not compare or count, and keeps nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neuronode_router.litellm_plugin.hooks.usage_reading import (
    dollars_of,
    field_of,
    read_usage,
    usage_of_answer,
)
from neuronode_router.shadows.mirror import FullAnswer
from neuronode_router.shadows.pairs import AnswerFacts
from neuronode_router.tasks.agreement import Said, refuses
from neuronode_router.tasks.answer_form import CUT, REFUSED, has_form, is_unanswered

_REFUSALS = frozenset({REFUSED, "refusal"})
"""What providers say of an answer that they refused."""
_CUTS = frozenset({CUT, "max_tokens", "incomplete"})


@dataclass(frozen=True, slots=True)
class EndedCall:
    """What LiteLLM's success event says."""

    kwargs: Mapping[str, Any]
    response: object
    """The whole answer, of streams too."""
    began: datetime
    """Of streams the request's own begin: before guardrails, and before the attempts that failed."""
    ended: datetime

    @property
    def asked(self) -> datetime:
        """When the provider that answered was asked."""
        at = self.kwargs.get("api_call_start_time")
        return at if isinstance(at, datetime) else self.began

    @property
    def cost_usd(self) -> float | None:
        """What it cost, None where nobody knows."""
        payload = self.kwargs.get("standard_logging_object")
        if payload is not None:
            return read_usage(payload, self.kwargs.get("litellm_params") or {}).cost
        # Of some streams LiteLLM tells before its payload is made.
        return dollars_of(self.kwargs.get("response_cost")) or usage_of_answer(self.response).cost


def full_answer(call: EndedCall, *, form: Mapping[str, Any] | None, limited: bool) -> FullAnswer | None:
    """Return an answer as LiteLLM's success event tells it, None where it tells of none.

    `form` is the `response_format` that was demanded, `limited` whether the answer's length was.
    """
    said = said_of(call.response)
    if said is None:
        return None
    first = call.kwargs.get("completion_start_time")
    reason = REFUSED if said.refused else None if said.ended else CUT
    arguments = [given for _, given in said.calls]
    formed = not is_unanswered(reason, limited=limited) and has_form(
        content=said.text, arguments=arguments, finish_reason=reason, response_format=form
    )
    facts = AnswerFacts(
        latency_ms=_milliseconds(call.asked, call.ended),
        first_token_ms=_milliseconds(call.asked, first)
        if call.kwargs.get("stream") and isinstance(first, datetime) and first >= call.asked
        else None,
        cost_usd=call.cost_usd,
        length=len(said.text) + sum(map(len, arguments)),
        refused=refuses(said),
        formed=formed,
    )
    return FullAnswer(facts, said)


def said_of(response: object) -> Said | None:
    """Return what an answer of any of LiteLLM's formats says, None for what is none. Never raises for those."""
    choices, output, content = (field_of(response, name) for name in ("choices", "output", "content"))
    if isinstance(choices, list) and choices:
        return _of_choice(choices[0])
    if isinstance(output, list):
        return _of_items(output, field_of(response, "status"))
    if isinstance(content, list):
        return _of_blocks(content, field_of(response, "stop_reason"))
    return None


def turns_of(response: object) -> list[Mapping[str, Any]]:
    """Return an answer of any of LiteLLM's formats as the turns, or items, that clients send again. Never raises."""
    choices, output = _listed(field_of(response, "choices")), _listed(field_of(response, "output"))
    if output:
        return [found for item in output if (found := _plain(item))]
    message = (
        _plain(field_of(choices[0], "message")) if choices else {"content": field_of(response, "content")}
    )
    return [{**message, "role": "assistant"}]


def _plain(value: object) -> Mapping[str, Any]:
    dump = getattr(value, "model_dump", None)
    found = dump() if dump is not None else value
    return found if isinstance(found, dict | Mapping) else {}


def _of_choice(choice: object) -> Said | None:
    message, reason = field_of(choice, "message"), field_of(choice, "finish_reason")
    if message is None:
        return None
    functions = [field_of(call, "function") for call in _listed(field_of(message, "tool_calls"))]
    return Said(
        _text(field_of(message, "content")) or _text(field_of(message, "refusal")),
        tuple((_text(field_of(one, "name")), _text(field_of(one, "arguments"))) for one in functions),
        refused=reason in _REFUSALS or bool(field_of(message, "refusal")),
        ended=reason not in _CUTS,
    )


def _of_items(items: list[Any], status: object) -> Said:
    calls = [item for item in items if field_of(item, "type") == "function_call"]
    parts = list(_parts(items))
    return Said(
        "".join(_text(field_of(part, "text")) or _text(field_of(part, "refusal")) for part in parts),
        tuple((_text(field_of(call, "name")), _text(field_of(call, "arguments"))) for call in calls),
        refused=any(field_of(part, "type") == "refusal" for part in parts),
        ended=status not in _CUTS,
    )


def _of_blocks(blocks: list[Any], reason: object) -> Said:
    calls = [block for block in blocks if field_of(block, "type") == "tool_use"]
    return Said(
        "".join(_text(field_of(block, "text")) for block in blocks if field_of(block, "type") == "text"),
        tuple((_text(field_of(call, "name")), _written(field_of(call, "input"))) for call in calls),
        refused=reason in _REFUSALS,
        ended=reason not in _CUTS,
    )


def _parts(items: list[Any]) -> Iterator[object]:
    for item in items:
        if field_of(item, "type") == "message":
            yield from _listed(field_of(item, "content"))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _milliseconds(began: datetime, ended: datetime) -> float:
    return max(0.0, (ended - began).total_seconds()) * 1000
