"""The words of the task room: a task template, its prompts, inputs and forms of output.

It must not know how templates are written down, nor who answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from neuronode_router.domain.names import Tier

BLIND_CONFIDENCE = 2 / 3
"""What one valid answer is worth when nothing else is known of it (see `confidence`)."""


class Language(StrEnum):
    """The languages every template has prompts in."""

    DE = "de"
    EN = "en"


class InputKind(StrEnum):
    """What a caller gives for an input."""

    TEXT = "text"
    TEXTS = "texts"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class InputRule:
    """What one input may be. `verbatim` text is the whole user turn; all other inputs stand between marks."""

    kind: InputKind
    max_characters: int
    optional: bool
    verbatim: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is said in one language. Only `user` has placeholders."""

    system: str
    user: str
    retry: str
    """Said after an answer that was not valid."""


@dataclass(frozen=True, slots=True)
class Labels:
    """One of the template's own labels is the answer."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """One of the texts that the caller gives as this input is the answer."""

    source: str


@dataclass(frozen=True, slots=True)
class JsonShape:
    """The answer is a JSON object that this JSON Schema (draft 2020-12) accepts."""

    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FreeText:
    """Any text is an answer, except an empty one."""


Output = Labels | GivenLabels | JsonShape | FreeText


@dataclass(frozen=True, slots=True)
class TaskTemplate:
    """A task as data: what is said, what is given, what may come back."""

    name: str
    description: str
    tier: Tier
    """Where its first attempt goes."""
    prompts: Mapping[Language, Prompt]
    inputs: Mapping[str, InputRule]
    output: Output
    max_tokens: int
    temperature: float
    confidence_threshold: float
    """An answer with less confidence than this goes one tier up."""
