"""The way to our routes past LiteLLM's own: who asks for one waits for none of those to be made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, routing
from litellm.proxy import proxy_server
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Scope

from admin_api.host import AdminHost
from admin_api.router import build_router, build_task_router
from neuronode_router.errors import NotReady
from neuronode_router.litellm_plugin import short_way


class Included(BaseRoute):
    """A router of LiteLLM's that was included: it has no path of its own, and makes its routes when it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Count the question."""
        self.asked += 1
        return Match.NONE, {}


@pytest.fixture
def included() -> Included:
    """LiteLLM's part."""
    return Included()


@pytest.fixture
def app(included: Included) -> FastAPI:
    """An application of LiteLLM's with our routes behind its own."""
    ours = APIRouter()

    @ours.get("/admin/profiles/list")
    async def listed() -> str:
        return "ours"

    app = FastAPI()
    app.router.routes.append(included)
    short_way.mount(app, ours.routes)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who asks."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        yield client


async def test_ours_is_answered_without_litellms_routes(
    client: httpx.AsyncClient, included: Included
) -> None:
    """FastAPI makes all routes of an included router when it is asked for the first time: it is not asked."""
    answer = await client.get("/admin/profiles/list")

    assert (answer.json(), included.asked) == ("ours", 0)


async def test_under_a_root_path_too(app: FastAPI, client: httpx.AsyncClient, included: Included) -> None:
    """A server's root path stands before all addresses."""
    app.root_path = "/proxy"

    answer = await client.get("/proxy/admin/profiles/list")

    assert (answer.json(), included.asked) == ("ours", 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/admin/other", 404),
        ("POST", "/admin/profiles/list", 405),
        ("GET", "/admin/profiles/list/", 307),
        ("GET", "/v1/models", 404),
        ("GET", "", 404),
    ],
)
async def test_what_is_not_ours_goes_the_whole_way(
    client: httpx.AsyncClient, included: Included, method: str, path: str, status: int
) -> None:
    """LiteLLM is asked for it, and what nobody takes is answered as ever."""
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert included.asked > 0


async def test_a_mount_before_ours_keeps_its_addresses(app: FastAPI, client: httpx.AsyncClient) -> None:
    """LiteLLM mounts its own `/admin` before everything where an operator switches that on."""

    async def theirs(scope: Scope, receive: object, send: object) -> None:
        await PlainTextResponse("theirs")(scope, receive, send)  # type: ignore[arg-type]

    app.router.routes.insert(0, Mount("/admin", app=theirs))

    assert (await client.get("/admin/profiles/list")).text == "theirs"


async def test_a_route_that_was_taken_away_stays_away(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Start-up hooks may filter the table of routes."""
    app.router.routes[:] = [route for route in app.router.routes if isinstance(route, Included)]

    assert (await client.get("/admin/profiles/list")).status_code == 404


def test_without_the_place_between_middleware_and_routes_ours_are_there_all_the_same() -> None:
    """A later FastAPI may call its routes in another way: that must not stop a worker."""
    app, ours = FastAPI(), APIRouter()
    ours.add_api_route("/admin/profiles/list", lambda: "ours")
    del app.router.middleware_stack

    short_way.mount(app, ours.routes)

    assert app.router.routes[-1] is ours.routes[0]


def test_litellms_routes_take_nothing_of_ours() -> None:
    """That is why its included routers need not be asked."""
    every = getattr(
        routing, "iter_route_contexts", iter
    )  # FastAPI that makes routes at once has no such thing
    theirs = [route.path_regex for route in every(proxy_server.app.routes) if hasattr(route, "path_regex")]

    ours = [*build_router(_nobody).routes, *build_task_router(_nobody).routes]
    asked = {re.sub("{.*?}", "x", route.path) for route in ours if isinstance(route, Route)}

    assert len(theirs) > 100
    assert [path for path in asked if any(regex.match(path) for regex in theirs)] == []


def _nobody() -> AdminHost:
    raise NotReady("Nothing is asked of it here.")
