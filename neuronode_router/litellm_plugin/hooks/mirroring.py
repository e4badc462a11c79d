"""LiteLLM's hooks by which requests of a shadow comparison are chosen, held until they have ended, and handed on.

Choosing is all that is done on the request path: a hash. It refers to a chosen request's text and copies nothing. An
exception of ours never fails a request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from types import MappingProxyType
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.auto.comparison import REDACTED
from neuronode_router.background import Failures
from neuronode_router.domain.decisions import Decision
from neuronode_router.domain.names import AUTO
from neuronode_router.domain.shadows import Shadow
from neuronode_router.litellm_plugin.hooks import moving
from neuronode_router.litellm_plugin.hooks.affording import Way
from neuronode_router.litellm_plugin.hooks.answers import EndedCall, full_answer
from neuronode_router.litellm_plugin.hooks.asking import Asking
from neuronode_router.litellm_plugin.hooks.compared import limits_of
from neuronode_router.litellm_plugin.hooks.request_metadata import (
    ANSWERS,
    MIRRORED,
    client_body,
    stamped,
)
from neuronode_router.litellm_plugin.hooks.usage_reading import CLIENT_LEFT
from neuronode_router.routing.counterpart import follows
from neuronode_router.routing.repeatable import FORMATS, Repeated, wanted_form
from neuronode_router.shadows.mirror import Mirror, Original
from neuronode_router.shadows.pairs import Skip, is_chosen

HELD = 256
"""Requests that are held until they end; the oldest is let go."""
HELD_SECONDS = 900.0
"""How long one is held."""


NOTHING: Mapping[str, Any] = MappingProxyType({})

Mirrored = Callable[[Asking, Sequence[Way], str], Mapping[str, Any]]
"""From a request that is admitted, where it goes and the kind of call to what its mark says of a shadow comparison."""


@dataclass(slots=True, eq=False)
class ChosenRequest:
    """A request that is answered once more when its own answer has ended."""

    shadow: Shadow
    asking: Asking
    decision: Decision
    format: Repeated
    fields: frozenset[str]
    """What the client wrote."""
    journey: moving.Journey | None
    since: float
    """Unix time at which it was chosen."""
    sent: Mapping[str, Any] | None = None
    """The values of these fields as they went to a provider, after everything that may change them."""

    @property
    def profile(self) -> str:
        """The profile that answers the client."""
        return self.decision.profile or ""

    @property
    def task(self) -> str:
        """The task, `auto` where the request named none."""
        return self.decision.task or AUTO

    @property
    def streams(self) -> bool:
        """Whether the client reads a stream."""
        return bool(self.asking.data.get("stream"))


class MirrorHooks(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback LiteLLM calls. LiteLLM looks for its hooks in this very class. `clock` is Unix time."""

    def __init__(self, mirror: Mirror, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._mirror = mirror
        self._clock = clock
        self._held: dict[int, ChosenRequest] = {}
        self._awaited: dict[int, asyncio.Future[EndedCall]] = {}
        self._numbers = count(1)
        self.failures = Failures()

    def choose(self, asking: Asking, ways: Sequence[Way], call_type: str) -> Mapping[str, Any]:
        """Return what a request's mark says of the comparison that runs: nothing for most. Never raises."""
        shadow = asking.snapshot.state.shadow
        if shadow is None or len(ways) != 1:
            return NOTHING
        with self.failures.harmless("choosing for a shadow comparison"):
            decision, call_id = ways[0].decision, asking.data.get("litellm_call_id")
            if not isinstance(call_id, str) or not is_chosen(shadow, call_id):
                return NOTHING
            if not _concerns(shadow, decision) or self._clock() >= shadow.until:
                return NOTHING
            kind = FORMATS.get(call_type)
            if kind is not None:
                fields = frozenset(client_body(asking.data))
                chosen = ChosenRequest(shadow, asking, decision, kind, fields, moving.known(), self._clock())
                return {MIRRORED: self._hold(chosen)}
            self._mirror.skip(shadow, decision.profile or "", decision.task or AUTO, Skip.WIRE)
        return NOTHING

    def sweep(self, *, last: bool = False) -> None:
        """Let go of what LiteLLM never told the end of, `last` of everything. Call it now and then; never raises."""
        while last and self._held:
            self._skip(self._held.pop(next(iter(self._held))), Skip.ENDED)
        late = self._clock() - HELD_SECONDS
        while self._held and next(iter(self._held.values())).since <= late:
            self._skip(self._held.pop(next(iter(self._held))), Skip.UNTOLD)

    @contextmanager
    def awaited(self) -> Iterator[tuple[int, asyncio.Future[EndedCall]]]:
        """Wait for what LiteLLM tells of a request whose mark has this number."""
        number = next(self._numbers)
        future: asyncio.Future[EndedCall] = asyncio.get_running_loop().create_future()
        self._awaited[number] = future
        try:
            yield number, future
        finally:
            del self._awaited[number]

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Refer to what a chosen request says, before its first attempt. Never raises."""
        if self._held:
            with self.failures.harmless("holding a request for a shadow comparison"):
                held = self._held.get((stamped(kwargs) or {}).get(MIRRORED, 0))
                if held is not None and held.sent is None:
                    held.sent = {name: kwargs[name] for name in held.fields if name in kwargs}

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: datetime, end_time: datetime
    ) -> None:
        """Hand on a request whose answer has ended, or an answer that is waited for. Never raises."""
        if not (self._held or self._awaited):
            return
        with self.failures.harmless("handing a request to a shadow comparison"):
            mark = stamped(kwargs.get("litellm_params") or {}) or {}
            waiting = self._awaited.get(mark.get(ANSWERS, 0))
            if waiting is not None and not waiting.done():
                waiting.set_result(EndedCall(kwargs, response_obj, start_time, end_time))
            held = self._held.pop(mark.get(MIRRORED, 0), None)
            if held is not None:
                self._ended(held, EndedCall(kwargs, response_obj, start_time, end_time))

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        """Let go a request that failed for good. Never raises."""
        if self._held:
            with self.failures.harmless("letting go a request of a shadow comparison"):
                held = self._held.pop((stamped(request_data) or {}).get(MIRRORED, 0), None)
                if held is not None:
                    self._skip(held, Skip.CLIENT_FAILED)

    def _hold(self, chosen: ChosenRequest) -> int:
        number = next(self._numbers)
        self._held[number] = chosen
        if len(self._held) > HELD:
            self._skip(self._held.pop(next(iter(self._held))), Skip.UNTOLD)
        return number

    def _ended(self, held: ChosenRequest, call: EndedCall) -> None:
        why = _unfit_end(call.kwargs)
        sent = held.sent
        if why is None and sent is not None:
            form, limited = wanted_form(held.format, sent), bool(limits_of(sent))
            answer = full_answer(call, form=form, limited=limited)
            if answer is not None and answer.said.text != REDACTED:
                original = Original(held.shadow, held.profile, held.task, answer, held)
                self._mirror.offer(original)
                return
            why = Skip.UNTOLD if answer is None else Skip.REDACTED
        self._skip(held, why or Skip.UNTOLD)

    def _skip(self, held: ChosenRequest, why: Skip) -> None:
        self._mirror.skip(held.shadow, held.profile, held.task, why)


def _concerns(shadow: Shadow, decision: Decision) -> bool:
    """Return whether a comparison is about requests like this one: those that a switch would have sent elsewhere."""
    wanted = not shadow.tasks or (decision.task or AUTO) in shadow.tasks
    return wanted and follows(decision) and decision.profile != shadow.profile


def _unfit_end(kwargs: Mapping[str, Any]) -> Skip | None:
    if kwargs.get("cache_hit"):
        return Skip.CACHED
    payload = kwargs.get("standard_logging_object") or {}
    left = (payload.get("error_information") or {}).get("error_code") == CLIENT_LEFT
    return Skip.CLIENT_LEFT if left else None
