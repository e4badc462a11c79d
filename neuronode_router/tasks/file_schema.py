"""The schema of a task template file, as pydantic sees it: keys, types and ranges.

It must not know what the values mean to each other: `checks` does.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from neuronode_router.domain.names import NAME_PATTERN, Tier
from neuronode_router.tasks.template import InputKind

MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 64

Words = Annotated[str, Field(min_length=1, max_length=8000, pattern=r"\S")]
Label = Annotated[str, Field(min_length=1, max_length=MAX_LABEL_CHARACTERS)]
TaskName = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]
InputName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class SchemaPart(BaseModel):
    """Strict, and without unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid")


class PromptPart(SchemaPart):
    """The prompt in one language."""

    system: Words
    """The instruction. `{labels}` and `{json_schema}` stand for the template's own output; no input may stand here."""
    user: Words
    """The user turn, with a `{placeholder}` for every input."""
    retry: Words
    """Said once after an answer that was not valid."""


class PromptsPart(SchemaPart):
    """Both languages."""

    de: PromptPart
    en: PromptPart


class InputPart(SchemaPart):
    """What one input may be."""

    kind: Annotated[InputKind, Field(strict=False)] = InputKind.TEXT
    """`text`, `texts` (a list) or `data` (anything JSON can say)."""
    max_characters: Annotated[int, Field(ge=1, le=200_000)] = 20_000
    """How long the input may be, all its parts together."""
    optional: bool = False
    """True where the caller may leave it out."""
    verbatim: bool = False
    """True makes the input the whole user turn, unmarked and unchanged: for conversation only."""


class OutputPart(SchemaPart):
    """What may come back: one of the three, or nothing for free text."""

    labels: Annotated[list[Label], Field(min_length=2, max_length=MAX_LABELS)] | None = None
    """The answer is one of these."""
    labels_from: InputName | None = None
    """The answer is one of the texts of this input."""
    json_schema: Annotated[dict[str, Any], Field(min_length=1)] | None = None
    """The answer is a JSON object that this JSON Schema accepts."""


class TemplateFile(SchemaPart):
    """One task. The file's name is the task's."""

    name: TaskName
    """The file's name without `.yaml`."""
    description: Annotated[str, Field(min_length=1, max_length=500)]
    """What the task is for."""
    tier: Annotated[Tier, Field(strict=False)]
    """Where the first attempt goes: `fast`, `medium` or `complex`."""
    prompts: PromptsPart
    """The prompts, German and English."""
    inputs: Annotated[dict[InputName, InputPart], Field(min_length=1, max_length=16)]
    """What a caller gives."""
    output: OutputPart = Field(default_factory=OutputPart)
    """What may come back; free text when left out."""
    max_tokens: Annotated[int, Field(ge=1, le=16_384)]
    """How long an answer may be."""
    temperature: Annotated[float, Field(ge=0, le=2, strict=False)] = 0.1
    """Low, so that answers repeat."""
    confidence_threshold: Annotated[float, Field(ge=0, le=1, strict=False)]
    """An answer with less confidence goes one tier up."""
