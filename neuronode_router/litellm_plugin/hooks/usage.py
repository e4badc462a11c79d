"""LiteLLM's hooks that tell when a request has ended: each is counted once, however it ended.

An exception of ours never fails a request: it is counted, and the request then is not.

Which hook tells (found out in tests/host/test_usage_hooks.py, LiteLLM 1.106): success is logged once per request, after
all retries and fallbacks, and once for a client that left a stream of some wires; a request that fails reaches the
failure hook once; a stream that breaks may only reach the failure log, and one that is left early, or on a wire where
LiteLLM does not look, no hook at all: of that one the way out tells. Failure logs before the answer's headers belong to
attempts that a fallback may still save.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.background import Failures
from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import AUTO_NAMES, PROFILE_NAME_PREFIX, STABLE_ALIAS_PREFIX
from neuronode_router.litellm_plugin import outgoing
from neuronode_router.litellm_plugin.auth.identity import UI_TEAM
from neuronode_router.litellm_plugin.hooks.request_metadata import (
    ASKED,
    CALLER,
    SEVERAL,
    SIZE,
    WENT,
    counted_arm,
    stamped,
)
from neuronode_router.litellm_plugin.hooks.usage_reading import (
    Usage,
    call_id,
    dollars_of,
    outcome_of,
    read_usage,
    tokens_of,
    usage_of_answer,
)
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.finished import (
    MAX_NAME,
    OTHER,
    SAID_NO,
    FinishedRequest,
    RequestOutcome,
    UsageKey,
)
from neuronode_router.usage.prices import Price
from neuronode_router.usage.whereabouts import UNKNOWN_PLACE

COUNTED = "counted"
"""Entry in our mark on a request: the mark is the one object that all hooks of a request share."""

FAILED_SECONDS = 60.0
"""How long a stream that broke may still be saved by a fallback in mid-stream, and LiteLLM may take to tell of one that
its client left.
"""

LOST_SECONDS = 3600.0
"""After this long a request whose answer began and of whose end LiteLLM said nothing counts as lost."""

MAX_OPEN = 100_000

LITELLMS_WAY = frozenset({Reason.PASSTHROUGH, Reason.FAIL_OPEN})
"""The reasons of requests that go where LiteLLM alone leads their names."""


@dataclass(frozen=True, slots=True)
class Groups:
    """What the hooks ask about model groups."""

    of_deployment: Callable[[Mapping[str, Any]], tuple[str | None, bool]]
    """From `{"model_id": ...}` to (group, embedded)."""
    known: Callable[[str], bool]
    """Whether LiteLLM has a group of this name: other names are the caller's own words, and are not kept."""
    place_of: Callable[[str], str | None] = lambda _: None
    """From a deployment's id to where it is, None where nobody can tell."""
    price_of: Callable[[str], Price | None] = lambda _: None
    """From a deployment's id to what a token costs there, None where nobody has set a price."""


@dataclass(slots=True)
class _Open:
    """A request whose answer has begun."""

    mark: dict[str, Any]
    since: float
    finished: FinishedRequest
    """How it is counted should nothing more be heard of it: by what the router has now."""


