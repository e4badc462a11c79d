"""Reads what LiteLLM's logging says of one request: tokens, cost, times, how it ended.

It must not count, and takes no text: neither messages nor answers nor the words of an error are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuronode_router.errors import DoesNotFit, HoldsPersonalData, LeavesResidency, NeuronodeError, NotAllowed
from neuronode_router.litellm_plugin.hooks.request_metadata import BUCKETS
from neuronode_router.stats.evidence import MOST_TOKENS
from neuronode_router.usage.finished import MAX_NAME, RequestOutcome

ATTEMPTED = "x-litellm-attempted-fallbacks"
"""LiteLLM's header of an answer."""

MOST_DOLLARS = 10_000.0
"""More than one request can cost: what lies beyond, or is no number, is an error of measurement."""

CLIENT_LEFT = "499"
"""LiteLLM's error code for a client that disconnected in mid-stream."""

RATES = ("input_cost_per_token", "output_cost_per_token", "input_cost_per_second")
"""An operator who writes one of these as 0 says that a deployment is free."""

ERRORS: Mapping[str, RequestOutcome] = {
    "Timeout": RequestOutcome.TIMEOUT,
    "TimeoutError": RequestOutcome.TIMEOUT,
    "RateLimitError": RequestOutcome.RATE_LIMIT,
    "RouterRateLimitError": RequestOutcome.RATE_LIMIT,
    "RouterRateLimitErrorBasic": RequestOutcome.RATE_LIMIT,
    "ProxyRateLimitError": RequestOutcome.REFUSED_LIMIT,
    "BudgetExceededError": RequestOutcome.REFUSED_LIMIT,
    "AuthenticationError": RequestOutcome.AUTHENTICATION,
    "PermissionDeniedError": RequestOutcome.AUTHENTICATION,
    "ContextWindowExceededError": RequestOutcome.CONTEXT_WINDOW,
    "ContentPolicyViolationError": RequestOutcome.CONTENT_POLICY,
    "NotFoundError": RequestOutcome.NOT_FOUND,
    "ProxyModelNotFoundError": RequestOutcome.NOT_FOUND,
    "BadRequestError": RequestOutcome.BAD_REQUEST,
    "APIConnectionError": RequestOutcome.UNAVAILABLE,
    "TransportError": RequestOutcome.UNAVAILABLE,
}
"""Outcomes by the name of an error's class or of one of its bases, the nearest first."""

REFUSALS: Mapping[type[NeuronodeError], RequestOutcome] = {
    LeavesResidency: RequestOutcome.REFUSED_RESIDENCY,
    HoldsPersonalData: RequestOutcome.REFUSED_PERSONAL_DATA,
    NotAllowed: RequestOutcome.REFUSED_ACCESS,
    DoesNotFit: RequestOutcome.REFUSED_FIT,
}
"""Outcomes by the error of ours that an answer was made of."""

