"""The bodies of the usage routes, as the OpenAPI page shows them. Unknown keys are refused.

It must not know how they are computed: every answer is read off the usage room's own types.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from admin_api.documents import Name
from neuronode_router.usage.periods import DAY, HOUR, MINUTE
from neuronode_router.usage.prices import Basis
from neuronode_router.usage.report import GROUPINGS
from neuronode_router.usage.targets import Violation

STEPS = (MINUTE, HOUR, DAY)
MAX_STEPS = 1500
MAX_DAYS = 3650

LAST_DAY = float(DAY)
LAST_WEEK = 7.0 * DAY

Moment = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]


def _groupings(text: str) -> str:
    names = text.split(",")
    if unknown := [name for name in names if name not in GROUPINGS]:
        raise ValueError(f"{len(unknown)} of these are not among {', '.join(GROUPINGS)}")
    if len(set(names)) < len(names):
        raise ValueError("a grouping is named twice")
    return text


def _step(seconds: int) -> int:
    if seconds not in STEPS:
        raise ValueError(f"a step is one of {', '.join(map(str, STEPS))} seconds")
    return seconds


class Period(BaseModel):
    """A span of time."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: Moment | None = Field(default=None, alias="from", description="Unix time in seconds.")
    until: Moment | None = Field(default=None, alias="to", description="Unix time in seconds. Default: now.")

    @model_validator(mode="after")
    def _has_a_length(self) -> Period:
        if (
            self.since is not None
            and self.until is not None
            and not 0 < self.until - self.since <= MAX_DAYS * DAY
        ):
            raise ValueError(f"`to` must lie after `from`, at most {MAX_DAYS} days")
        return self

    def ends(self, now: float, *, default: float) -> tuple[float, float]:
        """Return from and to; where `from` was left out, `default` seconds before `to`."""
        until = now if self.until is None else self.until
        return (until - default if self.since is None else self.since), until


class UsageQuery(Period):
    """What a report is about."""

    by: Annotated[str, Field(max_length=256), AfterValidator(_groupings)] = Field(
        default="profile",
        description=f"How it is grouped: names of {', '.join(GROUPINGS)}, separated by commas.",
    )
    step: Annotated[int, AfterValidator(_step)] | None = Field(
        default=None,
        description="Seconds of one step of a series: 60, 3600 or 86400. Default: the whole period.",
    )
    format: Literal["json", "csv"] = Field(
        default="json", description="`csv` is the same, for a spreadsheet."
    )


class PlanBody(Period):
    """The profile that the recorded requests are replayed through."""

    model_config = ConfigDict(json_schema_extra={"example": {"profile": "cost_effective"}})

    profile: Name


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True)


class FiguresDocument(_Document):
    """What was counted of some requests, and what follows from it."""

    requests: int
    errors: int
    error_rate: float | None = Field(description="Errors per request; null without requests.")
    fallbacks: int
    fallback_rate: float | None
    cached: int = Field(description="Answered by LiteLLM's cache.")
    cancelled: int = Field(description="The client left before the end.")
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = Field(description="Prompt tokens that the provider read from its cache.")
    cost_usd: float | None = Field(
        description="Of the requests that have a price; null where none has: unpriced."
    )
    priced: int = Field(description="Requests whose cost is known.")
    unpriced: int = Field(description="Requests whose deployment has no price.")
    latency_p50_ms: float | None = Field(description="From arrival to the end of the answer, within 5 %.")
    latency_p95_ms: float | None
    first_token_p50_ms: float | None = Field(description="Streams only.")
    first_token_p95_ms: float | None
    outcomes: dict[str, int] = Field(description="Requests by how they ended.")


class UsageLineDocument(_Document):
    """One group of requests in one step."""

    start: int | None = Field(
        description="Unix time at which the step begins; null where there are no steps."
    )
    names: dict[str, str | int]
    figures: FiguresDocument
    before: FiguresDocument | None = Field(
        description="The same group in the period before; null in a series."
    )


class UsageDocument(_Document):
    """Usage by group."""

    from_: int = Field(serialization_alias="from", description="Widened to what is told apart.")
    to: int
    by: list[str]
    step: int | None
    lines: list[UsageLineDocument]
    total: FiguresDocument
    total_before: FiguresDocument = Field(description="Over the period of the same length before.")


class AmountDocument(_Document):
    """US dollars."""

    usd: float | None = Field(description="Of the requests that have a price; null where none has.")
    low: float | None = Field(
        description="With the other group's usual length of answer, where that is less."
    )
    high: float | None = Field(description="The same where it is more.")
    usd_per_day: float | None
    priced: int
    unpriced: int


class LatencyDocument(_Document):
    """Milliseconds, as measured."""

    p50_ms: float | None
    p95_ms: float | None
    samples: int


class MoveDocument(_Document):
    """The requests of one task that would go to another group, or stay."""

    task: str
    before: str
    after: str
    requests: int
    basis: Basis = Field(description="What the cost rests on.")
    measured_on: int = Field(description="Requests on which a measured price rests.")
    cost_before: AmountDocument
    cost_after: AmountDocument
    latency_before: LatencyDocument | None
    latency_after: LatencyDocument | None = Field(description="null: not known.")


class FindingDocument(_Document):
    """Something that would not fit."""

    kind: Violation
    task: str
    group: str
    detail: str


class PlanDocument(_Document):
    """What the recorded requests would have cost under a profile."""

    profile: str
    from_: int = Field(serialization_alias="from")
    to: int
    days: float = Field(description="Length of the record in days; costs per day are divided by it.")
    requests: int
    followed: int = Field(description="Requests that the active profile decided: only these would move.")
    moves: list[MoveDocument]
    cost_before: AmountDocument
    cost_after: AmountDocument
    findings: list[FindingDocument]
    basis: list[str] = Field(description="What the forecast assumes, in words.")


class AlternativeDocument(_Document):
    """One profile's answer to a request."""

    profile: str
    group: str
    cost_usd: float | None = Field(description="null: unknown.")
    basis: Basis


class ExplanationDocument(_Document):
    """One request: what was decided, why, how it ended, and what it would have cost elsewhere."""

    call_id: str
    ended_at: float = Field(description="Unix time in seconds.")
    profile: str | None
    revision: int | None
    task: str | None
    tier: str | None
    reason: str
    steps: list[str] = Field(description="How tier and group of an `auto` request came about.")
    confidence: float | None
    chosen_group: str
    served_group: str
    deployment: str | None
    team: str | None
    outcome: str
    fallback: bool
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_usd: float | None = Field(description="null: nobody has set a price, or nothing was billed.")
    latency_ms: float | None
    first_token_ms: float | None
    alternatives: list[AlternativeDocument]
