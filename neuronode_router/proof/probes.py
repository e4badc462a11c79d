"""The smallest real request for each shape of task, and how its answer is judged.

It must not know who is asked, or keep any text of an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

MAX_TOKENS = 256
"""Of an answer: one word would do, but models that think aloud need room."""

TOOL = "get_weather"


class Shape(StrEnum):
    """What a task needs of an answer."""

    TEXT = "text"
    LABEL = "label"
    JSON = "json"
    TOOL_CALL = "tool_call"


_SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        **dict.fromkeys(
            ("classification", "sentiment", "validation_primary", "validation_secondary"), Shape.LABEL
        ),
        **dict.fromkeys(("extraction", "trading_analysis"), Shape.JSON),
    }
)


def shape_of(task: str, tool_tasks: Collection[str] = ()) -> Shape:
    """Return the shape of a task; `tool_tasks` are those whose clients send tools. Never raises."""
    return Shape.TOOL_CALL if task in tool_tasks else _SHAPES.get(task, Shape.TEXT)


@dataclass(frozen=True, slots=True)
class Probe:
    """What is sent: one message, and what belongs to the shape beside it."""

    prompt: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


PROBES: Mapping[Shape, Probe] = MappingProxyType(
    {
        Shape.TEXT: Probe("Say hello in one short sentence."),
        Shape.LABEL: Probe(
            "Review: The delivery was quick and everything works. "
            "Is this review positive or negative? Answer with that one word only."
        ),
        Shape.JSON: Probe(
            'Text: Anna lives in Berlin. Answer only with a JSON object {"city": ...} that holds the city.',
            {"response_format": {"type": "json_object"}},
        ),
        Shape.TOOL_CALL: Probe(
            "Look up the weather in Berlin.",
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": TOOL,
                            "description": "Returns the weather of a city.",
                            "parameters": {
                                "type": "object",
                                "properties": {"city": {"type": "string"}},
                                "required": ["city"],
                            },
                        },
                    }
                ]
            },
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What came back."""

    text: str
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments (JSON) of each call."""
    cost_usd: float | None = None
    """None where there is no price."""


class ProbeReason(StrEnum):
    """What a probe found."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    NO_LABEL = "no_label"
    """Not one of the labels asked for, or both."""
    NO_JSON = "no_json"
    NO_TOOL_CALL = "no_tool_call"
    NOT_LOADED = "not_loaded"
    """No deployment of the group is in memory, and none was to be woken."""
    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_WORDS = re.compile(r"[a-z]+")


def judge(shape: Shape, answer: ProbeAnswer) -> ProbeReason:
    """Return `ANSWERED`, or what the answer lacks. Never raises."""
    if shape is Shape.TOOL_CALL:
        return ProbeReason.ANSWERED if any(map(_is_lookup, answer.tool_calls)) else ProbeReason.NO_TOOL_CALL
    text = answer.text.strip()
    if not text:
        return ProbeReason.NO_ANSWER
    if shape is Shape.LABEL:
        labels = {"positive", "negative"}.intersection(_WORDS.findall(text.lower()))
        return ProbeReason.ANSWERED if labels == {"positive"} else ProbeReason.NO_LABEL
    if shape is Shape.JSON:
        found = _object(_FENCE.sub("", text))
        return ProbeReason.ANSWERED if str(found.get("city", "")).lower() == "berlin" else ProbeReason.NO_JSON
    return ProbeReason.ANSWERED


def _is_lookup(call: tuple[str, str]) -> bool:
    name, arguments = call
    return name == TOOL and "city" in _object(arguments)


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
