"""What LiteLLM's exceptions and answers say about a deployment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import litellm
import pytest
from fastapi import HTTPException
from litellm.proxy.common_utils.proxy_rate_limit_error import ProxyRateLimitError
from litellm.types.llms.openai import ResponseAPIUsage
from litellm.types.utils import Usage

from neuronode_router.litellm_plugin.hooks.attempt_outcome import (
    NEVER_SENT,
    AttemptResult,
    outcome,
    thought_of,
    tokens_of,
)
from neuronode_router.stats.evidence import Ending

TIMED_OUT = litellm.Timeout(message="no answer", model="m", llm_provider="p")


def connection_error(behind: Exception) -> Exception:
    """Return LiteLLM's class for lost connections, as raised while `behind` was handled."""
    error = litellm.APIConnectionError(message="x", llm_provider="p", model="m")
    error.__context__ = behind
    return error


def judged(
    error: object, *, waited: float = 1.0, wished: float | None = None, allowed: float | None = 600
) -> AttemptResult:
    return outcome(error, waited_seconds=waited, wished_seconds=wished, allowed_seconds=lambda: allowed)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (litellm.RateLimitError(message="full", llm_provider="p", model="m"), 429),
        (litellm.BadRequestError(message="wrong", llm_provider="p", model="m"), 400),
        (litellm.ServiceUnavailableError(message="down", llm_provider="p", model="m"), 503),
        (litellm.AuthenticationError(message="whose key?", llm_provider="p", model="m"), 401),
        (litellm.NotFoundError(message="no such model", llm_provider="p", model="m"), 404),
        (HTTPException(status_code=403, detail="A gate of this proxy."), NEVER_SENT),
        (ProxyRateLimitError(detail="A limit of this proxy."), NEVER_SENT),
        (connection_error(httpx.ConnectError("refused")), 0),
        (connection_error(ConnectionResetError()), 0),
        (connection_error(TypeError("'int' object is not iterable")), NEVER_SENT),
        (httpx.ReadError("broken"), 0),
        (ValueError("of LiteLLM's own"), NEVER_SENT),
        (None, NEVER_SENT),
    ],
)
def test_a_failure_has_the_status_of_who_failed(error: object, status: int) -> None:
    """The provider's own status, 0 for a connection, that of a bad request for what was never sent."""
    assert judged(error) == AttemptResult(status, Ending.COMPLETE)


@pytest.mark.parametrize(
    ("waited", "wished", "allowed", "ending"),
    [
        (600.0, None, 600.0, Ending.SERVER_TIMEOUT),
        (0.05, 0.05, 600.0, Ending.CLIENT_TIMEOUT),
        (0.05, 0.05, None, Ending.CLIENT_TIMEOUT),
        (900.0, 900.0, 600.0, Ending.SERVER_TIMEOUT),
        (0.1, 30.0, 600.0, Ending.SERVER_TIMEOUT),
    ],
)
@pytest.mark.parametrize("error", [TIMED_OUT, httpx.ReadTimeout("stream"), TimeoutError()])
def test_a_time_out_belongs_to_the_shorter_patience(
    error: Exception, waited: float, wished: float | None, allowed: float | None, ending: Ending
) -> None:
    """The caller's where his own ran out first; else the deployment was silent, or said 408 itself."""
    assert judged(error, waited=waited, wished=wished, allowed=allowed).ending is ending


def test_a_loop_of_causes_ends() -> None:
    """Exceptions may refer to each other in a circle."""
    error = connection_error(ValueError())
    error.__context__.__context__ = error  # type: ignore[union-attr]

    assert judged(error).status == NEVER_SENT


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (SimpleNamespace(usage=SimpleNamespace(completion_tokens=3)), 3),
        (SimpleNamespace(usage=SimpleNamespace(output_tokens=4)), 4),
        ({"usage": {"output_tokens": 5}}, 5),
        ({"usage": {"completion_tokens": None}}, 0),
        (SimpleNamespace(), 0),
        (None, 0),
    ],
)
def test_tokens_are_found_in_every_format(answer: Any, tokens: int) -> None:
    """Objects and mappings, and 0 where nothing is said."""
    assert tokens_of(answer) == tokens


@pytest.mark.parametrize(
    ("usage", "thought"),
    [
        (Usage(completion_tokens=9, reasoning_tokens=7), 7),
        (ResponseAPIUsage(input_tokens=1, output_tokens=9, total_tokens=10), 0),
        ({"output_tokens_details": {"reasoning_tokens": 5}}, 5),
        ({"completion_tokens_details": None}, 0),
        (None, 0),
    ],
)
def test_what_was_thought_is_found_in_every_format(usage: Any, thought: int) -> None:
    """LiteLLM's own ones among them."""
    assert thought_of(SimpleNamespace(usage=usage)) == thought
