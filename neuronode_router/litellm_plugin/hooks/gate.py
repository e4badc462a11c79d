"""The last gate: before LiteLLM asks a deployment, whether the request that it serves may reach the group.

It decides nothing itself: `routing.passage` has the rule for caps, `routing.residency` the one for places, which holds
for all that is called within a request, and LiteLLM the one for lists of models. What is decided stands in a context
variable, which no body reaches: the door of the proxy writes down that somebody came in, admission what may be reached.
What nobody has decided passes for callers to whom nothing is denied, and for no others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.domain.decisions import Decision
from neuronode_router.errors import LeavesResidency, NotAllowed
from neuronode_router.litellm_plugin.hooks.refusing import answer
from neuronode_router.litellm_plugin.hooks.request_metadata import BUCKETS
from neuronode_router.routing.passage import Passage
from neuronode_router.routing.residency import NOTHING_REQUIRED, Required, in_words, is_within

NO_LIST = frozenset({"all-proxy-models", "all-team-models", "*"})
"""Entries of LiteLLM's lists that mean all groups, or refer to another list."""

GroupOf = Callable[[str], str | None]
"""From a deployment's id to its group, None for one that the router has not."""

Grants = Callable[[UserAPIKeyAuth, str, str], Awaitable[bool]]
"""From a caller, a name and a group to whether LiteLLM's lists let the caller use the one or the other."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A request that came in, of which nobody has decided yet what it may reach."""

    limited: Callable[[], bool]
    """Whether anything is denied to the caller."""


class Places(Protocol):
    """Where deployments are."""

    def of(self, deployment_id: str, call: object = None) -> str | None:
        """Return the place of a deployment for a kind of call, None where nobody can tell."""

    def of_group(self, group: str) -> Sequence[str | None]:
        """Return the places of a group's deployments."""


@dataclass(frozen=True, slots=True)
class Free:
    """A request to which no group is denied."""

    places: Required = NOTHING_REQUIRED
    """Where its data may go."""


@dataclass(slots=True)
class Passing:
    """One request of a caller to whom something is denied, on its way to deployments."""

    user: UserAPIKeyAuth
    passage: Passage
    listed: bool = False
    """Whether LiteLLM has a list of the groups that the caller may use."""
    approved: set[str] = field(default_factory=set)
    """Groups that were judged for this request."""
    unnamed: bool = False
    """Whether LiteLLM alone knows what the name means (a wildcard, a router of its own): it judged the name."""
    said: Callable[[str, str | None], bool] = lambda _model, _group: True
    """Whether anything that the client wrote leads to a name or to a group."""
    places: Required = NOTHING_REQUIRED
    """Where its data may go."""


FREE = Free()

_state: ContextVar[Undecided | Free | Passing | None] = ContextVar("neuronode_passing", default=None)


def let(state: Undecided | Free | Passing) -> None:
    """Say what is decided, for all that follows in this request."""
    _state.set(state)


def is_let_in() -> bool:
    """Return whether whoever asks came in by the door."""
    return _state.get() is not None


def is_decided() -> bool:
    """Return whether it is decided what this request may reach: what is called within it reaches no more."""
    return isinstance(_state.get(), Free | Passing)


@contextmanager
def confined(places: Required) -> Iterator[None]:
    """Have what is asked in the background for a request go only where the request's own data may go."""
    token = _state.set(Free(places))
    try:
        yield
    finally:
        _state.reset(token)


def passing() -> Passing | None:
    """Return who asks, None where nothing is denied or nobody of the proxy's callers does.

    Raises HTTPException 403 for who is limited and was let in by nobody.
    """
    state = _state.get()
    if isinstance(state, Undecided) and state.limited():
        raise unseen("a call that this proxy's admission has not seen")
    return state if isinstance(state, Passing) else None


def places() -> Required:
    """Return where the data of the request may go. Of who is limited and was let in by nobody `passing` raises."""
    state = _state.get()
    return NOTHING_REQUIRED if state is None or isinstance(state, Undecided) else state.places


def is_listed(user: UserAPIKeyAuth) -> bool:
    """Return whether key, team or organization has a list of models. Never raises."""
    lists = (user.models, user.team_models, getattr(user, "organization_models", None))
    return any(names and NO_LIST.isdisjoint(names) for names in lists)


def refusal(group: str | None) -> HTTPException:
    """Return what a caller is told of a group that it may not reach."""
    if group is None:
        return unseen("a deployment that this proxy does not know")
    return answer(
        NotAllowed(
            f"This key may not use the model group {group!r}: it is above the key's tier or not among its models."
        )
    )


def unseen(what: str) -> HTTPException:
    """Return what a caller is told to whom something is denied, or whose content is read, of what cannot be checked."""
    return answer(
        NotAllowed(
            "This key, or the profile that decides its requests, is limited to certain models, places or contents, and "
            f"{what} cannot be checked against that.",
            fix="Ask an administrator.",
        )
    )


