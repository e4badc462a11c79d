"""Which attempts say something about a deployment, and what.

A client that gives up, a request that is wrong and a cold load say nothing. It must not know how it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SAID_NO = frozenset({401, 402, 403, 404, 408, 429})
"""The 4xx by which a provider says that it serves us nothing there: not with this key, on this account, of this name,
in time, or now. The others speak of the request.
"""

LONGEST_MS, MOST_TOKENS = 86_400_000.0, 10_000_000
"""A day, and more tokens than any window holds: what lies beyond is an error of measurement."""


class Ending(StrEnum):
    """How an attempt at a deployment ended."""

    COMPLETE = "complete"
    """The provider answered, with whatever status, or could not be reached (status 0)."""
    SERVER_TIMEOUT = "server_timeout"
    """It stayed silent longer than the operator allows."""
    CLIENT_TIMEOUT = "client_timeout"
    """It stayed silent longer than the caller wished to wait."""
    CLIENT_LEFT = "client_left"
    """The caller closed the connection or cancelled."""


class Evidence(StrEnum):
    """What an attempt says about its deployment."""

    ANSWER = "answer"
    ERROR = "error"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one deployment. Times are milliseconds from sending the request to the provider."""

    total_ms: float
    status: int = 200
    """HTTP status of the provider; 0 where there was none."""
    ending: Ending = Ending.COMPLETE
    first_token_ms: float | None = None
    """Known for streams only."""
    tokens: int = 0
    """Tokens of the answer, 0 where the provider does not say."""
    thought: int = 0
    """Tokens of what it thought before its text, and perhaps showed to nobody."""
    cold: bool = False
    """True when the weights had to be loaded first."""


def evidence_of(attempt: Attempt) -> Evidence:
    """Return what an attempt says. Never raises.

    Times that cannot be, such as NaN or a first token after the end, are no evidence.
    """
    if attempt.ending is Ending.CLIENT_TIMEOUT or attempt.ending is Ending.CLIENT_LEFT:
        return Evidence.NONE
    if attempt.ending is Ending.SERVER_TIMEOUT or attempt.status == 0:
        return Evidence.ERROR
    if attempt.status >= 500 or attempt.status in SAID_NO:
        return Evidence.ERROR
    if attempt.status >= 300 or attempt.cold or not _plausible(attempt):
        return Evidence.NONE
    return Evidence.ANSWER


def timeout_ending(*, wished_seconds: float | None, allowed_seconds: float | None) -> Ending:
    """Return whose time-out ran out: `wished_seconds` is the request's own, `allowed_seconds` the operator's."""
    if wished_seconds is not None and (allowed_seconds is None or wished_seconds < allowed_seconds):
        return Ending.CLIENT_TIMEOUT
    return Ending.SERVER_TIMEOUT


def _plausible(attempt: Attempt) -> bool:
    first = attempt.first_token_ms or 0.0
    counts = (attempt.tokens, attempt.thought)
    return 0.0 <= first <= attempt.total_ms <= LONGEST_MS and all(0 <= each <= MOST_TOKENS for each in counts)
