"""Tells the statistics of every attempt that LiteLLM's router makes at a deployment: when it begins and how it ends.

Everything here runs on the event loop, without waiting. It may neither fail nor delay a request, and reads no text of
one. docs/decisions/0020 says which hooks LiteLLM calls when.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.hooks.attempt_outcome import AttemptResult, thought_of, tokens_of
from neuronode_router.litellm_plugin.hooks.attempt_outcome import outcome as outcome_of
from neuronode_router.litellm_plugin.hooks.request_metadata import note_asked
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.timeouts import wished
from neuronode_router.stats.evidence import Attempt, Ending
from neuronode_router.stats.recorder import Recorder

LATE_SECONDS = 5.0
"""How long after a stream's end LiteLLM may take to tell of it."""

_numbers = count()


@dataclass(slots=True, eq=False)
class _Attempt:
    """One attempt, from before its deployment is asked until it is recorded or given up."""

    owner: AttemptHooks
    deployment_id: str
    call_type: object
    call_id: object
    """LiteLLM's id of the request, which retries share and clients may choose."""
    streams: bool
    wished_seconds: float | None
    """The time-out that the request itself brought."""
    began: float
    began_at: float
    """The same in Unix time, by which LiteLLM tells when a stream ended."""
    cold: bool
    key: str = field(default_factory=lambda: str(next(_numbers)))
    """Its id in the recorder."""
    over: bool = False
    unwatch: Callable[[], object] | None = None
    """Takes off the task what waits there for its end."""


ORIGINAL = "original_model_id"
"""What LiteLLM calls a deployment's id where a client brings a key or an address: that call has an id of its own."""

GIVEN_BASES = ("api_base", "base_url")
"""Where a client may write an address of its own."""

_current: ContextVar[tuple[_Attempt, ...]] = ContextVar("neuronode_attempt", default=())
"""The attempt that the present task is in, as each of those sees it who measure a router that has the deployment.
LiteLLM awaits its hooks within the attempt, nested calls too.
"""

_unmeasured: ContextVar[bool] = ContextVar("neuronode_unmeasured", default=False)


@contextlib.contextmanager
def unmeasured() -> Iterator[None]:
    """Leave attempts that the body makes out of the statistics: they are not a client's."""
    token = _unmeasured.set(True)
    try:
        yield
    finally:
        _unmeasured.reset(token)


