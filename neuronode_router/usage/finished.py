"""One finished request as usage counts it: who was asked, who answered, what it took and what it cost.

It must not know where requests come from or what is summed up. Names and numbers only, never text of a prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MAX_NAME = 128
"""Characters of a name that are kept."""

OTHER = "other"
"""What stands for names beyond what is told apart."""


class RequestOutcome(StrEnum):
    """How a request ended: three good ends, what was refused before anybody was asked, and the classes of errors."""

    ANSWERED = "answered"
    CACHED = "cached"
    """LiteLLM's own cache answered: nobody was paid."""
    CANCELLED = "cancelled"
    """The client left before the end."""
    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    """The provider refused our key or account, or LiteLLM the caller's."""
    CONTEXT_WINDOW = "context_window"
    CONTENT_POLICY = "content_policy"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    UNAVAILABLE = "unavailable"
    """The provider failed, or could not be reached."""
    REFUSED_RESIDENCY = "refused_residency"
    """Its data would have left where a profile, a team or the key keeps it."""
    REFUSED_PERSONAL_DATA = "refused_personal_data"
    """It holds personal data, and a rule says where that may go."""
    REFUSED_ACCESS = "refused_access"
    """Its caller may not use what it asks for, or nobody could check that."""
    REFUSED_FIT = "refused_fit"
    """No deployment can hold it."""
    REFUSED_LIMIT = "refused_limit"
    """LiteLLM stopped its caller, whose limit or budget there is used up."""
    LOST = "lost"
    """LiteLLM never said how it ended."""
    OTHER = "other"


GOOD_ENDS = frozenset({RequestOutcome.ANSWERED, RequestOutcome.CACHED, RequestOutcome.CANCELLED})
"""Every other outcome is an error."""

REFUSALS = frozenset(
    {
        RequestOutcome.REFUSED_RESIDENCY,
        RequestOutcome.REFUSED_PERSONAL_DATA,
        RequestOutcome.REFUSED_ACCESS,
        RequestOutcome.REFUSED_FIT,
        RequestOutcome.REFUSED_LIMIT,
    }
)
"""What was refused here, and by no provider."""

SAID_NO = REFUSALS | frozenset(
    {
        RequestOutcome.AUTHENTICATION,
        RequestOutcome.CONTEXT_WINDOW,
        RequestOutcome.CONTENT_POLICY,
        RequestOutcome.NOT_FOUND,
        RequestOutcome.BAD_REQUEST,
    }
)
"""What somebody said no to: this proxy where nobody was asked, else the group that was."""

UNBILLED = SAID_NO - {RequestOutcome.CONTENT_POLICY} | {RequestOutcome.RATE_LIMIT}
"""Errors that say that the request was not worked on. Of any other nobody can tell what was billed for it."""


class UsageKey(NamedTuple):
    """What is told apart. Empty text and revision 0 mean that there is none."""

    profile: str = ""
    revision: int = 0
    task: str = ""
    tier: str = ""
    chosen_group: str = ""
    """The group that admission chose."""
    served_group: str = ""
    """The group that answered, or failed last; none where this proxy said no before it asked one."""
    deployment: str = ""
    team: str = ""
    reason: str = ""
    """Why that profile decided: a `decisions.Reason`."""
    outcome: str = RequestOutcome.ANSWERED
    arm: str = ""
    """Which arm of a rollout answered: `control` or `canary`, with `_begun` where the conversation was placed before
    the step began and is not compared.
    """
    location: str = ""
    """Where the deployments are that were asked, retries and fallbacks included, joined by `+`."""


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """One request that has ended."""

    call_id: str
    """LiteLLM's `x-litellm-call-id`; callers may choose it, so it identifies nothing."""
    at: float
    """Unix time in seconds at which it ended."""
    key: UsageKey
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of the prompt that the provider read from its cache."""
    cost: float | None = None
    """US dollars by LiteLLM's calculation; None where nobody has set a price, and for errors without a bill."""
    output_cost: float = 0.0
    """The part of `cost` for the answer's tokens."""
    latency_ms: float | None = None
    """From arrival to the end of the answer; None unless answered."""
    first_token_ms: float | None = None
    """Streams only."""
    images: bool = False
    audio: bool = False
    steps: tuple[str, ...] = ()
    """How tier and group of an `auto` request came about: `decisions.Step`s."""
    confidence: float | None = None
    """How sure the classification was, 0 to 1."""
    caller: str = ""
    """What the key is called that asked; empty where nobody knows."""
    asked: str = ""
    """The name that the caller sent as `model`."""

    @property
    def fallback(self) -> bool:
        """Whether another group answered than the one that admission chose."""
        chosen, served = self.key.chosen_group, self.key.served_group
        return bool(chosen and served) and chosen != served


def newest(newest_first: Iterable[FinishedRequest], call_id: str, team: str | None) -> FinishedRequest | None:
    """Return the first request with this call id, and of this team if one is given. Never raises."""
    wanted = (one for one in newest_first if one.call_id == call_id and team in (None, one.key.team))
    return next(wanted, None)
