"""What an answer or an exception of LiteLLM says about the deployment that was asked.

It knows LiteLLM's and the transports' exception classes, and nothing of when or where they were raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import httpx
import litellm
from fastapi import HTTPException

from neuronode_router.litellm_plugin.hooks.usage_reading import field_of
from neuronode_router.stats.evidence import Ending, timeout_ending

NEVER_SENT = 400
"""Stands for a request that LiteLLM could not write, or that this proxy refused: like a 400, it says nothing about the
deployment.
"""

NEARLY = 0.9
"""A time-out counts as run out a little early: clocks differ."""

_TRANSPORT = (httpx.HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The end of an attempt, as `stats.evidence` wants to know it."""

    status: int = 200
    ending: Ending = Ending.COMPLETE


def outcome(
    error: object,
    *,
    waited_seconds: float,
    wished_seconds: float | None,
    allowed_seconds: Callable[[], float | None],
) -> AttemptResult:
    """Return what a failure says.

    `wished_seconds` is the request's own time-out; `allowed_seconds` is asked for the operator's where that ran out.
    Raises nothing of its own.
    """
    if isinstance(error, litellm.Timeout | httpx.TimeoutException | TimeoutError):
        if wished_seconds is None or waited_seconds < NEARLY * wished_seconds:
            return AttemptResult(408, Ending.SERVER_TIMEOUT)
        return AttemptResult(
            408, timeout_ending(wished_seconds=wished_seconds, allowed_seconds=allowed_seconds())
        )
    status = getattr(error, "status_code", None)
    # LiteLLM gives status 500 also to its own failure to write a malformed request, and to read an answer.
    if isinstance(status, int) and not isinstance(error, litellm.APIConnectionError):
        return AttemptResult(NEVER_SENT if _is_of_ours(error) else status)
    return AttemptResult(0 if _met_transport(error) else NEVER_SENT)


def tokens_of(answer: object) -> int:
    """Return the tokens of an answer in any of LiteLLM's formats, 0 where it does not say."""
    usage = field_of(answer, "usage")
    return _first_count(field_of(usage, name) for name in ("completion_tokens", "output_tokens"))


def thought_of(answer: object) -> int:
    """Return how many of these were thought before the text, 0 where it does not say."""
    usage = field_of(answer, "usage")
    details = (field_of(usage, name) for name in ("completion_tokens_details", "output_tokens_details"))
    return _first_count(field_of(each, "reasoning_tokens") for each in details)


def _first_count(found: Iterable[object]) -> int:
    return next((count for count in found if isinstance(count, int)), 0)


def _met_transport(error: object) -> bool:
    return any(isinstance(found, _TRANSPORT) for found in _causes(error))


def _is_of_ours(error: object) -> bool:
    """Return whether an error began in this process, as one of Python's own or as the proxy's answer, and not with a
    server or a connection.
    """
    if isinstance(error, HTTPException):
        return True
    *_, first = _causes(error)
    return type(first).__module__ == "builtins" and not isinstance(first, OSError)


def _causes(error: object) -> Iterator[BaseException]:
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
