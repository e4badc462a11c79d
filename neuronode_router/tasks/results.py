"""What callers of the task API and of `ModelRouter` get back, with the field names of the multi-model plan.

It must not know how an answer came about, nor HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self

from neuronode_router.domain.names import Tier
from neuronode_router.tasks.answers import Value

Sentiment = Literal["BULLISH", "BEARISH", "NEUTRAL"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is known of the model group a request went to."""

    name: str
    tier: Tier | None
    """None where nobody says."""
    context_window: int | None = None
    avg_latency_ms: float | None = None
    cost_factor: float | None = None
    """Relative to the small one = 1."""
    max_tokens: int | None = None
    temperature: float | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassifiedTask:
    """What a query was taken for. `task_type` is None where nothing was classified, as where the tier was forced."""

    task_type: str | None
    model_tier: Tier | None
    """None where a model group was asked."""
    confidence: float | None
    """0 to 1; 1 where tier or model group were asked for; None where the proxy does not say."""
    reasoning: str
    """The proxy's words for it, comma-separated (`x-neuronode-reason`)."""


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Where a query went, and why."""

    selected_model: ModelConfig
    original_tier: Tier | None
    """Where the first attempt was sent; None where a model group was asked."""
    was_fallback: bool
    """True when another tier or model group answered than the one that was asked."""
    classification: ClassifiedTask
    routing_time_ms: float | None
    """What the decision of the first attempt took; None where a model group was asked."""


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """One generated answer. Times are milliseconds."""

    content: str
    """The label, the object as JSON, or the text; where no answer was valid, what was said last."""
    model_used: str
    tier_used: Tier | None
    latency_ms: float
    tokens_generated: int
    routing_decision: RoutingDecision
    value: Value | None
    """What the task makes of it: the label, the object or the text; None when no answer was valid."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a request of the task API went, and why."""

    was_fallback: bool
    confidence: float | None
    """Of the classification that chose the tier, 0 to 1; 1 where the template or the caller did; null without one."""
    original_tier: Tier | None
    routing_time_ms: float | None
    attempts: int = 1
    escalated: bool = False
    """True when the answer came from a higher tier than the first attempt."""
    reasons: tuple[str, ...] = ()
    """Why each further attempt followed, and how it ended: words of `escalation.Why`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What every answer of the task API tells beside the answer itself."""

    confidence: float
    """In the answer, 0 to 1 (see `confidence`)."""
    valid: bool
    """False when no attempt was within the labels or the schema."""
    model_used: str
    """The model group that answered."""
    tier: Tier | None
    """None where a model group was asked whose tier nobody says."""
    latency_ms: float
    routing: Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentResult(TaskResult):
    """BULLISH, BEARISH or NEUTRAL; None when no answer was valid."""

    sentiment: Sentiment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyResult(TaskResult):
    """One of the caller's categories, spelt as the caller spells it; None when no answer was valid."""

    category: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResult(TaskResult):
    """A free answer; None when there was none."""

    response: str | None
    model: str
    """The same as `model_used`: some callers read it under this name."""


class Action(StrEnum):
    """What a recommendation says to do."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class TradingRecommendation:
    """The answer of the task `analysis`; prices are in the market data's currency."""

    action: Action
    conviction: float
    """What the model says of itself, 0 to 1: not the `confidence` of the result."""
    summary: str
    reasoning: str
    time_horizon: str
    risks: tuple[str, ...]
    entry_price: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Build it from an object that `analysis`'s schema accepted. Raises `KeyError` or `ValueError` on others."""
        prices = {key: value.get(key) for key in ("entry_price", "stop_loss", "take_profit")}
        return cls(
            action=Action(value["action"]),
            conviction=float(value["conviction"]),
            summary=value["summary"],
            reasoning=value["reasoning"],
            time_horizon=value["time_horizon"],
            risks=tuple(value["risks"]),
            **{key: None if price is None else float(price) for key, price in prices.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResult(TaskResult):
    """A typed recommendation; None when no answer fitted the schema."""

    recommendation: TradingRecommendation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateResult(TaskResult):
    """The answer of any template: a label, a JSON object or a text; None when no answer was valid."""

    template: str
    value: Value | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be asked."""

    available: tuple[str, ...]
    """Model groups that are there and that the caller may ask by name."""
    configured: Mapping[Tier, ModelConfig | None]
    """The model group that a request for each tier is sent to first."""


@dataclass(frozen=True, slots=True)
class RoutingMetrics:
    """Requests that were answered through the router, by model group and by tier."""

    total_requests: int
    fallback_rate: float
    """Answers by another model group than the chosen one, 0 to 1."""
    requests_per_model: Mapping[str, int]
    requests_per_tier: Mapping[str, int]
    avg_latency_per_model: Mapping[str, float | None]
    """Milliseconds; None without samples."""
    p95_latency_per_model: Mapping[str, float | None]
    """Milliseconds; None up to 20 samples, which are too few to tell."""


@dataclass(frozen=True, slots=True)
class RoutingStats:
    """The metrics, and whose and of which time they are."""

    metrics: RoutingMetrics
    models: Mapping[str, ModelConfig]
    scope: str
    """`worker`: the process that answered; `shared`: all workers and hosts."""
    window_seconds: int
