"""Queries and bodies of checks and of the proof matrix, as the OpenAPI page shows them.

It must not know how a probe is made or judged.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from admin_api.http.schemas import Asked, Body, Document, GroupName, Name
from admin_api.profiles.schemas import ProfileBody
from neuronode_router.errors import Problem
from neuronode_router.proof.gate import GateMode
from neuronode_router.proof.matrix import State
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.proof.runner import RunLimits, Stopped

DEFAULTS = RunLimits()


class ValidateBody(Body):
    """A profile to check. Without a body the profile files are checked."""

    name: Name
    profile: ProfileBody


class ValidateQuery(Asked):
    """Whether to ask for real, and how much that may take."""

    live: bool = False
    """Probe with real requests; for administrators."""
    profile: Annotated[list[Name], Field(max_length=100)] = []
    """Only these; may be repeated."""
    task: Annotated[list[Name], Field(max_length=100)] = []
    """Only these; may be repeated."""
    group: Annotated[list[GroupName], Field(max_length=100)] = []
    """Only these, also where no profile names them: as each of the tasks needs it; may be repeated."""
    wake: bool = False
    """Also ask what must be loaded into memory first."""
    concurrency: Annotated[int, Field(ge=1, le=16)] = DEFAULTS.concurrency
    """Probes at a time."""
    max_cost_usd: Annotated[float, Field(ge=0, le=100)] = DEFAULTS.max_cost_usd
    """No probe begins once so much was spent."""
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = DEFAULTS.max_seconds
    """Of the whole run."""

    def limits(self) -> RunLimits:
        """Return what a run may take."""
        return RunLimits(**self.model_dump(include={"wake", "concurrency", "max_cost_usd", "max_seconds"}))


class MatrixQuery(Asked):
    """Which part of the matrix is wanted."""

    profile: Annotated[list[Name], Field(max_length=100)] = []
    """Only these; may be repeated."""


class CellDocument(Document):
    """One profile and task."""

    profile: str
    task: str
    group: str
    """Who answers."""
    shape: Shape
    """What the task needs of an answer."""
    state: State
    why: ProbeReason | None = None
    """What the newest probe found; null without one."""
    latency_ms: float | None = None
    """Of that probe."""
    cost_usd: float | None = None
    """Of that probe; null where there is no price."""
    checked_at: float | None = None
    """Unix time in seconds."""
    age_seconds: float | None
    residency: Literal["outside", "partly"] | None = None
    """Whether the group, or some of its deployments, may not be asked under the profile's residency."""


class MatrixDocument(Document):
    """Every profile and task, and whether it was proven to answer."""

    revision: int
    gate: GateMode
    max_age_seconds: float
    """After this a probe proves nothing any more."""
    profiles: list[str]
    tasks: list[str]
    cells: list[CellDocument]


class FoundDocument(Document):
    """What one probe found, and how far the run is."""

    group: str
    shape: Shape
    state: State
    why: ProbeReason
    latency_ms: float | None
    cost_usd: float | None
    checked_at: float
    done: int
    wanted: int


class RunDocument(Document):
    """A run of probes."""

    wanted: int
    """Probes: groups that share a shape of task share one."""
    done: int
    cost_usd: float
    """Of what has a price."""
    stopped: Stopped | None
    """The cap that ended it early; what is left out stays as it was."""
    cells: list[CellDocument]
    """The cells asked for, as they stand now."""


class ValidationDocument(Document):
    """The outcome of a check, which changed nothing."""

    valid: bool
    problems: tuple[Problem, ...]


class LiveValidationDocument(ValidationDocument):
    """The outcome of a check, where it was asked for with what the probes found."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    live: RunDocument | None = None
    """Only where the groups were asked."""
