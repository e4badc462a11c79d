"""What callers of the task API and of `ModelRouter` get back, with the field names of the multi-model plan.

It must not know how an answer came about, nor HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from neuronode_router.domain import Tier


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is known of the model group a request went to."""

    name: str
    tier: Tier
    context_window: int | None = None
    avg_latency_ms: float | None = None
    cost_factor: float | None = None
    """Relative to the small one = 1."""
    max_tokens: int | None = None
    temperature: float | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassifiedTask:
    """What a query was taken for. `task_type` is None where the tier was forced."""

    task_type: str | None
    model_tier: Tier
    confidence: float
    """0 to 1; 1 where the tier was forced."""
    reasoning: str


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Where a query went, and why."""

    selected_model: ModelConfig
    original_tier: Tier
    was_fallback: bool
    """True when the tier that was chosen first did not answer."""
    classification: ClassifiedTask
    routing_time_ms: float


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """One generated answer. Times are milliseconds."""

    content: str
    model_used: str
    tier_used: Tier
    latency_ms: float
    tokens_generated: int
    routing_decision: RoutingDecision


@dataclass(frozen=True, slots=True)
class Routing:
    """The `routing` part of a task's answer."""

    was_fallback: bool
    confidence: float
    """Of the classification that chose the tier, 0 to 1; 1 where the task or the caller did."""
    original_tier: Tier
    routing_time_ms: float
    attempts: int = 1
    escalated: bool = False
    """True when the answer came from a higher tier than the first attempt."""
    reasons: tuple[str, ...] = ()
    """Why each further attempt followed, and how it ended: words of `escalation.Why`."""

    @classmethod
    def of(
        cls,
        decision: RoutingDecision,
        *,
        attempts: int = 1,
        escalated: bool = False,
        reasons: tuple[str, ...] = (),
    ) -> Self:
        """Return the part that tells of `decision`. Never raises."""
        return cls(
            was_fallback=decision.was_fallback,
            confidence=decision.classification.confidence,
            original_tier=decision.original_tier,
            routing_time_ms=decision.routing_time_ms,
            attempts=attempts,
            escalated=escalated,
            reasons=reasons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What every task's answer tells beside the answer itself."""

    confidence: float
    """In the answer, 0 to 1 (see `confidence`)."""
    valid: bool
    """False when the last attempt, too, was outside the labels or the schema."""
    model_used: str
    tier: Tier
    latency_ms: float
    routing: Routing

    def to_document(self) -> dict[str, Any]:
        """Return the result as JSON-ready data. Never raises."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentResult(TaskResult):
    """BULLISH, BEARISH or NEUTRAL; None when no answer was valid."""

    sentiment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyResult(TaskResult):
    """One of the caller's categories, spelt as the caller spells it; None when no answer was valid."""

    category: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResult(TaskResult):
    """A free answer."""

    response: str

    def to_document(self) -> dict[str, Any]:
        """Return the result as JSON-ready data, with the plan's `model` for what is `model_used` elsewhere."""
        return {**asdict(self), "model": self.model_used}


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
