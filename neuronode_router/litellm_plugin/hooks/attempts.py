"""Tells the statistics of every attempt that LiteLLM's router makes at a deployment: when it begins and how it ends.

Everything here runs on the event loop, without waiting. It may neither fail nor delay a request, and reads no text of
one. docs/decisions/0013 says which hooks LiteLLM calls when.
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
from itertools import count
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.hooks.attempt_outcome import AttemptResult, tokens_of
from neuronode_router.litellm_plugin.hooks.attempt_outcome import outcome as outcome_of
from neuronode_router.stats.evidence import Attempt, Ending
from neuronode_router.stats.recorder import Recorder

MAKE_CALL = "make_call"
"""The method of LiteLLM's router through which every single attempt goes, whatever the endpoint."""

LATE_SECONDS = 5.0
"""How long after a stream's end LiteLLM may take to tell of it."""

_numbers = count()


@dataclass(slots=True, eq=False)
class _Attempt:
    """One attempt, from before its deployment is chosen until it is recorded or given up."""

    owner: AttemptHooks
    router: Any
    streams: bool
    wished_seconds: float | None
    """The time-out that the request itself brought."""
    key: str = field(default_factory=lambda: str(next(_numbers)))
    """Its id in the recorder: LiteLLM's own id is shared by retries."""
    call_id: object = None
    """LiteLLM's id of the request."""
    deployment_id: str | None = None
    began: float = 0.0
    cold: bool = False
    over: bool = False


