"""The bodies of the task API, as the OpenAPI page shows them. Answers are the task room's own results.

It must not know how an answer comes about.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from admin_api.http.schemas import Body, Document, GroupName, Long, TierWord, WholeDocument, Word
from neuronode_router.domain.names import Tier
from neuronode_router.tasks.results import (
    AnalysisResult,
    ChatResult,
    ClassifyResult,
    ModelConfig,
    Offer,
    RoutingMetrics,
    SentimentResult,
    TemplateResult,
)
from neuronode_router.tasks.template import InputKind, Language
from neuronode_router.wrong_value import WrongValue

OfPrompt = Annotated[
    Annotated[Language, Word] | None,
    Field(description="Of the prompt. Left out: the language the inputs are written in."),
]


def _one_name(name: str) -> str:
    if "," in name:  # LiteLLM would ask each of them, and answer with a list
        raise WrongValue("only one model group can be asked", "Write one name, without a comma.")
    return name


class SentimentBody(Body):
    """A text about a market, a company or a price."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": "Earnings beat every forecast."}})

    text: str
    language: OfPrompt = None


class ClassifyBody(Body):
    """A text, and the categories it may belong to."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"text": "I want my money back.", "categories": ["refund", "praise", "question"]}
        }
    )

    text: str
    categories: Long[str]
    language: OfPrompt = None


class ChatBody(Body):
    """A message, and how it shall be routed."""

    model_config = ConfigDict(json_schema_extra={"example": {"message": "What is a limit order?"}})

    message: str
    auto_route: bool = True
    """Classify the message to find its tier; false means the tier `complex`."""
    force_tier: TierWord | None = None
    """This tier, whatever `auto_route` says."""
    force_model: Annotated[GroupName, AfterValidator(_one_name)] | None = None
    """This model group or task alias, whatever `auto_route` says."""
    language: OfPrompt = None

    @model_validator(mode="after")
    def _one_force(self) -> Self:
        if self.force_tier is not None and self.force_model is not None:
            raise WrongValue("force_tier and force_model exclude each other", "Send only one of them.")
        return self


class AnalysisBody(Body):
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
    rag_context: Long[str] = []
    language: OfPrompt = None


class TemplateBody(Body):
    """What a template asks for."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"inputs": {"text": "Earnings beat every forecast."}}}
    )

    inputs: dict[str, JsonValue]
    force_tier: TierWord | None = None
    """Where the first attempt goes, instead of the template's tier."""
    language: OfPrompt = None


class SentimentDocument(WholeDocument[SentimentResult]):
    """What the text says about rising and falling prices."""


class ClassifyDocument(WholeDocument[ClassifyResult]):
    """The category, spelt as it was sent."""


class ChatDocument(WholeDocument[ChatResult]):
    """A free answer."""


class AnalysisDocument(WholeDocument[AnalysisResult]):
    """A typed recommendation: a model's opinion, not advice."""


class AnswerDocument(WholeDocument[TemplateResult]):
    """The answer of any template: a label, an object or a text."""


class InputDocument(Document):
    """What one input of a template may be."""

    kind: InputKind
    max_characters: int
    optional: bool


class TemplateDocument(Document):
    """A template that can be run."""

    name: str
    description: str
    tier: Tier
    """Where its first attempt goes."""
    inputs: dict[str, InputDocument]
    output: Literal["labels", "labels_from", "json_schema", "text"]
    labels: tuple[str, ...]
    """The labels of the template itself."""
    confidence_threshold: float


class TemplateListDocument(Document):
    """The templates there are."""

    templates: list[TemplateDocument]


class ModelsDocument(WholeDocument[Offer]):
    """What can be asked."""


class RoutingStatsDocument(Document):
    """The figures, once as they are and once under the name that the `ModelStatsResponse` of old clients has."""

    total_requests: int
    fallback_rate: float
    """Answers by another model group than the chosen one, 0 to 1."""
    requests_per_model: dict[str, int]
    requests_per_tier: dict[str, int]
    avg_latency_per_model: dict[str, float | None]
    """Milliseconds."""
    p95_latency_per_model: dict[str, float | None]
    """Milliseconds; null up to 20 samples, which are too few to tell."""
    scope: Literal["worker", "shared"]
    """Whose requests: those of the worker that answered, or of all workers and hosts."""
    window_seconds: int
    """How far back."""
    models: dict[str, ModelConfig]
    routing_stats: RoutingMetrics
