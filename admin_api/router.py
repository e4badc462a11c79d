"""The table of all routes, and the router that is mounted into the proxy's application.

It must not know what a route does, nor import LiteLLM: `/admin` may be taken by LiteLLM itself, so the same
routes stand under a second prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.security import HTTPBearer
from starlette.routing import Match

from admin_api.access import routes as access
from admin_api.agents import routes as agents
from admin_api.audit import routes as audit
from admin_api.host import AdminHost
from admin_api.http.guard import guarded_route
from admin_api.http.problems import KINDS, TASK_KINDS, RequestError
from admin_api.policy import routes as policy
from admin_api.profiles import routes as profiles
from admin_api.proof import routes as proof
from admin_api.rollouts import routes as rollouts
from admin_api.routing import routes as routing
from admin_api.shadows import routes as shadows
from admin_api.tasks import routes as tasks
from admin_api.ui.routes import build_ui
from admin_api.usage import routes as usage
from admin_api.workers import routes as workers
from neuronode_router.tasks.completions import CHAT_PATH

PREFIX = "/admin"
SECOND_PREFIX = "/neuronode"
TASK_PREFIX = "/api/v1/llm"

MAX_TASK_BODY_BYTES = 2 * 1024 * 1024
"""Room for the longest inputs of the shipped templates, however they are escaped."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

ENDPOINTS = (
    *profiles.ENDPOINTS,
    *access.ENDPOINTS,
    *audit.ENDPOINTS,
    *workers.ENDPOINTS,
    *routing.ENDPOINTS,
    *usage.ENDPOINTS,
    *proof.ENDPOINTS,
    *rollouts.ENDPOINTS,
    *shadows.ENDPOINTS,
    *policy.ENDPOINTS,
)
"""The admin API: under both prefixes. The first word of a path is its group on the OpenAPI page."""

TASK_ENDPOINTS = tasks.ENDPOINTS


def build_router(host: Callable[[], AdminHost]) -> APIRouter:
    """Return the admin API of one worker, and the page.

    `host` is called for each request; until there is something to serve it raises `NotReady` or `AdminClosed`.
    """
    guarded = APIRouter(route_class=guarded_route(host), dependencies=[_bearer()])
    for prefix in (PREFIX, SECOND_PREFIX):
        for endpoint in ENDPOINTS:
            tag = endpoint.path.split("/")[1]
            endpoint.mount(guarded, prefix, tag=tag, in_schema=prefix == PREFIX)
        # Not on the OpenAPI page: its bodies are the protocol's.
        guarded.add_api_route(
            prefix + agents.PATH, agents.answer_agent, methods=["POST"], include_in_schema=False
        )
    roots = sorted({endpoint.path.split("/")[1] for endpoint in ENDPOINTS})
    _refuse_others(guarded, SECOND_PREFIX, *(f"{PREFIX}/{root}" for root in roots))
    # As they are, and not included: FastAPI would make all of them a second time.
    guarded.routes[:0] = [
        route
        for prefix in (PREFIX, SECOND_PREFIX)  # the page and the readiness need no key
        for public in (build_ui(host, prefix), workers.build_readiness(host, prefix))
        for route in public.routes
    ]
    return guarded


def build_task_router(host: Callable[[], AdminHost]) -> APIRouter:
    """Return the task API of one worker; `host` is as for `build_router`."""
    # A template is run as a chat request, and entered like one.
    route_class = guarded_route(host, max_body=MAX_TASK_BODY_BYTES, enter_as=CHAT_PATH)
    router = APIRouter(route_class=route_class, dependencies=[_bearer()])
    for endpoint in TASK_ENDPOINTS:
        endpoint.mount(router, TASK_PREFIX, tag="templates", kinds={**KINDS, **TASK_KINDS})
    _refuse_others(router, TASK_PREFIX)
    return router


def _refuse_others(router: APIRouter, *places: str) -> None:
    """Answer what no route of ours takes under these paths. Beside them `/admin` may be LiteLLM's or its operator's."""
    ours = list(router.routes)

    async def refuse(request: Request) -> None:
        found = [route for route in ours if route.matches(request.scope)[0] is Match.PARTIAL]
        # A path of its own, such as /profiles/switch, is nobody's name.
        found = [route for route in found if not getattr(route, "param_convertors", ())] or found
        methods = sorted({method for route in found for method in getattr(route, "methods", ())})
        if not methods:
            fix = "Look at docs/admin-api.md or the proxy's OpenAPI page."
            raise RequestError("no_such_path", "There is nothing under this path.", fix=fix)
        allow = ", ".join(methods)
        message = f"This path does not take {request.method}."
        raise RequestError("method_not_allowed", message, fix=f"Use {allow}.", headers={"Allow": allow})

    for place in places:
        # What ends with a slash is left to the framework, which leads to the path without.
        for path in (place, place + "/{last}", place + "/{path:path}/{last}"):
            router.add_api_route(path, refuse, methods=list(METHODS), include_in_schema=False)


def _bearer() -> Any:
    return Security(HTTPBearer(auto_error=False, scheme_name="NeuronodeKey"))
