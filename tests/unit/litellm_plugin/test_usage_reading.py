"""What LiteLLM's logging says of a request becomes numbers: cost, times, how it ended."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from neuronode_router.litellm_plugin.hooks.usage_reading import (
    Usage,
    call_id,
    outcome_of,
    read_usage,
    usage_of_answer,
)
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.sums import ADDED, Sums
from tests.support.usage import finished

PAYLOAD: dict[str, Any] = {
    "model_id": "d-1",
    "model_group": "chat",
    "prompt_tokens": 11,
    "completion_tokens": 3,
    "response_cost": 17e-6,
    "cost_breakdown": {"input_cost": 11e-6, "output_cost": 6e-6, "total_cost": 17e-6},
    "cache_hit": None,
    "stream": True,
    "startTime": 100.5,
    "completionStartTime": 100.75,
    "endTime": 102.0,
    "error_information": None,
    "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 4, "image_tokens": 2}}},
}
FIGURES = ("prompt_tokens", "completion_tokens", "cached_tokens", "cost", "output_cost")
FREE = {"cost_breakdown": {"total_cost": 0.0}, "response_cost": 0.0}


def read(request: dict[str, Any] | None = None, **changes: Any) -> Usage:
    return read_usage(PAYLOAD | changes, request or {})


def test_an_answer_is_read_in_full() -> None:
    """Tokens, dollars and milliseconds since the request arrived, retries before this attempt included."""
    found = read({"proxy_server_request": {"arrival_time": 100.0}})

    assert (found.deployment, found.group) == ("d-1", "chat")
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens) == (11, 3, 4)
    assert (found.cost, found.output_cost) == (17e-6, 6e-6)
    assert (found.latency_ms, found.first_token_ms) == (2000.0, 750.0)
    assert (found.images, found.audio) == (True, False)


ABSURD = [10**19, -1, float("nan"), float("inf"), -0.5, "11", True, None, []]


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize(
    "name", ["prompt_tokens", "completion_tokens", "cached_tokens", "response_cost", "output_cost"]
)
def test_what_no_request_uses_is_not_counted(name: str, value: object) -> None:
    """A provider may say anything: whatever it is, the sums can be kept and the other figures hold."""
    places = {
        "cached_tokens": {"metadata": {"usage_object": {"prompt_tokens_details": {name: value}}}},
        "output_cost": {"cost_breakdown": {name: value}},
    }

    found = read(**places.get(name, {name: value}))
    said = usage_of_answer({"usage": {name: value}, "_hidden_params": {name: value}, "model_id": "d-1"})

    for usage in (found, said):
        sums = Sums()
        sums.add(finished(**{each: getattr(usage, each) for each in FIGURES}))
        assert all(0 <= getattr(sums, each) < 2**62 for each in (*ADDED, "largest"))


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, RequestOutcome.ANSWERED),
        ({"cache_hit": True}, RequestOutcome.CACHED),
        ({"cache_hit": False}, RequestOutcome.ANSWERED),
        (
            {"error_information": {"error_code": "499", "error_class": "ClientDisconnected"}},
            RequestOutcome.CANCELLED,
        ),
    ],
)
def test_how_an_answer_ended(changes: dict[str, Any], outcome: RequestOutcome) -> None:
    """The cache and the client that left are told apart; only what was answered in full has times."""
    found = read(**changes)

    assert found.outcome is outcome
    assert (found.latency_ms is None) is (outcome is not RequestOutcome.ANSWERED)


@pytest.mark.parametrize(
    ("changes", "request_", "cost"),
    [
        ({}, {}, 17e-6),
        (FREE, {}, None),
        (FREE, {"metadata": {"model_info": {"input_cost_per_token": None}}}, None),
        (FREE, {"metadata": {"model_info": {"input_cost_per_token": 0.0}}}, 0.0),
        (FREE, {"litellm_metadata": {"model_info": {"output_cost_per_token": 0}}}, 0.0),
        (FREE, {"input_cost_per_token": 0}, 0.0),
        ({"response_cost": 0.0, "cache_hit": True}, {}, 0.0),
        (FREE | {"cache_hit": True}, {}, None),
        ({"response_cost": None, "cost_breakdown": None}, {}, None),
        ({"response_cost": float("inf")}, {"input_cost_per_token": 0}, None),
    ],
)
def test_no_price_is_none_and_free_is_zero(
    changes: dict[str, Any], request_: dict[str, Any], cost: float | None
) -> None:
    """LiteLLM says 0.0 for both: free is what the operator has priced at 0, or what came from the cache."""
    assert read(request_, **changes).cost == cost


def test_a_request_without_logging_is_still_a_request() -> None:
    """Where LiteLLM could not make its payload, nothing is known but that it ended."""
    assert read_usage(None, {}) == Usage()


class RateLimitError(Exception):
    """Named like LiteLLM's."""


class ProviderRateLimit(RateLimitError):
    """A subclass of it."""


class ProxyRateLimitError(RateLimitError):
    """Named like that of LiteLLM's own limits, which is one of its others too."""


class Refused(Exception):
    """An error with a status only."""

    def __init__(self, status: object) -> None:
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ProviderRateLimit(), RequestOutcome.RATE_LIMIT),
        (ProxyRateLimitError(), RequestOutcome.REFUSED_LIMIT),
        (TimeoutError(), RequestOutcome.TIMEOUT),
        (httpx.ReadError("x"), RequestOutcome.UNAVAILABLE),
        (Refused(401), RequestOutcome.AUTHENTICATION),
        (Refused(402), RequestOutcome.AUTHENTICATION),
        (Refused(422), RequestOutcome.BAD_REQUEST),
        (Refused(504), RequestOutcome.TIMEOUT),
        (Refused(529), RequestOutcome.UNAVAILABLE),
        (Refused("400"), RequestOutcome.OTHER),
        (ValueError("secret"), RequestOutcome.OTHER),
        (None, RequestOutcome.OTHER),
    ],
)
def test_errors_have_a_class(error: object, outcome: RequestOutcome) -> None:
    """By type, base and status; never by what they say."""
    assert outcome_of(error) is outcome


@pytest.mark.parametrize(
    ("given", "kept"),
    [("0f-A_9", "0f-A_9"), ("x" * 129, ""), ("a\nb", ""), ("ü", ""), (None, ""), (7, "")],
)
def test_call_ids_are_identifiers(given: object, kept: str) -> None:
    """A caller may choose the call id: what does not look like one is not kept."""
    assert call_id(given) == kept
