"""What happens to every request before and after its route: size, media type, key, rights, errors, headers.

It must not know what the routes do. It works inside our own routes only, so LiteLLM's routes, handlers and
middleware stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
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
from neuronode_router.access import Principal, require_reader, require_writer, visible
from neuronode_router.domain import ControlState, Profile
from neuronode_router.errors import NeuronodeError, NotReady

MAX_BODY_BYTES = 256 * 1024
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

    def count(self) -> None:
        """Count the call as a write. Raises `RequestError` (429) beyond the write limit."""
        self.limits.count(self.principal, self.host.write_limit)

    def visible(self, state: ControlState) -> dict[str, Profile]:
        """Return the profiles that the caller may see, by name."""
        profiles = state.profiles.profiles
        return {name: found for name, found in profiles.items() if visible(self.principal, found)}

    async def committed(self) -> ControlState:
        """Return what is in force. Raises `NotReady` while nothing is."""
        state = await self.host.manager.current()
        if state is None:
            raise NotReady("No profiles have been committed yet.")
        return state


def started(part: Part | None, lacking: str) -> Part:
    """Return a part of the host. Raises `NotReady` while it has not started; `lacking` says what that means."""
    if part is None:
        raise NotReady(lacking, fix="Repeat when the proxy has started.")
    return part


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
                try:
                    body = await _read_body(request, max_body)
                    admin = host()
                    scope = {**request.scope, "path": enter_as or request.scope["path"]}
                    principal = await admin.authenticate(Request(scope, _replay(body)))
                    call = Call(admin, principal, limits, partial(_gone, request))
                    response = await _admit(request, body, handle, call)
                except NeuronodeError as error:
                    response = problem_response(error)
                except RequestValidationError as error:
                    response = problem_response(from_validation(error))
                except HTTPException as error:
                    response = problem_response(from_http(error))
                except ClientDisconnect:
                    response = Response(status_code=400)  # nobody is there to read it
                except Exception:  # the outermost frame of our routes: no internals may leave it
                    logger.exception("neuronode admin API: %s failed", self.operation_id)
                    response = problem_response(INTERNAL)
                response.headers.update(NO_STORE)
                return response

            return guarded

    return GuardedRoute


async def _admit(request: Request, body: bytes, handle: Handle, call: Call) -> Response:
    """Let the route answer a caller who is known.

    Authentication and the route each get a request of their own over the same bytes: whoever reads the
    body first cannot take it away from the other ("Stream consumed").
    """
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


async def _read_body(request: Request, most: int) -> bytes:
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
