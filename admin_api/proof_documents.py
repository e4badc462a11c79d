"""Queries and bodies of the proof matrix, as the OpenAPI page shows them.

It must not know how a probe is made or judged.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from admin_api.documents import Body, Document, Name, ValidationDocument
from neuronode_router.proof.gate import GateMode
from neuronode_router.proof.matrix import State
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.proof.runner import RunLimits, Stopped

DEFAULTS = RunLimits()


class ValidateQuery(Body):
    """Whether to ask for real, and how much that may take."""

    live: bool = Field(default=False, description="Probe with real requests; for administrators.")
    profile: list[Name] = Field(default=[], max_length=100, description="Only these; may be repeated.")
    task: list[Name] = Field(default=[], max_length=100, description="Only these; may be repeated.")
    wake: bool = Field(default=False, description="Also ask what must be loaded into memory first.")
    concurrency: Annotated[int, Field(ge=1, le=16)] = Field(
        default=DEFAULTS.concurrency, description="Probes at a time."
    )
    max_cost_usd: Annotated[float, Field(ge=0, le=100)] = Field(
        default=DEFAULTS.max_cost_usd, description="No probe begins once so much was spent."
    )
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=DEFAULTS.max_seconds, description="Of the whole run."
    )

    def limits(self) -> RunLimits:
        """Return what a run may take."""
        return RunLimits(
            concurrency=self.concurrency,
            max_cost_usd=self.max_cost_usd,
            max_seconds=self.max_seconds,
            wake=self.wake,
        )


class CellDocument(Document):
    """One profile and task."""

    profile: str
    task: str
    group: str = Field(description="Who answers.")
    shape: Shape = Field(description="What the task needs of an answer.")
    state: State
    why: ProbeReason | None = Field(description="What the newest probe found; null without one.")
    latency_ms: float | None = Field(description="Of that probe.")
    cost_usd: float | None = Field(description="Of that probe; null where there is no price.")
    checked_at: float | None = Field(description="Unix time in seconds.")
    age_seconds: float | None


class MatrixDocument(Document):
    """Every profile and task, and whether it was proven to answer."""

    revision: int
    gate: GateMode
    max_age_seconds: float = Field(description="After this a probe proves nothing any more.")
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

    wanted: int = Field(description="Probes: groups that share a shape of task share one.")
    done: int
    cost_usd: float = Field(description="Of what has a price.")
    stopped: Stopped | None = Field(
        description="The cap that ended it early; what is left out stays as it was."
    )
    cells: list[CellDocument] = Field(description="The cells asked for, as they stand now.")


class LiveValidationDocument(ValidationDocument):
    """The outcome of a check; `live`, where it was asked for, is what the probes found."""

    live: RunDocument | None = None
