"""From an outcome to what callers get back.

It must not know HTTP, nor how an outcome comes about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from neuronode_router.tasks.engine import TaskOutcome
from neuronode_router.tasks.results import (
    AnalysisResult,
    ChatResult,
    ClassifiedTask,
    ClassifyResult,
    ModelConfig,
    ModelResponse,
    Routing,
    RoutingDecision,
    Sentiment,
    SentimentResult,
    TemplateResult,
    TradingRecommendation,
)


def sentiment_result(outcome: TaskOutcome) -> SentimentResult:
    """Return the result of the task `sentiment`. Never raises."""
    return SentimentResult(sentiment=cast("Sentiment | None", _text(outcome)), **_common(outcome))


def classify_result(outcome: TaskOutcome) -> ClassifyResult:
    """Return the result of the task `classify`. Never raises."""
    return ClassifyResult(category=_text(outcome), **_common(outcome))


def chat_result(outcome: TaskOutcome) -> ChatResult:
    """Return the result of the task `chat`. Never raises."""
    return ChatResult(response=_text(outcome), model=outcome.answer.model_used, **_common(outcome))


def analysis_result(outcome: TaskOutcome) -> AnalysisResult:
    """Return the result of the task `analysis`. Never raises."""
    value = outcome.checked.value
    typed = TradingRecommendation.from_value(value) if isinstance(value, Mapping) else None
    return AnalysisResult(recommendation=typed, **_common(outcome))


def template_result(name: str, outcome: TaskOutcome) -> TemplateResult:
    """Return the result of any template. Never raises."""
    return TemplateResult(template=name, value=outcome.checked.value, **_common(outcome))


def model_response(outcome: TaskOutcome) -> ModelResponse:
    """Return an outcome in the fields of `ModelRouter.route_and_generate`. Never raises."""
    return ModelResponse(
        content=_said(outcome),
        model_used=outcome.answer.model_used,
        tier_used=outcome.tier,
        latency_ms=outcome.latency_ms,
        tokens_generated=outcome.answer.tokens_generated,
        routing_decision=_decision(outcome),
        value=outcome.checked.value,
    )


def _common(outcome: TaskOutcome) -> dict[str, Any]:
    return {
        "confidence": outcome.confidence,
        "valid": outcome.checked.valid,
        "model_used": outcome.answer.model_used,
        "tier": outcome.tier,
        "latency_ms": outcome.latency_ms,
        "routing": Routing(
            was_fallback=outcome.answer.fallback,
            confidence=_certainty(outcome),
            original_tier=outcome.wanted,
            routing_time_ms=outcome.first.routing_ms,
            attempts=outcome.attempts,
            escalated=outcome.escalated,
            reasons=tuple(why.value for why in outcome.reasons),
        ),
    }


def _decision(outcome: TaskOutcome) -> RoutingDecision:
    answer, first = outcome.answer, outcome.first
    return RoutingDecision(
        selected_model=ModelConfig(name=answer.model_used, tier=outcome.tier),
        original_tier=outcome.wanted,
        was_fallback=answer.fallback,
        classification=ClassifiedTask(
            task_type=first.task if outcome.automatic else None,
            model_tier=outcome.wanted,
            confidence=_certainty(outcome),
            reasoning=first.reason,
        ),
        routing_time_ms=first.routing_ms,
    )


def _certainty(outcome: TaskOutcome) -> float | None:
    """Return how sure the proxy was of the tier: quite, where it was told."""
    return outcome.first.confidence if outcome.automatic else 1.0


def _said(outcome: TaskOutcome) -> str:
    match outcome.checked.value:
        case None:
            return outcome.answer.text
        case str() as text:
            return text
        case value:
            return json.dumps(value, ensure_ascii=False)


def _text(outcome: TaskOutcome) -> str | None:
    value = outcome.checked.value
    return value if isinstance(value, str) else None
