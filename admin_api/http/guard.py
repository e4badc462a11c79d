"""What happens to every request before and after its route: size, media type, key, rights, errors, headers.

It must not know what the routes do. It works inside our own routes only, so LiteLLM's routes, handlers and
middleware stay as they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from admin_api.host import AdminHost
from admin_api.http.limits import CallerLimits
from admin_api.http.problems import (
    INTERNAL,
    NO_STORE,
    RequestError,
    from_http,
    from_validation,
    problem_response,
)
from neuronode_router.access import Principal, may_read_all, require_reader, require_writer, sent_key, visible
from neuronode_router.control.transition import require_state
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NeuronodeError, NotAllowed, NotReady

MAX_BODY_BYTES = 256 * 1024
BODY_SECONDS = 20.0
"""How long a body may take to arrive."""

KEEP_ALIVE_SECONDS = 15
"""How often a stream says that it is still there."""

logger = logging.getLogger(__name__)

Part = TypeVar("Part")

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request."""

    host: AdminHost
    principal: Principal
    limits: CallerLimits
    gone: Callable[[], Awaitable[None]]
    """Waits until the client has hung up."""
    path: str = ""
    """Where it was sent to, under whichever prefix."""

    def count(self) -> None:
        """Count the call as a write. Raises `RequestError` (429) beyond the write limit."""
        self.limits.count(self.principal, self.host.write_limit)

    def visible(self, state: ControlState) -> dict[str, Profile]:
        """Return the profiles that the caller may see, by name."""
        profiles = state.profiles.profiles
        return {name: found for name, found in profiles.items() if visible(self.principal, found)}

    def own_team(self) -> str | None:
        """Return the only team whose requests the caller may see, None where it may see all. Raises `NotAllowed`.

        Without a team nobody's are its own: keys without one are not told apart in the books.
        """
        if may_read_all(self.principal):
            return None
        if not self.principal.team:
            raise NotAllowed("This key belongs to no team, and sees nobody's usage.")
        return self.principal.team

    async def committed(self) -> ControlState:
        """Return what is in force. Raises `NotReady` while nothing is."""
        return require_state(await self.host.manager.current())


def started(part: Part | None, lacking: str) -> Part:
    """Return a part of the host. Raises `NotReady` while it has not started; `lacking` says what that means."""
    if part is None:
        raise NotReady(lacking, fix="Repeat when the proxy has started.")
    return part


def bearer(request: Request) -> str:
    """Return the key that a request was sent with, "" where there is none."""
    return sent_key(request.headers.get("authorization", ""))


def etag(revision: int) -> dict[str, str]:
    """Return the header that names a revision."""
    return {"ETag": f'"{revision}"'}


def guarded_route(
    host: Callable[[], AdminHost], *, max_body: int = MAX_BODY_BYTES, enter_as: str | None = None
) -> type[APIRoute]:
    """Return the class of our routes, bound to one worker's host. `max_body` is bytes.

    `enter_as` is the path for which the caller's key is looked at, instead of the route's own: LiteLLM keeps paths
    that it does not know to administrators.
    """
    limits = CallerLimits()

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Handle:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                return await answered(enter(request), of=str(self.operation_id))

            async def enter(request: Request) -> Response:
                admin = host()
                scope = {**request.scope, "path": enter_as or request.scope["path"]}
                # Before the body is read: nobody unknown may make us wait or keep anything.
                principal = await admin.authenticate(Request(scope, _replay(b"")))
                await admin.opened()
                body = await read_body(request, max_body)
                call = Call(admin, principal, limits, partial(_gone, request), request.url.path)
                return await _admit(request, body, handle, call)

            return guarded

    return GuardedRoute


async def answered(answer: Awaitable[Response], *, of: str) -> Response:
    """Return an answer of the route `of`, with the headers that all of ours have; whatever goes wrong, a problem."""
    try:
        response = await answer
    except NeuronodeError as error:
        response = problem_response(error)
    except RequestValidationError as error:
        response = problem_response(from_validation(error))
    except HTTPException as error:
        response = problem_response(from_http(error))
    except ClientDisconnect:
        response = Response(status_code=400)  # nobody is there to read it
    except Exception:  # the outermost frame of our routes: no internals may leave it
        logger.exception("neuronode admin API: %s failed", of)
        response = problem_response(INTERNAL)
    response.headers.update(NO_STORE)
    return response


async def _admit(request: Request, body: bytes, handle: Handle, call: Call) -> Response:
    """Let the route answer a caller who is known."""
    if body and not _is_json(request):
        raise RequestError(
            "unsupported_media_type",
            "The body is not declared as JSON.",
            fix="Send the header `Content-Type: application/json`.",
        )
    request.scope["neuronode_call"] = call
    return await handle(Request(request.scope, _replay(body)))


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request. Raises `RequestError` beyond `most` bytes or `BODY_SECONDS`, and keeps nothing."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_at_most(request, most)
    except TimeoutError as error:
        raise RequestError(
            "body_too_slow", f"The body did not arrive within {BODY_SECONDS:.0f} s.", fix="Send it at once."
        ) from error


async def _read_at_most(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise RequestError(
                "body_too_large",
                f"The body is larger than {most} bytes.",
                fix="Send less: what a route takes is small.",
            )
    return bytes(body)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json"


async def _call(request: Request) -> Call:  # async, or FastAPI would call it in a thread
    call: Call = request.scope["neuronode_call"]
    return call


Caller = Annotated[Call, Depends(_call)]
"""Anybody with a known key. The route itself shows a member only what concerns it."""


async def _committed(call: Caller, response: Response) -> ControlState:
    state = await call.committed()
    response.headers.update(etag(state.revision))
    return state


Committed = Annotated[ControlState, Depends(_committed)]
"""What is in force; the answer's ETag names its revision. Refused while nothing was committed."""


async def _streaming_reader(call: Reader) -> AsyncIterator[Call]:
    with call.limits.one_stream(call.principal):
        yield call  # until the answer has been sent


StreamingReader = Annotated[Call, Depends(_streaming_reader)]
"""Administrators and viewers, as many at a time as one may have open event streams."""


async def _limited_caller(call: Caller) -> Call:
    call.count()
    return call


LimitedCaller = Annotated[Call, Depends(_limited_caller)]
"""Anybody with a known key, counted like writers: for what costs as much, and whose route itself says who may."""


async def _reader(call: Caller) -> Call:
    require_reader(call.principal)
    return call


Reader = Annotated[Call, Depends(_reader)]
"""Administrators and viewers."""


async def _limited_reader(call: Reader) -> Call:
    call.count()
    return call


LimitedReader = Annotated[Call, Depends(_limited_reader)]
"""Administrators and viewers, counted like writers: for reads that cost as much as a write."""


async def _writer(call: Caller) -> Call:
    require_writer(call.principal)
    call.count()
    return call


Writer = Annotated[Call, Depends(_writer)]
"""Administrators, as often as the write limit allows."""