class UsageHooks(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback LiteLLM calls. LiteLLM looks for its hooks in this very class: do not move them to a base.

    `watch` is told of each request that is counted; it must be quick and never raise.
    """

    def __init__(
        self,
        *,
        buffer: UsageBuffer,
        groups: Groups,
        watch: Callable[[FinishedRequest], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._watch = watch
        self._buffer = buffer
        self._groups = groups
        self._clock = clock
        self._begun: dict[int, _Open] = {}
        self._broken: dict[int, _Open] = {}
        self.failures = Failures()
        self.unseen: Counter[str] = Counter()
        """Answered requests of which no hook saw a deployment asked, by LiteLLM's name of the call."""

    def begins(
        self,
        data: dict[str, Any],
        user: UserAPIKeyAuth,
        response: object,
        info: Mapping[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Note that an answer begins. Adds no header; never raises."""
        with self.failures.harmless("usage of an answer that begins"):
            mark = stamped(data)
            about = (user.team_id, data.get("litellm_call_id"))
            if isinstance(mark, dict) and SEVERAL in mark:
                # LiteLLM has asked them all, and answers with a list; of the fastest alone it tells.
                answers = response if isinstance(response, list) else ()
                for each, answer in zip(mark[SEVERAL], answers, strict=False):
                    self._answered(each, answer, about)
            elif isinstance(mark, dict) and mark:
                self._begin(mark, str((info or {}).get("model_id") or ""), about)
        return None

    def _answered(self, mark: dict[str, Any], answer: object, about: tuple[str | None, object]) -> None:
        """Count one of several, unless it is: LiteLLM logs only one of them, for they share its logging object."""
        if not self._first(mark):
            return
        failed = isinstance(answer, Exception)
        usage = Usage() if failed else usage_of_answer(answer)
        finished = self._finished(mark, usage, team=about[0], given_id=about[1])
        self._count(_as_failure(finished, outcome_of(answer)) if failed else finished)

    def _begin(self, mark: dict[str, Any], deployment: str, about: tuple[str | None, object]) -> None:
        if COUNTED not in mark and len(self._begun) < MAX_OPEN:
            usage = Usage(
                RequestOutcome.LOST,
                deployment=deployment or mark.get(ASKED) or "",
                prompt_tokens=tokens_of(mark.get(SIZE)),
            )
            finished = self._finished(mark, usage, team=about[0], given_id=about[1])
            self._begun[id(mark)] = _Open(mark, self._clock(), finished)
            going = outgoing.current()
            if going is not None:
                going.left = partial(self._left, mark)

    def _left(self, mark: dict[str, Any], tokens: int) -> None:
        """Note that a client left a stream of which it had so many tokens, where nobody has told of that yet."""
        found = self._begun.pop(id(mark), None)
        if found is not None:
            key = found.finished.key._replace(outcome=RequestOutcome.CANCELLED)
            left = replace(found.finished, key=key, completion_tokens=tokens_of(tokens))
            self._broken[id(mark)] = _Open(mark, self._clock(), left)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Count a request that was answered, from whatever cache or fallback, or left by its client."""
        with self.failures.harmless("usage of an answer"):
            request = kwargs.get("litellm_params") or {}
            mark = self._one_of(stamped(request), kwargs)
            if mark is not None and self._first(mark):
                finished = self._logged(mark, kwargs, request)
                if mark and ASKED not in mark and _is_answer_of_ours(finished.key):
                    self.unseen[str(kwargs.get("call_type") or "unknown")] += 1
                self._count(finished)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Note that an answer broke off after it had begun."""
        with self.failures.harmless("usage of a broken answer"):
            request = kwargs.get("litellm_params") or {}
            mark = self._one_of(stamped(request), kwargs)
            found = self._begun.pop(id(mark), None)
            if mark is not None and found is not None:
                logged = self._logged(mark, kwargs, request)
                failed = _as_failure(logged, outcome_of(kwargs.get("exception")))
                self._broken[id(mark)] = _Open(found.mark, self._clock(), failed)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        """Count a request that failed for good."""
        self.failed(request_data, original_exception, user_api_key_dict)

    def failed(self, request_data: dict[str, Any], error: Exception, user: UserAPIKeyAuth) -> None:
        """Count a request that failed for good, if it bears a mark of ours. Never raises."""
        with self.failures.harmless("usage of a failure"):
            mark = stamped(request_data)
            outcome = outcome_of(error)
            usage = read_usage(request_data.get("standard_logging_object"), request_data)
            if mark is not None and ASKED not in mark and outcome in SAID_NO:
                usage = Usage()  # LiteLLM's log names a deployment also where it asked none
            given_id = request_data.get("litellm_call_id")
            for each in () if mark is None else mark.get(SEVERAL, (mark,)):
                if self._first(each):
                    finished = self._finished(each, usage, team=user.team_id, given_id=given_id)
                    self._count(_as_failure(finished, outcome))

    @property
    def awaits(self) -> bool:
        """Whether LiteLLM has still to say how an answer ended."""
        return bool(self._begun)

    def sweep(self, *, last: bool = False) -> None:
        """Count what broke and was not saved, and what is lost. Call it now and then; never raises.

        The `last` time nothing is waited for any more.
        """
        now = self._clock()
        for waiting, seconds in ((self._broken, FAILED_SECONDS), (self._begun, LOST_SECONDS)):
            while waiting and (last or next(iter(waiting.values())).since <= now - seconds):
                found = waiting.pop(next(iter(waiting)))
                if self._first(found.mark):
                    self._count(_priced(replace(found.finished, at=now), self._groups.price_of))

    def _count(self, finished: FinishedRequest) -> None:
        self._buffer.count(finished)
        self._watch(finished)

    def _first(self, mark: Mapping[str, Any]) -> bool:
        """Return whether this request was not counted yet, and remember that it is."""
        self._begun.pop(id(mark), None)
        self._broken.pop(id(mark), None)
        if COUNTED in mark:
            return False
        if isinstance(mark, dict):
            mark[COUNTED] = True
        return True

    def _logged(
        self, mark: Mapping[str, Any], kwargs: Mapping[str, Any], request: Mapping[str, Any]
    ) -> FinishedRequest:
        payload = kwargs.get("standard_logging_object")
        team = ((payload or {}).get("metadata") or {}).get("user_api_key_team_id")
        return self._finished(
            mark, read_usage(payload, request), team=team, given_id=kwargs.get("litellm_call_id")
        )

    def _finished(
        self, mark: Mapping[str, Any], usage: Usage, *, team: str | None, given_id: object
    ) -> FinishedRequest:
        deployment = self._deployment(mark, usage.deployment)
        served = self._groups.of_deployment({"model_id": deployment})[0] or self._name(usage.group)
        chosen = mark.get("group") or usage.group
        if mark.get("reason") in LITELLMS_WAY and not (usage.fallbacks or self._groups.known(chosen)):
            chosen = served or chosen  # an alias of the operator's, or a wildcard: it led there
        key = UsageKey(
            profile=mark.get("profile") or "",
            revision=mark.get("revision") or 0,
            task=mark.get("task") or "",
            tier=mark.get("tier") or "",
            chosen_group=served if chosen == served else self._name(chosen),
            served_group=served,
            deployment=deployment,
            team=(team or "")[:MAX_NAME] if team != UI_TEAM else "",
            reason=mark.get("reason") or Reason.FAIL_OPEN.value,
            outcome=usage.outcome,
            arm=counted_arm(mark),
            location=self._location(mark, deployment, usage.outcome),
        )
        return FinishedRequest(
            call_id=call_id(given_id),
            at=self._clock(),
            key=key,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            cost=usage.cost,
            output_cost=usage.output_cost,
            latency_ms=usage.latency_ms,
            first_token_ms=usage.first_token_ms,
            images=usage.images,
            audio=usage.audio,
            steps=tuple(mark.get("steps", ())),
            confidence=mark.get("confidence"),
            caller=str(mark.get(CALLER) or "")[:MAX_NAME],
            asked=self._asked(mark),
        )

    def _deployment(self, mark: Mapping[str, Any], told: str) -> str:
        """Return the id of a deployment that the router has, empty where LiteLLM tells of none.

        LiteLLM makes an id for each key that a client brings: those are as many as it likes.
        """
        asked = mark.get(ASKED)
        if told and told != asked and self._groups.of_deployment({"model_id": told})[0] is None:
            told = asked or OTHER
        return told[:MAX_NAME]

    def _location(self, mark: Mapping[str, Any], deployment: str, outcome: RequestOutcome) -> str:
        """Return every place that was asked, empty where nobody was."""
        went = mark.get(WENT)
        if went is None:
            asked = deployment and outcome is not RequestOutcome.CACHED
            went = [self._groups.place_of(deployment)] if asked else []
        places = "+".join(sorted({place or UNKNOWN_PLACE for place in went}))
        return places if len(places) <= MAX_NAME else OTHER

    def _asked(self, mark: Mapping[str, Any]) -> str:
        """Return the name the caller sent, where it is one of ours or LiteLLM's: others are the caller's own words."""
        name, profile, task = mark.get("name") or "", mark.get("profile"), mark.get("task")
        tasks = (*AUTO_NAMES, *((task,) if task else ()))
        ours = {*tasks, f"{STABLE_ALIAS_PREFIX}{task}", f"{PROFILE_NAME_PREFIX}{profile}"}
        return name if name in ours | {f"{profile}/{each}" for each in tasks} else self._name(name)

    def _one_of(self, mark: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the mark of one of several names, by whom was asked for it, that is not counted yet."""
        if mark is None or SEVERAL not in mark:
            return mark
        deployment = (kwargs.get("standard_logging_object") or {}).get("model_id")
        group = self._groups.of_deployment({"model_id": deployment})[0]
        waiting = [each for each in mark[SEVERAL] if COUNTED not in each]
        return next((each for each in waiting if each["group"] == group), waiting[0] if waiting else None)

    def _name(self, group: str) -> str:
        return group[:MAX_NAME] if not group or self._groups.known(group) else OTHER


def _is_answer_of_ours(key: UsageKey) -> bool:
    return key.outcome is RequestOutcome.ANSWERED and key.deployment != OTHER


def _as_failure(finished: FinishedRequest, outcome: RequestOutcome) -> FinishedRequest:
    """A failure costs what LiteLLM says was billed; where it says nothing, nothing was used."""
    cost = finished.cost or None
    key = finished.key._replace(outcome=outcome)
    if outcome is RequestOutcome.REFUSED_LIMIT:
        key = key._replace(arm="")  # it says nothing of either
    return replace(finished, key=key, cost=cost, latency_ms=None, first_token_ms=None)


def _priced(finished: FinishedRequest, price_of: Callable[[str], Price | None]) -> FinishedRequest:
    """Return what was left or is lost at what its tokens cost by the list: they are our own estimates."""
    tokens = finished.prompt_tokens, finished.completion_tokens
    left = finished.key.outcome in (RequestOutcome.CANCELLED, RequestOutcome.LOST)
    price = price_of(finished.key.deployment) if left and any(tokens) else None
    if price is None:
        return finished
    output_cost = dollars_of(price.cost(0, tokens[1]))
    return replace(finished, cost=dollars_of(price.cost(*tokens)), output_cost=output_cost)
