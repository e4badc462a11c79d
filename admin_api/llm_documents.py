"""The bodies of the task API's requests and answers, as the OpenAPI page shows them. Unknown keys are refused.

It must not know how an answer comes about; every answer is read off the task room's own types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from admin_api.documents import storable
from neuronode_router.domain import Tier
from neuronode_router.tasks.results import Action
from neuronode_router.tasks.template import InputKind, Language

GroupName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(storable)]
OfPrompt = Annotated[
    Language | None, Field(description="Of the prompt. Left out: the language the inputs are written in.")
]
ForcedTier = Annotated[
    Tier | None, Field(description="Where the first attempt goes, instead of the task's tier.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SentimentBody(_Body):
    """A text about a market, a company or a price."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": "Earnings beat every forecast."}})

    text: str
    language: OfPrompt = None


class ClassifyBody(_Body):
    """A text, and the categories it may belong to."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"text": "I want my money back.", "categories": ["refund", "praise", "question"]}
        }
    )

    text: str
    categories: list[str]
    language: OfPrompt = None


class ChatBody(_Body):
    """A message, and how it shall be routed."""

    model_config = ConfigDict(json_schema_extra={"example": {"message": "What is a limit order?"}})

    message: str
    auto_route: Annotated[
        bool, Field(description="Classify the message to find its tier; false means the tier `complex`.")
    ] = True
    force_tier: Annotated[Tier | None, Field(description="This tier, whatever `auto_route` says.")] = None
    force_model: Annotated[
        GroupName | None, Field(description="This model group or task alias, whatever `auto_route` says.")
    ] = None
    language: OfPrompt = None

    @model_validator(mode="after")
    def _one_force(self) -> Self:
        if self.force_tier is not None and self.force_model is not None:
            raise ValueError("force_tier and force_model exclude each other")
        return self


class AnalysisBody(_Body):
    """Market data, and passages that were retrieved about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "market_data": {"symbol": "BTC", "close": 97000, "rsi": 71},
                "rag_context": ["The ETF saw net inflows for the ninth day."],
            }
        }
    )

    market_data: dict[str, JsonValue]
    rag_context: list[str] = []
    language: OfPrompt = None


class TaskBody(_Body):
    """What a task's template asks for."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"inputs": {"text": "Earnings beat every forecast."}}}
    )

    inputs: dict[str, JsonValue]
    force_tier: ForcedTier = None
    language: OfPrompt = None


class _Document(BaseModel):
    # Should a document ever be refused, the log must not show what a model said (T12).
    model_config = ConfigDict(extra="forbid", from_attributes=True, hide_input_in_errors=True)


class RoutingDocument(_Document):
    """Where the request went, and why."""

    was_fallback: bool = Field(
        description="Another tier or model group answered than the one that was asked."
    )
    confidence: float | None = Field(
        description="Of the classification that chose the tier, 0 to 1; 1 where the task or the caller chose it."
    )
    original_tier: Tier | None = Field(
        description="Where the first attempt was sent; null for `force_model`."
    )
    routing_time_ms: float | None = Field(
        description="What the decision of the first attempt took; null for `force_model`."
    )
    attempts: int = Field(description="Chat requests that were answered for this task.")
    escalated: bool = Field(description="The answer came from a higher tier than the first attempt's.")
    reasons: list[str] = Field(
        description="Why each further attempt followed, and how it ended: "
        "`invalid`, `uncertain`, `failed`, `accepted`."
    )


class _Result(_Document):
    confidence: float = Field(description="In the answer, 0 to 1.")
    valid: bool = Field(description="False when no attempt was within the labels or the schema.")
    model_used: str = Field(description="The model group that answered.")
    tier: Tier | None
    latency_ms: float = Field(description="Of all attempts together.")
    routing: RoutingDocument


class SentimentDocument(_Result):
    """What the text says about rising and falling prices."""

    sentiment: Literal["BULLISH", "BEARISH", "NEUTRAL"] | None


class ClassifyDocument(_Result):
    """The category, spelt as it was sent."""

    category: str | None


class ChatDocument(_Result):
    """A free answer."""

    response: str
    model: str = Field(description="The same as `model_used`.")


class RecommendationDocument(_Document):
    """A model's opinion, not advice. Prices are in the market data's currency."""

    action: Action
    conviction: float = Field(description="What the model says of itself, 0 to 1.")
    summary: str
    reasoning: str
    time_horizon: str
    risks: list[str]
    entry_price: float | None
    stop_loss: float | None
    take_profit: float | None


class AnalysisDocument(_Result):
    """A typed recommendation."""

    recommendation: RecommendationDocument | None


class TaskDocument(_Result):
    """The answer of any task: a label, an object or a text."""

    task: str
    value: str | dict[str, Any] | None


class InputDocument(_Document):
    """What one input of a task may be."""

    kind: InputKind
    max_characters: int
    optional: bool


class TemplateDocument(_Document):
    """A task that can be asked."""

    name: str
    description: str
    tier: Tier = Field(description="Where its first attempt goes.")
    inputs: dict[str, InputDocument]
    output: Literal["labels", "labels_from", "json_schema", "text"]
    labels: list[str] = Field(description="The labels of the template itself.")
    confidence_threshold: float


class TemplateListDocument(_Document):
    """The tasks there are."""

    tasks: list[TemplateDocument]


class ModelConfigDocument(_Document):
    """What is known of a model group."""

    name: str
    tier: Tier | None
    context_window: int | None
    avg_latency_ms: float | None
    cost_factor: float | None
    max_tokens: int | None
    temperature: float | None
    capabilities: list[str]


class ModelsDocument(_Document):
    """What can be asked."""

    available: list[str] = Field(description="Model groups that are there and that this key may ask by name.")
    configured: dict[Tier, ModelConfigDocument | None] = Field(
        description="The model group that a request for each tier is sent to first."
    )


class MetricsDocument(_Document):
    """Requests that were answered through the router, by model group and by tier."""

    total_requests: int
    fallback_rate: float = Field(description="Answers by another model group than the chosen one, 0 to 1.")
    requests_per_model: dict[str, int]
    requests_per_tier: dict[str, int]
    avg_latency_per_model: dict[str, float | None] = Field(description="Milliseconds.")
    p95_latency_per_model: dict[str, float | None] = Field(
        description="Milliseconds; null up to 20 samples, which are too few to tell."
    )


class RoutingStatsDocument(MetricsDocument):
    """The figures, once as they are and once under the name they have in the plan's `ModelStatsResponse`."""

    scope: Literal["worker", "shared"] = Field(
        description="Whose requests: those of the worker that answered, or of all workers and hosts."
    )
    window_seconds: int = Field(description="How far back.")
    models: dict[str, ModelConfigDocument]
    routing_stats: MetricsDocument
