"""The bodies of the usage routes, as the OpenAPI page shows them.

It must not know how they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from admin_api.http.problems import InvalidRequestError
from admin_api.http.schemas import Asked, Document, Name
from neuronode_router.domain.names import NAME_PATTERN
from neuronode_router.domain.receipts import WarmReport
from neuronode_router.usage.periods import DAY, HOUR, MINUTE
from neuronode_router.usage.prices import Basis
from neuronode_router.usage.report import GROUPINGS
from neuronode_router.usage.targets import FitFinding
from neuronode_router.wrong_value import WrongValue

STEPS = (MINUTE, HOUR, DAY)
MAX_STEPS = 1500
MAX_DAYS = 3650

LAST_DAY = float(DAY)
LAST_WEEK = 7.0 * DAY

Moment = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]


def _groupings(text: str) -> str:
    names = text.split(",")
    if unknown := [name for name in names if name not in GROUPINGS]:
        raise WrongValue(
            f"{len(unknown)} of these are no groupings", f"Write some of {', '.join(GROUPINGS)}, with commas."
        )
    if len(set(names)) < len(names):
        raise WrongValue("a grouping is named twice", "Name each once.")
    return text


def _places(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if NAME_PATTERN.fullmatch(name) is None]:
        raise WrongValue(
            f"{len(wrong)} of these are no places", "Write local, eu, de or a provider, with commas."
        )
    return ",".join(names)


def step_of(steps: Sequence[int]) -> AfterValidator:
    """Return what refuses seconds that are none of `steps`."""

    def known(seconds: int) -> int:
        if seconds not in steps:
            raise WrongValue("this is no step", f"Write one of {', '.join(map(str, steps))}: seconds.")
        return seconds

    return AfterValidator(known)


class AskedPeriod(Asked):
    """A span of time."""

    model_config = ConfigDict(populate_by_name=True)

    place: ClassVar[str] = "query"
    """Where a request says it."""

    since: Moment | None = Field(default=None, alias="from")
    """Unix time in seconds."""
    until: Moment | None = Field(default=None, alias="to")
    """Unix time in seconds. Default: now."""

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if (
            self.since is not None
            and self.until is not None
            and not 0 < self.until - self.since <= MAX_DAYS * DAY
        ):
            raise WrongValue(
                "must lie after `from`", f"Write a later time, at most {MAX_DAYS} days later.", key="to"
            )
        return self

    def ends(self, now: float, *, default: float) -> tuple[float, float]:
        """Return from and to; where `from` was left out, `default` seconds before `to`.

        Raises `InvalidRequestError` where that begins after `now`, and nothing says until when.
        """
        until = now if self.until is None else self.until
        since = until - default if self.since is None else self.since
        if since >= until:
            fix = "Write an earlier time, or name the end with `to`."
            path = f"{self.place}.from"
            raise InvalidRequestError.at(path, "value_error", "It lies in the future.", fix)
        return since, until


class UsageQuery(AskedPeriod):
    """What a report is about."""

    by: Annotated[
        str,
        Field(
            max_length=256,
            description=f"How it is grouped: names of {', '.join(GROUPINGS)}, separated by commas.",
        ),
        AfterValidator(_groupings),
    ] = "profile"
    step: Annotated[int, step_of(STEPS)] | None = None
    """Seconds of one step of a series: 60, 3600 or 86400. Default: the whole period."""
    format: Literal["json", "csv"] = "json"
    """`csv` is the same, for a spreadsheet."""


class ResidencyQuery(AskedPeriod):
    """Whose requests, and where they should have stayed."""

    team: Name | None = None
    """A team id. Default: all requests; for members of teams, their own team's."""
    within: Annotated[
        str,
        Field(
            max_length=256,
            description="Places, separated by commas; local is always within.",
        ),
        AfterValidator(_places),
    ] = "local"


class ResidencyDocument(Document):
    """Where requests went. One that was tried at several places counts at the worst of them."""

    model_config = ConfigDict(populate_by_name=True)

    from_: float = Field(alias="from")
    to: float
    team: str | None
    required: list[str]
    """What `within` was."""
    requests: int
    within: int
    """Sent to nowhere else."""
    elsewhere: int
    unknown: int
    """Sent to a deployment of which nobody can tell where it is, or counted before places were."""
    unasked: int
    """Answered from LiteLLM's cache, refused for another reason, or given up beforehand."""
    refused_residency: int
    """Refused, for they would have left where their data must stay."""
    refused_personal_data: int
    """Refused, for they hold personal data."""
    unattributed: int
    """Requests of any team that were counted without telling teams apart: they may be this one's."""
    places: dict[str, int]
    """Requests by the places they were sent to, joined by +."""


