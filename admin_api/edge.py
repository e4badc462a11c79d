"""What happens to every request before and after its route: size, media type, key, rights, errors, headers.

It must not know what the routes do. It works inside our own routes only, so LiteLLM's routes, handlers and
middleware stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from admin_api.limits import CallerLimits
from admin_api.ports import AdminHost
from admin_api.problems import INTERNAL, NO_STORE, RequestError, from_http, from_validation, problem_response
from neuronode_router.access import Principal, require_reader, require_writer
from neuronode_router.errors import NeuronodeError

MAX_BODY_BYTES = 256 * 1024

logger = logging.getLogger(__name__)

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request."""

    host: AdminHost
    principal: Principal
    limits: CallerLimits
    gone: Callable[[], Awaitable[None]]
    """Waits until the client has hung up."""


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


def _limited_caller(call: Caller) -> Call:
    call.limits.count(call.principal, call.host.write_limit)
    return call


LimitedCaller = Annotated[Call, Depends(_limited_caller)]
"""Anybody with a known key, counted like writers: for writes whose route itself says who may."""


def _reader(call: Caller) -> Call:
    require_reader(call.principal)
    return call


Reader = Annotated[Call, Depends(_reader)]
"""Administrators and viewers."""


def _limited_reader(call: Reader) -> Call:
    call.limits.count(call.principal, call.host.write_limit)
    return call


LimitedReader = Annotated[Call, Depends(_limited_reader)]
"""Administrators and viewers, counted like writers: for reads that cost as much as a write."""


def _writer(call: Caller) -> Call:
    require_writer(call.principal)
    call.limits.count(call.principal, call.host.write_limit)
    return call


Writer = Annotated[Call, Depends(_writer)]
"""Administrators, as often as the write limit allows."""