STATUSES: Mapping[int, RequestOutcome] = {
    401: RequestOutcome.AUTHENTICATION,
    402: RequestOutcome.AUTHENTICATION,
    403: RequestOutcome.AUTHENTICATION,
    404: RequestOutcome.NOT_FOUND,
    408: RequestOutcome.TIMEOUT,
    429: RequestOutcome.RATE_LIMIT,
    504: RequestOutcome.TIMEOUT,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request used; all zero where LiteLLM's logging is missing."""

    outcome: RequestOutcome = RequestOutcome.ANSWERED
    deployment: str = ""
    group: str = ""
    """LiteLLM's name for the group that answered, which may be an alias."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    output_cost: float = 0.0
    latency_ms: float | None = None
    first_token_ms: float | None = None
    images: bool = False
    audio: bool = False
    fallbacks: int = 0
    """How many fallbacks LiteLLM went through before this answer."""


def read_usage(payload: Mapping[str, Any] | None, request: Mapping[str, Any]) -> Usage:
    """Return what a standard logging payload says; `request` holds the metadata and when the request arrived.

    Raises `KeyError` or `TypeError` for a payload that is not LiteLLM's.
    """
    if payload is None:
        return Usage()
    outcome = _good_end(payload)
    cost, output_cost = _cost(payload, request)
    about = (payload["metadata"] or {}).get("usage_object") or {}
    prompt = about.get("prompt_tokens_details") or {}
    answered = outcome is RequestOutcome.ANSWERED
    arrival = (request.get("proxy_server_request") or {}).get("arrival_time") or payload["startTime"]
    return Usage(
        outcome=outcome,
        deployment=payload["model_id"] or "",
        group=payload["model_group"] or "",
        prompt_tokens=tokens_of(payload["prompt_tokens"]),
        completion_tokens=tokens_of(payload["completion_tokens"]),
        cached_tokens=tokens_of(prompt.get("cached_tokens")),
        cost=cost,
        output_cost=output_cost,
        latency_ms=_milliseconds(arrival, payload["endTime"]) if answered else None,
        first_token_ms=_milliseconds(arrival, payload["completionStartTime"])
        if answered and payload["stream"]
        else None,
        images=bool(prompt.get("image_tokens")),
        audio=bool(prompt.get("audio_tokens")),
        fallbacks=_fallbacks(request),
    )


def usage_of_answer(answer: object) -> Usage:
    """Return what an answer itself says, where LiteLLM logs nothing of it. Never raises."""
    hidden, tokens = field_of(answer, "_hidden_params"), field_of(answer, "usage")
    return Usage(
        deployment=str(field_of(hidden, "model_id") or ""),
        prompt_tokens=tokens_of(field_of(tokens, "prompt_tokens")),
        completion_tokens=tokens_of(field_of(tokens, "completion_tokens")),
        cost=dollars_of(field_of(hidden, "response_cost")) or None,
    )


def tokens_of(value: object) -> int:
    """Return a count of tokens as providers tell it: 0 for what is none, and no more than can be. Never raises."""
    return min(max(0, value), MOST_TOKENS) if isinstance(value, int) else 0


def dollars_of(value: object) -> float:
    """Return a cost as LiteLLM tells it: 0 for what is none, or more than one request can cost. Never raises."""
    return float(value) if isinstance(value, int | float) and 0 < value <= MOST_DOLLARS else 0.0


def outcome_of(error: object) -> RequestOutcome:
    """Return the class of an exception, by its type, its cause's and its status only. Never raises."""
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, NeuronodeError) and type(cause) in REFUSALS:
        return REFUSALS[type(cause)]
    for base in type(error).__mro__:
        if base.__name__ in ERRORS:
            return ERRORS[base.__name__]
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return RequestOutcome.OTHER
    if status >= 500:
        return STATUSES.get(status, RequestOutcome.UNAVAILABLE)
    return STATUSES.get(status, RequestOutcome.BAD_REQUEST)


def call_id(value: object) -> str:
    """Return a call id as it is kept. Callers may choose it, so only what identifiers look like is. Never raises."""
    text = value if isinstance(value, str) else ""
    return text if len(text) <= MAX_NAME and text.isascii() and text.isprintable() else ""


def _good_end(payload: Mapping[str, Any]) -> RequestOutcome:
    if payload["cache_hit"] is True:
        return RequestOutcome.CACHED
    error = payload["error_information"] or {}
    return RequestOutcome.CANCELLED if error.get("error_code") == CLIENT_LEFT else RequestOutcome.ANSWERED


def _cost(payload: Mapping[str, Any], request: Mapping[str, Any]) -> tuple[float | None, float]:
    """Return US dollars, and those of the answer's tokens. LiteLLM says 0.0 for what has no price: that is None."""
    said = payload["response_cost"]
    cost = dollars_of(said)
    breakdown = payload["cost_breakdown"] or {}
    if cost > 0:
        return cost, min(cost, dollars_of(breakdown.get("output_cost")))
    if not said and (breakdown.get("total_cost") or _declared_free(request)):
        return 0.0, 0.0  # from LiteLLM's cache, or free by the operator's word
    return None, 0.0


def attempted_fallbacks(response: object) -> int | None:
    """Return how many fallbacks LiteLLM says an answer took, None where it does not say. Never raises."""
    hidden = field_of(response, "_hidden_params")
    count = field_of(field_of(hidden, "additional_headers"), ATTEMPTED)
    return count if isinstance(count, int) else None


def _fallbacks(request: Mapping[str, Any]) -> int:
    counts = (field_of(request.get(name), "attempted_fallbacks") for name in BUCKETS)
    return next((count for count in counts if isinstance(count, int)), 0)


def field_of(holder: object, name: str) -> object:
    """Return what LiteLLM's answer, or a part of it, has under a name, as a mapping or an object; None for nothing."""
    return holder.get(name) if isinstance(holder, dict | Mapping) else getattr(holder, name, None)


def _declared_free(request: Mapping[str, Any]) -> bool:
    places = [request]
    for name in BUCKETS:
        bucket = request.get(name)
        if isinstance(bucket, dict | Mapping) and isinstance(bucket.get("model_info"), dict | Mapping):
            places.append(bucket["model_info"])
    return any(place.get(rate) is not None for place in places for rate in RATES)


def _milliseconds(began: float, ended: float) -> float:
    return max(0.0, ended - began) * 1000
