"""What bodies of requests and answers have in common: unknown keys are refused, docstrings describe the fields.

It must not know a resource. What a room's own type says already is shown as that type, not written down again.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, RootModel, model_validator

from admin_api.http.described import Described
from neuronode_router.control.change import Wait
from neuronode_router.domain.names import Tier
from neuronode_router.domain.receipts import WarmMode
from neuronode_router.wrong_value import WrongValue

MAX_REASON_CHARS = 500
MAX_UNKNOWN = 50
"""Unknown keys of a body that are named one by one."""

Shown = TypeVar("Shown")


def storable(value: JsonValue) -> JsonValue:
    """Return the value. Raises `ValueError` for text no database keeps: NUL and unpaired surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise WrongValue("the text contains NUL or an unpaired surrogate", "Write it without.")
    elif isinstance(value, list):
        for item in value:
            storable(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            storable(key)
            storable(item)
    return value


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(storable)]
"""Of a profile or task."""
GroupName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(storable)]
"""Of a model group, or whatever else a client may send as `model`."""


Word = Field(strict=False)
"""Of a field whose type is an enumeration: JSON has texts for that."""
TierWord = Annotated[Tier, Word]

Listed = TypeVar("Listed")
Long = Annotated[list[Listed], Field(fail_fast=True)]
"""A list of any length: what is wrong is told of its first wrong entry only, for a body has room for a million."""


class Body(Described, BaseModel):
    """What a client sends as JSON: a number is no text and a switch no number, whatever they could be read as."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _not_flooded(cls, sent: Any) -> Any:
        unknown = len(sent.keys() - cls.model_fields.keys()) if isinstance(sent, dict) else 0
        if unknown > MAX_UNKNOWN:
            raise WrongValue(f"{unknown} keys are not known here", "Remove them or correct their spelling.")
        return sent


class Asked(Described, BaseModel):
    """What a client says in a query, where everything is text."""

    model_config = ConfigDict(extra="forbid")


class Paging(Asked):
    """How much of a list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 20


class Document(Described, BaseModel):
    """What is answered. A field of a room's own type is described by that type's docstrings."""

    model_config = ConfigDict(
        extra="forbid",
        from_attributes=True,
        json_schema_serialization_defaults_required=True,
        hide_input_in_errors=True,  # should a document ever be refused, the log must not show what a model said (T12)
    )

    @classmethod
    def of(cls, *sources: object, **known: object) -> Self:
        """Return the document with the fields `known`; each other one is read off the first source that has it."""
        read = {
            name: getattr(source, name)
            for source in reversed(sources)
            for name in cls.model_fields
            if hasattr(source, name)
        }
        return cls.model_validate(read | known)


class WholeDocument(Described, RootModel[Shown], Generic[Shown]):
    """An answer that is a room's own type and nothing else."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True,
        hide_input_in_errors=True,
    )


class WriteOptions(Body):
    """What every write may be told."""

    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS), AfterValidator(storable)] = ""
    """Why, for the audit log."""
    wait: Wait = "all"
    """Whose acknowledgements the answer waits for: of no worker, one, or all live ones."""
    dry_run: bool = False
    """Check and show what would change; change nothing."""


class WarmOptions(WriteOptions):
    """What a write may be told that can put other groups in force."""

    warm: WarmMode | None = None
    """Whether it waits until Ollama models are in memory, has them loaded afterwards, or leaves them alone. Default:
    the proxy's setting, which is `background` where nobody changed it."""
    warm_timeout_s: Annotated[float | None, Field(gt=0, le=3600, allow_inf_nan=False)] = None
    """How many seconds the models may take. Default: the proxy's setting, 120 where nobody changed it."""
    pull: bool = False
    """Fetch the models that an Ollama does not have."""


class AskedOptions(WriteOptions):
    """The same in the query of an edit, whose body is the document itself."""

    model_config = ConfigDict(strict=False)


class AskedWarmOptions(WarmOptions):
    """The same in a query."""

    model_config = ConfigDict(strict=False)


class GatedOptions(WarmOptions):
    """What a write may be told that can put an unproven profile in force."""

    force: bool = False
    """Also onto a profile that is not proven to answer, or whose local models stay cold; the audit log shows it."""