def kept_out(decision: Decision) -> NotAllowed:
    """Return what is said of a group that is on none of LiteLLM's lists for the caller."""
    under = f" under the profile {decision.profile!r}" if decision.profile else ""
    return NotAllowed(
        f"This key may not use the model group {decision.group!r}, which {decision.original_model!r} leads to{under}.",
        fix="Have the name or the group added to the models of the key and of its team.",
    )


def above(name: str, group: str) -> NotAllowed:
    """Return what is said of a group that a name leads to, above the caller's cap."""
    return NotAllowed(
        f"This key may not use the model group {group!r}, which {name!r} leads to: it is above the key's tier.",
        fix="Ask for a task or for 'auto', or have the key's max_tier raised.",
    )


def outside(group: str, wanted: Required, found: Sequence[str | None]) -> LeavesResidency:
    """Return what is said of a group none of whose deployments is where the request's data must stay."""
    where = ", ".join(sorted({place or "at an unknown place" for place in found})) or "nowhere"
    return LeavesResidency(
        f"The data of this request must stay in {in_words(wanted)}, and no deployment of the model group {group!r} is "
        f"there ({where}).",
        fix="Have the profile name a group that is, or write its deployments' model_info.neuronode.location.",
    )


class Gate(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """LiteLLM's callback for each attempt. LiteLLM looks for hooks in this very class.

    `lists` tells whether LiteLLM asks us before fallbacks: only then is it known which groups were judged. `place_of`
    is of an entry of LiteLLM's list, `places` of what has an id or a group.
    """

    def __init__(
        self,
        *,
        group_of: GroupOf,
        grants: Grants,
        lists: Callable[[], bool],
        place_of: Callable[[Mapping[str, Any]], str | None],
        places: Places,
    ) -> None:
        super().__init__()
        self._place_of = place_of
        self._places = places
        self._group_of = group_of
        self._grants = grants
        self._lists = lists

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[Any]:
        """Return the deployments of the group that are where the request's data may go.

        Raises HTTPException 403 for a group out of reach, or one that has no such deployment.
        """
        asks = passing()
        if asks is not None and healthy_deployments:
            group = self._group_of(healthy_deployments[0]["model_info"]["id"]) or model
            if not _is_operators(asks, request_kwargs, model, group):
                await self._check(asks, group)
        wanted = places()
        return self._within(model, healthy_deployments, wanted) if wanted else healthy_deployments

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Let the call go on. Raises HTTPException 403 for a group out of reach, or one that nobody can tell, and for a
        deployment that is elsewhere than the request's data may go.
        """
        asks, wanted = passing(), places()
        if asks is None and not wanted:
            return
        about = kwargs.get("model_info")
        known = about.get("id") if isinstance(about, Mapping) else None
        if wanted:
            place = self._places.of(known, call_type) if isinstance(known, str) else None
            if not is_within(place, wanted):
                raise answer(outside(str(kwargs.get("model")), wanted, (place,)))
        if asks is None:
            return
        group = self._group_of(known) if isinstance(known, str) else None
        if _is_operators(asks, kwargs, str(kwargs.get("model")), group):
            return
        if group is None:
            raise refusal(None)
        await self._check(asks, group)

    def _within(self, model: str, healthy: list[Any], wanted: Required) -> list[Any]:
        """Return what is within; nothing where only what is in cooldown is, so that LiteLLM says that."""
        found = [entry for entry in healthy if is_within(self._place_of(entry), wanted)]
        if found or not healthy:
            return found
        group = self._group_of(healthy[0]["model_info"]["id"]) or model
        everyone = self._places.of_group(group)
        if not any(is_within(place, wanted) for place in everyone):
            raise answer(outside(group, wanted, everyone))
        return []

    async def _check(self, asks: Passing, group: str) -> None:
        if not asks.passage.reaches(group):
            raise refusal(group)
        if not asks.listed or asks.unnamed or group in asks.approved or not self._lists():
            return
        if not await self._grants(asks.user, group, group):
            raise refusal(group)
        asks.approved.add(group)


def _is_operators(asks: Passing, kwargs: Mapping[str, Any] | None, model: str, group: str | None) -> bool:
    """Return whether LiteLLM calls for its operator: within a request, and where nothing that its client wrote leads.

    Tools that ask a model of their own, as advisors do, are called within a request too, and go where the client says.
    """
    return is_inner(kwargs) and not asks.said(model, group)


def is_inner(kwargs: Mapping[str, Any] | None) -> bool:
    """Return whether LiteLLM calls within a request (a guardrail, a cache, a tool): with metadata, without a caller.

    A fallback of a client's cannot take the caller away: `targets` leaves out what would.
    """
    buckets = [bucket for name in BUCKETS if isinstance(bucket := (kwargs or {}).get(name), Mapping)]
    return bool(buckets) and all(bucket.get("user_api_key_auth") is None for bucket in buckets)