_current: ContextVar[_Attempt | None] = ContextVar("neuronode_attempt", default=None)
"""The attempt that the present task is in. LiteLLM awaits its hooks within the attempt, nested calls too."""

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
    """LiteLLM's callback and the wrapper of `make_call`. LiteLLM looks for hooks in this very class."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        is_cold: Callable[[str], bool],
        failures: Failures | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.failures = failures or Failures()
        self._recorder = recorder
        self._is_cold = is_cold
        self._clock = clock
        self._harmless = self.failures.harmless("measuring")
        self._streams: dict[object, _Attempt] = {}
        """Streams that have begun, by LiteLLM's id of the request."""

    def watch(self, router: Any) -> None:
        """Follow the attempts of `router` from now on; those that run are not known."""
        own = getattr(router, MAKE_CALL)

        async def make_call(original_function: Any, *args: Any, **kwargs: Any) -> Any:
            if _unmeasured.get():
                return await own(original_function, *args, **kwargs)
            outer, attempt = _current.get(), _Attempt(self, router, bool(kwargs.get("stream")), _wish(kwargs))
            _current.set(attempt)
            try:
                answer = await own(original_function, *args, **kwargs)
            except BaseException:
                # What the provider said was recorded by then. Else it was cancelled, or it never came to a provider.
                self._end(attempt)
                raise
            finally:
                _current.set(outer)
            self._answered(attempt, answer)
            return answer

        setattr(router, MAKE_CALL, make_call)

    def unwatch(self, router: Any) -> None:
        """Follow `router` no more."""
        vars(router).pop(MAKE_CALL, None)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """The deployment is chosen and is asked next. Never raises."""
        attempt = _current.get()
        # LiteLLM translates some formats into others by a call within the call: that is no second attempt.
        if attempt is not None and attempt.owner is self and attempt.deployment_id is None:
            with self._harmless:
                self._begin(attempt, kwargs)

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
        attempt = self._streams.pop(kwargs.get("litellm_call_id"), None)
        if attempt is None:
            return
        with self._harmless:
            if kwargs.get("cache_hit"):
                self._end(attempt)
                return
            first = kwargs.get("completion_start_time")
            self._record(
                attempt,
                AttemptResult(ending=Ending.CLIENT_LEFT if _client_left(kwargs) else Ending.COMPLETE),
                total_ms=_milliseconds(start_time, end_time),
                first_token_ms=_milliseconds(start_time, first) if first else None,
                tokens=tokens_of(response_obj),
            )

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: datetime, end_time: datetime
    ) -> None:
        """A stream broke; other failures are known already. Never raises."""
        attempt = self._streams.pop(kwargs.get("litellm_call_id"), None)
        if attempt is not None:
            with self._harmless:
                self._record(attempt, self._failure(attempt, kwargs.get("exception")))

    def _mine(self) -> _Attempt | None:
        """Return this task's attempt while it runs at a deployment."""
        attempt = _current.get()
        if attempt is None or attempt.owner is not self or attempt.deployment_id is None or attempt.over:
            return None
        return attempt

    def _begin(self, attempt: _Attempt, kwargs: Mapping[str, Any]) -> None:
        # Not from the metadata, into which a client may write.
        deployment_id = (kwargs.get("model_info") or {}).get("id")
        if not isinstance(deployment_id, str):
            return
        attempt.deployment_id, attempt.call_id = deployment_id, kwargs.get("litellm_call_id")
        attempt.began = self._clock()
        self._recorder.begin(attempt.key, deployment_id)
        attempt.cold = self._is_cold(deployment_id)

    def _answered(self, attempt: _Attempt, answer: object) -> None:
        """Keep an attempt whose answer is a stream; a plain one was recorded, or it came from LiteLLM's cache."""
        with self._harmless:
            if attempt.over or attempt.deployment_id is None:
                return
            if not hasattr(answer, "__aiter__") or attempt.call_id in self._streams:
                # Ids may be chosen by clients: of two streams under one id only the first is measured.
                self._end(attempt)
                return
            self._streams[attempt.call_id] = attempt
            dropped = weakref.finalize(answer, self._dropped, attempt, asyncio.get_running_loop())
            dropped.atexit = False

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
        if self._streams.get(attempt.call_id) is attempt:
            del self._streams[attempt.call_id]

    def _end(self, attempt: _Attempt) -> None:
        with self._harmless:
            attempt.over = True
            self._recorder.end(attempt.key)

    def _record(
        self,
        attempt: _Attempt,
        outcome: AttemptResult,
        *,
        total_ms: float | None = None,
        first_token_ms: float | None = None,
        tokens: int = 0,
    ) -> None:
        self._end(attempt)
        assert attempt.deployment_id is not None
        self._recorder.record(
            attempt.deployment_id,
            Attempt(
                total_ms=self._waited(attempt) * 1000 if total_ms is None else total_ms,
                status=outcome.status,
                ending=outcome.ending,
                first_token_ms=first_token_ms,
                tokens=tokens,
                cold=attempt.cold,
            ),
        )

    def _failure(self, attempt: _Attempt, error: object) -> AttemptResult:
        return outcome_of(
            error,
            waited_seconds=self._waited(attempt),
            wished_seconds=attempt.wished_seconds,
            allowed_seconds=lambda: _allowed(attempt),
        )

    def _waited(self, attempt: _Attempt) -> float:
        return self._clock() - attempt.began


def _wish(kwargs: Mapping[str, Any]) -> float | None:
    """Return the time-out in seconds that a request brought itself, by LiteLLM's order of precedence."""
    names = ("stream_timeout", "timeout", "request_timeout")[0 if kwargs.get("stream") else 1 :]
    return next((float(kwargs[name]) for name in names if isinstance(kwargs.get(name), int | float)), None)


def _allowed(attempt: _Attempt) -> float | None:
    """Return the time-out in seconds that the operator gave the deployment, None where LiteLLM has only its own."""
    deployment = attempt.router.get_deployment(model_id=attempt.deployment_id)
    params = deployment.litellm_params.model_dump(exclude_none=True) if deployment is not None else {}
    seconds = attempt.router._get_timeout(kwargs={"stream": attempt.streams}, data=params)
    return float(seconds) if isinstance(seconds, int | float) else None


def _client_left(kwargs: Mapping[str, Any]) -> bool:
    """Return whether LiteLLM noted that the client closed its connection: the stream is a piece of an answer."""
    params = kwargs.get("litellm_params")
    for holder in (kwargs, params if isinstance(params, Mapping) else {}):
        metadata = holder.get("metadata")
        if isinstance(metadata, Mapping) and metadata.get("client_disconnected"):
            return True
    return False


def _milliseconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() * 1000
