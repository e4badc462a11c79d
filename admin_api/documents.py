"""The bodies of requests and responses, as the OpenAPI page shows them. Unknown keys are refused.

It must not know how they are computed; every response is read off the domain's own types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from admin_api.problems import PlaceDocument
from neuronode_router.control.orders import Wait
from neuronode_router.domain import AckState, Action

MAX_REASON_CHARS = 500


def storable(value: JsonValue) -> JsonValue:
    """Return the value. Raises `ValueError` for text no database keeps: NUL and unpaired surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("the text contains NUL or an unpaired surrogate")
    elif isinstance(value, list):
        for item in value:
            storable(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            storable(key)
            storable(item)
    return value


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(storable)]
Reason = Annotated[
    str,
    Field(max_length=MAX_REASON_CHARS, description="Why, for the audit log."),
    AfterValidator(storable),
]
WaitFor = Annotated[
    Wait,
    Field(description="Whose acknowledgements the answer waits for: of no worker, one, or all live ones."),
]
DryRun = Annotated[bool, Field(description="Check and show what would change; change nothing.")]
Force = Annotated[
    bool, Field(description="Also onto a profile that is not proven to answer; the audit log shows it.")
]
ProfileBody = Annotated[
    dict[str, JsonValue],
    AfterValidator(storable),
    Field(
        description="A profile with the keys of its file; docs/profiles.md has them all.",
        examples=[
            {
                "description": "Cheap and good enough.",
                "cost_level": "low",
                "performance_level": "good",
                "tasks": {"classification": "classification_cost_effective"},
                "tiers": {"fast": ["tier_fast"], "medium": ["tier_medium"], "complex": ["tier_complex"]},
            }
        ],
    ),
]


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")


class WriteOptions(Body):
    """What every write may be told."""

    reason: Reason = ""
    wait: WaitFor = "all"
    dry_run: DryRun = False


class GatedOptions(WriteOptions):
    """What a write may be told that can put an unproven profile in force."""

    force: Force = False


class SwitchBody(GatedOptions):
    """Which profile shall answer."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"profile": "balanced", "reason": "evening rate"}}
    )

    profile: Name


class RollbackBody(GatedOptions):
    """Which revision shall be in force again, as a new revision."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"to": "previous", "reason": "answers got worse"}}
    )

    to: Literal["previous"] | Annotated[int, Field(ge=1, le=2**53)] = Field(
        default="previous", description="`previous`, or the number of a revision."
    )


class ReloadBody(WriteOptions):
    """Read the profile files again."""


class ValidateBody(Body):
    """A profile to check. Without a body the profile files are checked."""

    name: Name
    profile: ProfileBody


class EditOptions(WriteOptions):
    """How an edit is made, in the query: the body is the edit itself."""


class TaskBody(Body):
    """The model group that shall serve a task."""

    model_config = ConfigDict(json_schema_extra={"example": {"group": "classification_premium"}})

    group: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(storable)]


class Document(BaseModel):
    """What is answered, read off the domain's own types."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class ChangeDocument(Document):
    """One task whose model group differs."""

    task: str
    before: str | None
    after: str | None


class AckDocument(Document):
    """How one worker process stands to a revision."""

    instance: str
    host: str
    pid: int
    state: AckState
    revision: int = Field(description="The revision this worker serves now.")
    applied_at: float | None = Field(description="Unix time in seconds.")
    after_ms: float | None = Field(description="Milliseconds from the commit to `applied_at`.")
    detail: str


class ReceiptDocument(Document):
    """The proof of a write."""

    revision: int
    changed: bool = Field(description="False when everything was already as asked: no new revision.")
    dry_run: bool
    action: Action
    profile: str
    previous_profile: str | None
    changes: list[ChangeDocument]
    committed_at: float | None = Field(description="Unix time in seconds.")
    workers: list[AckDocument]
    complete: bool = Field(description="Every worker that was waited for serves this revision.")
    duration_ms: float
    warnings: list[str]
    replayed: bool = Field(description="An Idempotency-Key came back: this is what its first request did.")


class ProfileDocument(Document):
    """A profile."""

    name: str
    description: str
    cost_level: str
    performance_level: str
    tasks: dict[str, str]
    tiers: dict[str, list[str]]
    allowed_teams: list[str]
    hidden: bool
    uncertain: str
    on_overload: str
    stickiness: str
    too_cheap: float
    too_dear: float


class ProfileListDocument(Document):
    """The profiles the caller may see."""

    revision: int
    active_profile: str
    profiles: list[ProfileDocument]


class MetadataDocument(Document):
    """What is said of the active profile."""

    description: str
    cost_level: str
    performance_level: str


class WorkerDocument(Document):
    """One worker process."""

    instance: str
    host: str
    pid: int
    version: str
    started_at: float
    heartbeat_at: float
    live: bool
    revision: int
    applied_at: float | None
    detail: str
    report: dict[str, Any] = Field(description="What the worker says of itself.")


class WorkersDocument(Document):
    """All worker processes that share the store."""

    revision: int = Field(description="The committed revision: what every worker should serve.")
    converged: bool = Field(description="Every live worker serves it.")
    workers: list[WorkerDocument]


class StatusDocument(Document):
    """What is in force. The last five are for administrators and viewers; others get null."""

    ready: bool = Field(description="False until a valid set of profiles was committed.")
    active_profile: str | None
    active_mappings: dict[str, str]
    profile_metadata: MetadataDocument | None
    revision: int
    committed_at: float | None
    served_revision: int = Field(description="What the process that answered serves.")
    embedded_groups: list[str] = Field(description="Groups that the built-in tiny language model answers.")
    converged: bool | None
    workers: list[WorkerDocument] | None
    problems: list[PlaceDocument] | None
    warnings: list[str] | None
    host: dict[str, Any] | None


class DiffDocument(Document):
    """What would change for clients between two profiles."""

    model_config = ConfigDict(populate_by_name=True)

    from_profile: str = Field(alias="from")
    to_profile: str = Field(alias="to")
    changes: list[ChangeDocument]


class ValidationDocument(Document):
    """The outcome of a check. Nothing was changed."""

    valid: bool
    problems: list[PlaceDocument]


class ActorDocument(Document):
    """Who acted."""

    name: str
    kind: str


class AuditEntryDocument(Document):
    """One committed revision. `hash` covers all fields and `previous_hash`."""

    revision: int
    at: float = Field(description="Unix time in seconds.")
    action: Action
    actor: ActorDocument
    reason: str
    profile_before: str | None
    profile_after: str
    digest_before: str | None
    digest_after: str
    changes: list[ChangeDocument]
    previous_hash: str
    hash: str


class AuditPageDocument(Document):
    """A page of the audit log, newest first."""

    entries: list[AuditEntryDocument]
    next: int | None = Field(description="Pass it as `before` for the next page; null on the last one.")
