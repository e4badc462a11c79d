"""The bodies of the routes about automatic routing, as the OpenAPI page shows them. Unknown keys are refused.

It must not know how they are computed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from admin_api.documents import storable
from admin_api.problems import PlaceDocument
from neuronode_router.classifier import Layer, Task
from neuronode_router.domain import AUTO, Reason, Step, Tier
from neuronode_router.routing.fallback_chain import Misfit
from neuronode_router.routing.inventory import Modality
from neuronode_router.routing.overload import Health, HealthReason

MAX_MESSAGES = 10_000

Name = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(storable)]


class ClassifyBody(BaseModel):
    """A request that is only thought of. Its text is neither kept nor repeated."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"text": "Fasse den Vertrag in drei Sätzen zusammen."}}
    )

    text: str | None = Field(default=None, description="A prompt. Either this or `messages`.")
    messages: Annotated[list[dict[str, JsonValue]], Field(min_length=1, max_length=MAX_MESSAGES)] | None = (
        Field(default=None, description="A conversation, as a client would send it.")
    )
    profile: Name | None = Field(default=None, description="Decide under this profile, not the active one.")
    task: Name = Field(default=AUTO, description="The name that a client would send as `model`.")
    explain: bool = Field(
        default=False, description="Also tell how the deployments of the groups stand; null for members."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) is (self.messages is None):
            raise ValueError("send either text or messages")
        return self

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The conversation."""
        return self.messages or [{"role": "user", "content": self.text}]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", from_attributes=True)


class ClassificationDocument(_Document):
    """What a prompt asks for, and how sure that is."""

    task: Task
    detail: str = Field(description="The kind of an `other`, else empty.")
    tier: Tier
    confidence: float = Field(description="Chance that `task` is right, 0 to 1.")
    confident: bool = Field(description="False: the profile's `uncertain` tier decides.")
    calibrated: bool = Field(description="Whether `confidence` was measured; not so for the length rules.")
    source: Layer = Field(description="Which layer answered.")
    evidence: list[str] = Field(description="Cues of our lexicon that were found, as `task: cue`.")
    difficulty: float = Field(description="Rises with how hard the request looks, 0 to 1.")


class LeftOutDocument(_Document):
    """A group that cannot hold the request."""

    group: str
    why: Misfit


class DecisionDocument(_Document):
    """What would be decided now."""

    original_model: str
    reason: Reason
    steps: list[Step] = Field(description="How tier and ladder came about; empty for a name with one group.")
    revision: int
    profile: str | None
    task: str | None
    wanted: Tier | None = Field(description="The tier that was wanted.")
    tier: Tier | None = Field(description="The tier of `group`.")
    group: str = Field(description="The model group that would be asked first.")
    ladder: list[str] = Field(description="The groups that would be tried after it, in order.")
    left_out: list[LeftOutDocument]


class StandingDocument(_Document):
    """How a deployment stands, and which value met which limit."""

    id: str
    group: str
    tier: Tier | None
    health: Health
    why: HealthReason
    value: float
    limit: float
    unit: Literal["ms", "attempts", "share"] | None = Field(
        description="Of `value` and `limit`; null: they mean nothing."
    )
    since: float | None = Field(description="Unix time in seconds; null while it has always been so.")
    baseline_ms: float | None = Field(description="Expected latency of a short answer.")


class ClassifiedDocument(_Document):
    """A dry run: nothing was sent, counted or remembered."""

    classification: ClassificationDocument
    decision: DecisionDocument
    standings: list[StandingDocument] | None = Field(description="With `explain`, for admins and viewers.")


class TimesDocument(_Document):
    """Milliseconds, right within 5 %; null without samples."""

    samples: int
    p50_ms: float | None
    p95_ms: float | None


class PeriodDocument(_Document):
    """What was seen of a deployment in a period."""

    answers: int
    errors: int
    error_rate: float = Field(description="Errors per request, 0 to 1.")
    total: TimesDocument = Field(description="Until the end of the answer.")
    first_token: TimesDocument = Field(description="Streams only.")
    short_answer: TimesDocument = Field(description="As if no answer had been longer than 16 tokens.")
    tokens_per_second: float | None


class MeasuredDocument(StandingDocument):
    """A deployment: how it stands and what was measured of it."""

    in_flight: int = Field(description="Requests that run now, in all processes that share statistics.")
    window: PeriodDocument | None = Field(description="The last `window_seconds`; null: never used.")
    recent: PeriodDocument | None = Field(description="The last `recent_seconds`, by which it is judged.")


class DecisionCountsDocument(_Document):
    """`auto` requests that the process which answers has routed since its start."""

    total: int
    tier: dict[str, int]
    task: dict[str, int]
    group: dict[str, int]
    step: dict[str, int]
    fallbacks: int = Field(description="Requests that overload moved to another tier than the wanted one.")
    fallback_rate: float = Field(description="`fallbacks` per request, 0 to 1.")


class RouterStatsDocument(_Document):
    """How every deployment stands, and what was decided."""

    routing: str = Field(description="Automatic routing: on, shadow or off.")
    statistics: str = Field(description='Where figures come from: memory, redis, or "redis (down)".')
    window_seconds: int
    recent_seconds: int
    decisions: DecisionCountsDocument
    deployments: list[MeasuredDocument]


class DeploymentDocument(_Document):
    """What is known of a deployment beforehand; null where nobody said."""

    id: str
    group: str
    tier: Tier | None
    expected_ms: float | None = Field(description="Latency of a short answer, without waiting.")
    cost_factor: float = Field(description="Price relative to llama3.1:8b on own hardware.")
    context_window: int | None = Field(description="Tokens: the smaller of what was written and is granted.")
    max_tokens: int | None
    temperature: float | None
    parallel: int | None = Field(description="Requests it works on at the same time.")
    capabilities: list[str]
    modalities: list[Modality]
    available: bool = Field(description="Whether its server has it.")
    loaded: bool | None = Field(description="Whether its weights are in memory; null where that is unknown.")


class RegistryDocument(_Document):
    """Every deployment, and what is wrong in their notes."""

    deployments: list[DeploymentDocument]
    problems: list[PlaceDocument]
