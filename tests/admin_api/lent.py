"""One application for all tests: FastAPI needs 0.2 s to build ours, and tests make hundreds of workers.

It must not know what stands behind the routes. What the application itself counts (`CallerLimits`) outlives a test:
a test of such a limit, or one that adds routes, takes an application `alone`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

from admin_api.host import AdminHost

Host = Callable[[], AdminHost]
Build = Callable[[Host], APIRouter]

_HOST: ContextVar[Host] = ContextVar("host")


@dataclass(frozen=True, slots=True)
class LentApplication:
    """The application of a builder of routers, which answers for one host."""

    build: Build
    host: Host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: it runs in a context of its own, or in its caller's, who sets it anew for the next."""
        _HOST.set(self.host)
        await _application(self.build)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI page, which is only to be read."""
        return _application(self.build).openapi()


def alone(build: Build, host: Host) -> FastAPI:
    """Return an application of one test alone."""
    app = FastAPI()
    app.include_router(build(host))
    return app


@cache
def _application(build: Build) -> FastAPI:
    return alone(build, lambda: _HOST.get()())