class AttemptHooks(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """LiteLLM's callback for the attempts of one router. LiteLLM looks for hooks in this very class."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        deployments: RouterBridge,
        is_cold: Callable[[str], bool],
        place_of: Callable[[str, object], str | None] = lambda *_: None,
        failures: Failures | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.failures = failures or Failures()
        self._recorder = recorder
        self._deployments = deployments
        self._is_cold = is_cold
        self._place_of = place_of
        self._clock = clock
        self._harmless = self.failures.harmless("measuring")
        self._open: dict[object, _Attempt] = {}
        """Attempts that run, by LiteLLM's id of the request: streams end after their task has gone on."""

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """The deployment is chosen and is asked next. Never raises."""
        with self._harmless:
            if not _unmeasured.get():
                self._chosen(kwargs, call_type)

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: object, call_type: object
    ) -> None:
        """The deployment has answered; not called for what came from LiteLLM's cache. Never raises."""
        attempt = self._mine()
        if attempt is not None and not attempt.streams:
            with self._harmless:
                self._record(attempt, AttemptResult(), tokens=tokens_of(response))

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: object,
        fallback_depth: int | None = None,
    ) -> None:
        """The deployment has failed, before an answer or a stream began. Never raises."""
        attempt = self._mine()
        if attempt is not None:
            with self._harmless:
                self._record(attempt, self._failure(attempt, exception))

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: datetime, end_time: datetime
    ) -> None:
        """A stream has ended, or its client has left; plain answers are known already. Never raises."""
        attempt = self._open.get(kwargs.get("litellm_call_id"))
        if attempt is None:
            return
        with self._harmless:
            self._end(attempt)
            if kwargs.get("cache_hit") or not attempt.streams:
                return
            # `start_time` is the request's: before guardrails, and before the attempts that failed.
            first = _milliseconds(attempt, kwargs.get("completion_start_time"))
            self._record(
                attempt,
                AttemptResult(ending=Ending.CLIENT_LEFT if _client_left(kwargs) else Ending.COMPLETE),
                total_ms=_milliseconds(attempt, end_time),
                first_token_ms=None if first is None or first < 0 else first,
                tokens=tokens_of(response_obj),
                thought=thought_of(response_obj),
            )

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: datetime, end_time: datetime
    ) -> None:
        """A stream broke; other failures are known already. Never raises."""
        attempt = self._open.get(kwargs.get("litellm_call_id"))
        if attempt is not None and attempt.streams:
            with self._harmless:
                self._record(attempt, self._failure(attempt, kwargs.get("exception")))

    def _mine(self) -> _Attempt | None:
        """Return this task's attempt while it runs."""
        for attempt in _current.get():
            if attempt.owner is self:
                return None if attempt.over else attempt
        return None

    def _chosen(self, kwargs: Mapping[str, Any], call_type: object) -> None:
        # Not from the metadata, into which a client may write.
        about = kwargs.get("model_info") or {}
        deployment_id = about.get("id")
        if not isinstance(deployment_id, str) or not self._deployments.has_deployment(deployment_id):
            self._note_lent(kwargs, about.get(ORIGINAL), call_type)
            return
        note_asked(kwargs, deployment_id, self._place_of(deployment_id, call_type))
        call_id = kwargs.get("litellm_call_id")
        before = self._mine()
        if before is not None:
            if before.call_id == call_id and before.call_type != call_type:
                return  # LiteLLM translates some formats into others by a call within the call: no second attempt
            self._end(before)  # its end was never told: another callback refused it
        self._begin(
            _Attempt(
                owner=self,
                deployment_id=deployment_id,
                call_type=call_type,
                call_id=call_id,
                streams=bool(kwargs.get("stream")),
                wished_seconds=wished(kwargs),
                began=self._clock(),
                began_at=time.time(),
                cold=self._is_cold(deployment_id),
            ),
            kwargs.get("litellm_logging_obj"),
        )

    def _note_lent(self, kwargs: Mapping[str, Any], deployment_id: object, call_type: object) -> None:
        """Note whose group, and maybe server, is asked with a client's own key: how that ends is not measured."""
        entry = self._deployments.deployment(deployment_id) if isinstance(deployment_id, str) else None
        if entry is not None:
            own = entry["litellm_params"]
            elsewhere = any(kwargs.get(name) != own.get(name) for name in GIVEN_BASES)
            place = None if elsewhere else self._place_of(str(deployment_id), call_type)
            note_asked(kwargs, str(deployment_id), place)

    def _begin(self, attempt: _Attempt, request: object) -> None:
        _current.set((attempt, *[other for other in _current.get() if other.owner is not self]))
        self._recorder.begin(attempt.key, attempt.deployment_id)
        if attempt.streams and attempt.call_id in self._open:
            # Ids may be chosen by clients: of two streams under one id only the first is measured.
            self._end(attempt)
            return
        self._open[attempt.call_id] = attempt
        if attempt.streams:
            if request is not None:
                gone = weakref.finalize(request, self._dropped, attempt, asyncio.get_running_loop())
                gone.atexit = False
        elif (task := asyncio.current_task()) is not None:
            # Nothing is called for an attempt that is cancelled.
            def over(_: object) -> None:
                self._end(attempt)

            task.add_done_callback(over)
            # Outside the proxy a task may make any number of requests.
            attempt.unwatch = partial(task.remove_done_callback, over)

    def _dropped(self, attempt: _Attempt, loop: asyncio.AbstractEventLoop) -> None:
        """Nobody reads the stream any more. Python may call this in any thread."""
        if not attempt.over:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is to be counted any more
                loop.call_soon_threadsafe(self._left, attempt, loop)

    def _left(self, attempt: _Attempt, loop: asyncio.AbstractEventLoop) -> None:
        self._recorder.end(attempt.key)
        # LiteLLM may tell of a complete stream a little later; of one that a caller left it never does.
        loop.call_later(LATE_SECONDS, self._forget, attempt)

    def _forget(self, attempt: _Attempt) -> None:
        if self._open.get(attempt.call_id) is attempt:
            del self._open[attempt.call_id]

    def _end(self, attempt: _Attempt) -> None:
        if attempt.over:
            return
        with self._harmless:
            attempt.over = True
            self._forget(attempt)
            self._recorder.end(attempt.key)
            if attempt.unwatch is not None:
                attempt.unwatch()
                attempt.unwatch = None

    def _record(
        self,
        attempt: _Attempt,
        outcome: AttemptResult,
        *,
        total_ms: float | None = None,
        first_token_ms: float | None = None,
        tokens: int = 0,
        thought: int = 0,
    ) -> None:
        self._end(attempt)
        self._recorder.record(
            attempt.deployment_id,
            Attempt(
                total_ms=self._waited(attempt) * 1000 if total_ms is None else total_ms,
                status=outcome.status,
                ending=outcome.ending,
                first_token_ms=first_token_ms,
                tokens=tokens,
                thought=thought,
                cold=attempt.cold,
            ),
        )

    def _failure(self, attempt: _Attempt, error: object) -> AttemptResult:
        return outcome_of(
            error,
            waited_seconds=self._waited(attempt),
            wished_seconds=attempt.wished_seconds,
            allowed_seconds=lambda: self._deployments.allowed_seconds(
                attempt.deployment_id, streams=attempt.streams
            ),
        )

    def _waited(self, attempt: _Attempt) -> float:
        return self._clock() - attempt.began


def _client_left(kwargs: Mapping[str, Any]) -> bool:
    """Return whether LiteLLM noted that the client closed its connection: the stream is a piece of an answer."""
    params = kwargs.get("litellm_params")
    for holder in (kwargs, params if isinstance(params, Mapping) else {}):
        metadata = holder.get("metadata")
        if isinstance(metadata, Mapping) and metadata.get("client_disconnected"):
            return True
    return False


def _milliseconds(attempt: _Attempt, until: datetime | None) -> float | None:
    """Return how long an attempt had run; less than 0 before it began, None where nobody says when."""
    return None if until is None else (until.timestamp() - attempt.began_at) * 1000