class PlanBody(AskedPeriod):
    """The profile that the recorded requests are replayed through."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"profile": "cost_effective"}})

    place: ClassVar[str] = "body"

    profile: Name


Milliseconds = Annotated[float, AfterValidator(lambda found: round(found, 1))]


class FiguresDocument(Document):
    """What was counted of some requests, and what follows from it."""

    requests: int
    errors: int
    error_rate: float | None
    """Errors per request; null without requests."""
    fallbacks: int
    fallback_rate: float | None
    cached: int
    """Answered by LiteLLM's cache."""
    cancelled: int
    """The client left before the end."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Prompt tokens that the provider read from its cache."""
    cost_usd: float | None
    """Of the requests that have a price; null where none has: unpriced."""
    priced: int
    """Requests whose cost is known."""
    unpriced: int
    """Requests whose deployment has no price."""
    latency_mean_ms: Milliseconds | None
    """From arrival to the end of the answer, within 5 %."""
    latency_p50_ms: Milliseconds | None
    latency_p95_ms: Milliseconds | None
    first_token_p50_ms: Milliseconds | None
    """Streams only."""
    first_token_p95_ms: Milliseconds | None
    outcomes: dict[str, int]
    """Requests by how they ended."""


class UsageLineDocument(Document):
    """One group of requests in one step."""

    start: int | None
    """Unix time at which the step begins; null where there are no steps."""
    names: dict[str, str | int]
    figures: FiguresDocument
    before: FiguresDocument | None
    """The same group in the period before; null in a series."""


class UsageDocument(Document):
    """Usage by group."""

    from_: int = Field(serialization_alias="from")
    """The nearest that is told apart, so that periods that follow each other share nothing."""
    to: int
    by: list[str]
    step: int | None
    lines: list[UsageLineDocument]
    total: FiguresDocument
    total_before: FiguresDocument
    """Over the period before, from `before_from` to `from`."""
    before_from: int
    """So that it is as long, as nearly as is told apart so long ago."""


class AmountDocument(Document):
    """US dollars."""

    usd: float | None = None
    """Of the requests that have a price; null where none has."""
    low: float | None = None
    """With the other group's usual length of answer, where that is less."""
    high: float | None = None
    """The same where it is more."""
    usd_per_day: float | None = None
    priced: int = 0
    unpriced: int


class LatencyDocument(Document):
    """Milliseconds, as measured."""

    p50_ms: Milliseconds | None
    p95_ms: Milliseconds | None
    samples: int


class MoveDocument(Document):
    """The requests of one task that would go to another group, or stay."""

    task: str
    before: str
    after: str
    requests: int
    basis: Basis
    """What the cost rests on."""
    measured_on: int
    """Requests on which a measured price rests."""
    cost_before: AmountDocument
    cost_after: AmountDocument
    latency_before: LatencyDocument | None
    latency_after: LatencyDocument | None
    """null: not known."""


class CacheLossDocument(Document):
    """What providers' caches have done for the requests that would leave their group: a switch loses it at first."""

    prompt_tokens: int
    cached_tokens: int
    share: float | None
    """Of the prompts' tokens that caches answered; null without tokens."""
    usd_per_day: float | None
    """What the caches save; null where the price of a cached token is unknown for some of them."""


class PlanDocument(Document):
    """What the recorded requests would have cost under a profile."""

    profile: str
    from_: int = Field(serialization_alias="from")
    to: int
    days: float
    """Length of the record in days; costs per day are divided by it."""
    requests: int
    followed: int
    """Requests that the active profile decided: only these can move. `moves` says which would."""
    moves: list[MoveDocument]
    cost_before: AmountDocument
    cost_after: AmountDocument
    findings: tuple[FitFinding, ...]
    caches: CacheLossDocument
    basis: tuple[str, ...]
    """What the forecast assumes, in words."""
    warm: WarmReport | None
    """What a switch to it would do about local models now; null where it has to do with none."""


class AlternativeDocument(Document):
    """One profile's answer to a request."""

    profile: str
    group: str
    cost_usd: float | None
    """null: unknown."""
    basis: Basis


class ExplanationDocument(Document):
    """One request: what was decided, why, how it ended, and what it would have cost elsewhere."""

    call_id: str
    ended_at: float
    """Unix time in seconds."""
    profile: str | None
    revision: int | None
    task: str | None
    tier: str | None
    reason: str
    steps: tuple[str, ...]
    """How tier and group of an `auto` request came about."""
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
    cost_usd: float | None
    """null: nobody has set a price, or nothing was billed."""
    latency_ms: Milliseconds | None
    first_token_ms: Milliseconds | None
    alternatives: list[AlternativeDocument]
