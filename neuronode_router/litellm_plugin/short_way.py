"""Our routes in LiteLLM's application, and the way to them past LiteLLM's own.

FastAPI looks through all routes in their order, and makes those of a router that was included when a request first
comes by: ours are the last, so who first asked for one waited until LiteLLM's hundreds were made. It must not know what
our routes do.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Match

Scope = MutableMapping[str, Any]


def mount(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Add `routes` to those of `app`, as they are and as the last ones, and lead requests for them there at once."""
    app.router.routes.extend(routes)
    if hasattr(app.router, "middleware_stack"):  # else they are found the whole way
        app.router.middleware_stack = _ShortWay(app.router, routes)


class _ShortWay:
    """All routes of an application; requests for ours do not pass the routers that were included.

    Those are LiteLLM's own, and none of their paths begins as ours do. Whatever else stands before ours and takes a
    request, such as a mount that an operator has switched on, still has it.
    """

    def __init__(self, router: APIRouter, ours: Sequence[BaseRoute]) -> None:
        self._router = router
        self._whole_way = router.middleware_stack
        self._ours = frozenset(map(id, ours))
        self._short_way = APIRouter()
        self._short_way.routes.extend(ours)
        self._words = frozenset(_first_word(getattr(route, "path", "")) for route in ours)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        way = self._short_way if self._is_ours(scope) else self._whole_way
        await way(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return _first_word(path) in self._words and id(self._first(scope)) in self._ours

    def _first(self, scope: Scope) -> BaseRoute | None:
        """Return the first route with a path of its own that takes a request: an included router has none."""
        own = (route for route in self._router.routes if hasattr(route, "path"))
        return next((route for route in own if route.matches(scope)[0] is Match.FULL), None)


def _first_word(path: str) -> str:
    return path.partition("/")[2].partition("/")[0]
