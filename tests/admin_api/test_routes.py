"""Every route there is stands in a table, on the OpenAPI page or not: those that need no key are known by name."""

from __future__ import annotations

from fastapi.routing import APIRoute

from admin_api.agents import routes as agents
from admin_api.router import (
    ENDPOINTS,
    METHODS,
    PREFIX,
    SECOND_PREFIX,
    TASK_ENDPOINTS,
    TASK_PREFIX,
    build_router,
    build_task_router,
)
from tests.admin_api.lent import Build
from tests.admin_api.world import World

PUBLIC = (
    *(("GET", path) for path in ("", "/", "/ui", "/ui/", "/ui/again.js", "/ui/{version}/{path:path}")),
    *(("GET", path) for path in ("/profiles", "/profiles/ui", "/health/readiness", "/health/startup")),
    ("POST", "/ui/session"),
)
"""The page, the way to it and what becomes of a sign-in, and the readiness: they need no key."""


def routes_of(build: Build, world: World) -> tuple[list[tuple[str, str]], list[APIRoute]]:
    """Return methods and paths of all routes, on the OpenAPI page or not, and those routes that refuse all others."""
    made = build(world.host).routes
    routes = [route for route in made if isinstance(route, APIRoute)]
    assert len(routes) == len(made)
    others = [route for route in routes if route.methods == set(METHODS)]
    named = [(method, route.path) for route in routes if route not in others for method in route.methods]
    return named, others


def test_the_table_is_all_there_is(world: World) -> None:
    """No route exists beside the table, so the test of access sees them all; the others are known by name."""
    found, others = routes_of(build_router, world)

    table = [(endpoint.method, endpoint.pattern) for endpoint in ENDPOINTS]
    known = [*table, ("POST", agents.PATH), *PUBLIC]
    expected = [(method, prefix + path) for prefix in (PREFIX, SECOND_PREFIX) for method, path in known]
    assert sorted(found) == sorted(expected)
    assert {route.name for route in others} == {"refuse"}


def test_the_table_of_the_task_api_is_all_there_is(world: World) -> None:
    """All of it needs a key."""
    found, others = routes_of(build_task_router, world)

    expected = [(endpoint.method, TASK_PREFIX + endpoint.path) for endpoint in TASK_ENDPOINTS]
    assert sorted(found) == sorted(expected)
    assert {route.name for route in others} == {"refuse"}
