"""The table of the task API's routes, and the router that is mounted into the proxy's application.

It must not know what a route does, nor import LiteLLM.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer

from admin_api import llm
from admin_api.edge import guarded_route
from admin_api.ports import AdminHost
from admin_api.problems import KINDS, TASK_KINDS
from admin_api.router import ANY, PARSED, Endpoint, add_endpoint
from neuronode_router.tasks.completions import CHAT_PATH

PREFIX = "/api/v1/llm"

MAX_TASK_BODY_BYTES = 2 * 1024 * 1024
"""Room for the longest inputs of the shipped tasks, however they are escaped."""

ASKING = (*ANY, *PARSED, 400, 429, 502, 504)

ENDPOINTS = (
    Endpoint("POST", "/sentiment", llm.analyse_sentiment, ASKING),
    Endpoint("POST", "/classify", llm.classify_text, ASKING),
    Endpoint("POST", "/chat", llm.chat, ASKING),
    Endpoint("POST", "/analysis", llm.analyse_market, ASKING),
    Endpoint("POST", "/tasks/{name}", llm.run_task, (*ASKING, 404)),
    Endpoint("GET", "/tasks", llm.list_tasks, (*ANY, *PARSED)),
    Endpoint("GET", "/models", llm.list_models, (*ANY, *PARSED, 429, 502, 504)),
    Endpoint("GET", "/routing-stats", llm.read_routing_stats, (*ANY, *PARSED)),
)


def build_task_router(host: Callable[[], AdminHost]) -> APIRouter:
    """Return the routes of one worker.

    `host` is called for each request; until there is something to serve it raises `NotReady` or `AdminClosed`.
    """
    bearer = Security(HTTPBearer(auto_error=False, scheme_name="NeuronodeKey"))
    # A task is a chat request, and entered like one.
    route_class = guarded_route(host, max_body=MAX_TASK_BODY_BYTES, enter_as=CHAT_PATH)
    router = APIRouter(route_class=route_class, dependencies=[bearer])
    for endpoint in ENDPOINTS:
        add_endpoint(router, PREFIX + endpoint.path, endpoint, tag="tasks", kinds={**KINDS, **TASK_KINDS})
    return router
