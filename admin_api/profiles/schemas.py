"""The bodies of the routes about profiles, as the OpenAPI page shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from admin_api.http.schemas import Body, Document, GatedOptions, GroupName, Name, WriteOptions, storable
from neuronode_router.domain.profiles import TaskChange
from neuronode_router.domain.receipts import WorkerStatus
from neuronode_router.errors import Problem
from neuronode_router.policy.engine import Level
from neuronode_router.wrong_value import WrongValue

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


class SwitchBody(GatedOptions):
    """Which profile shall answer."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"profile": "balanced", "reason": "evening rate"}}
    )

    profile: Name
    conversations: Literal["move"] | None = None
    """`move` keeps no conversation where it is, whatever the profiles say."""
    until: Annotated[float | None, Field(gt=0, le=32_503_680_000, allow_inf_nan=False)] = None
    """Unix time at which the policy decides again, or what was active before comes back."""
    hold: bool = False
    """Hold it until it is released. Where a policy is in force a switch without `until` is held anyhow."""

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.until is not None and self.hold:
            raise WrongValue("until and hold exclude each other", "Send only one of them.")
        return self


class RollbackBody(GatedOptions):
    """Which revision shall be in force again, as a new revision."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"to": "previous", "reason": "answers got worse"}}
    )

    to: Literal["previous"] | Annotated[int, Field(ge=1, le=2**53)] = "previous"
    """`previous`, or the number of a revision."""


class ReloadBody(WriteOptions):
    """Read the profile files again."""


class MappingBody(Body):
    """The model group that shall serve a task."""

    model_config = ConfigDict(json_schema_extra={"example": {"group": "classification_premium"}})

    group: GroupName


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
    on_missing: str
    nothing_fits: str
    too_cheap: float
    too_dear: float
    conversations: str
    residency: list[str]
    personal_data: str


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


class StatusDocument(Document):
    """What is in force. The last seven are for administrators and viewers; others get null."""

    ready: bool
    """False until a valid set of profiles was committed."""
    active_profile: str | None
    active_mappings: dict[str, str]
    profile_metadata: MetadataDocument | None
    revision: int
    committed_at: float | None
    served_revision: int
    """What the process that answered serves."""
    embedded_groups: list[str]
    """Groups that the built-in tiny language model answers."""
    decided_by: Level | None = None
    """Who decides which profile is active."""
    why: str | None = None
    """Why what is active is: one line, for people."""
    converged: bool | None = None
    workers: tuple[WorkerStatus, ...] | None = None
    problems: list[Problem] | None = None
    """Of the process that answered, and of each worker whose background work is stalled."""
    warnings: list[str] | None = None
    host: dict[str, Any] | None = None


class DiffDocument(Document):
    """What would change for clients between two profiles."""

    model_config = ConfigDict(populate_by_name=True)

    from_profile: str = Field(alias="from")
    to_profile: str = Field(alias="to")
    changes: tuple[TaskChange, ...]
