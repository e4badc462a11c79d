"""The table of all routes, and the router that is mounted into the proxy's application.

It must not know what a route does, nor import LiteLLM: `/admin` may be taken by LiteLLM itself, so the same
routes stand under a second prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer

from admin_api import (
    access,
    audit,
    bindings,
    events,
    feedback,
    metrics,
    proof,
    reads,
    routing,
    usage,
    usage_csv,
    writes,
)
from admin_api.documents import AuditPageDocument
from admin_api.edge import guarded_route
from admin_api.ports import AdminHost
from admin_api.problems import KINDS, Kind, ProblemDocument, documented
from admin_api.proof_documents import LiveValidationDocument
from admin_api.ui import build_ui
from admin_api.usage_documents import UsageDocument

PREFIX = "/admin"
SECOND_PREFIX = "/neuronode"

ANY = (401, 403, 500, 503)
PARSED = (413, 415, 422)
WRITE = (*ANY, *PARSED, 404, 409, 412, 429)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. Its operation id is `neuronode_` and the name of its function.

    `path` stands under both prefixes; its first word is the group on the OpenAPI page.
    """

    method: str
    path: str
    answer: Callable[..., Any]
    errors: tuple[int, ...]
    success: dict[str, Any] | None = None
    """How a 200 is documented where the function's return type does not say it."""


STREAM = {
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
    "description": "Events, without end.",
}
AUDIT = {
    "model": AuditPageDocument,
    "content": {audit.NDJSON: {"schema": {"type": "string"}}},
    "description": "A page, or every matching entry as one line of JSON.",
}
USAGE = {
    "model": UsageDocument,
    "content": {usage_csv.MEDIA_TYPE: {"schema": {"type": "string"}}},
    "description": "The report, or the same as CSV.",
}
METRICS = {
    "content": {metrics.MEDIA_TYPE: {"schema": {"type": "string"}}},
    "description": "The metrics, in Prometheus' text format.",
}
VALIDATION = {
    "model": LiveValidationDocument,
    "content": {proof.EVENT_STREAM: {"schema": {"type": "string"}}},
    "description": "The outcome, or with `live` what each probe finds as it comes and then the outcome.",
}

ENDPOINTS = (
    Endpoint("GET", "/profiles/list", reads.list_profiles, (*ANY, *PARSED)),
    Endpoint("GET", "/profiles/status", reads.read_status, (*ANY, *PARSED)),
    Endpoint("GET", "/profiles/diff", reads.compare_profiles, (*ANY, *PARSED, 404)),
    Endpoint("GET", "/profiles/audit", audit.read_audit, (*ANY, *PARSED), AUDIT),
    Endpoint("GET", "/profiles/workers", reads.list_workers, (*ANY, *PARSED)),
    Endpoint("GET", "/profiles/access", access.read_access, (*ANY, *PARSED)),
    Endpoint("GET", "/profiles/events", events.stream_events, (*ANY, *PARSED, 429), STREAM),
    Endpoint("POST", "/profiles/switch", writes.switch, WRITE),
    Endpoint("POST", "/profiles/rollback", writes.rollback, WRITE),
    Endpoint("POST", "/profiles/reload", writes.reload, WRITE),
    Endpoint("POST", "/profiles/validate", proof.validate, (*ANY, *PARSED, 404, 409, 429), VALIDATION),
    Endpoint("GET", "/profiles/matrix", proof.read_matrix, (*ANY, *PARSED)),
    Endpoint("GET", "/profiles/bindings", bindings.list_bindings, (*ANY, *PARSED)),
    Endpoint("PUT", "/profiles/bindings/{kind}/{subject}", bindings.put_binding, WRITE),
    Endpoint("DELETE", "/profiles/bindings/{kind}/{subject}", bindings.delete_binding, WRITE),
    Endpoint("PUT", "/profiles/{name}", writes.put_profile, (*WRITE, 428)),
    Endpoint("PUT", "/profiles/{name}/tasks/{task}", writes.put_task, (*WRITE, 428)),
    Endpoint("GET", "/router/stats", routing.read_router_stats, (*ANY, *PARSED)),
    Endpoint("GET", "/router/registry", routing.read_registry, (*ANY, *PARSED)),
    Endpoint("POST", "/router/classify", routing.classify, (*ANY, *PARSED, 404)),
    Endpoint("POST", "/router/feedback", feedback.give_feedback, (*ANY, *PARSED, 404, 429)),
    Endpoint("GET", "/profiles/usage", usage.read_usage, (*ANY, *PARSED, 429), USAGE),
    Endpoint("POST", "/profiles/plan", usage.plan, (*ANY, *PARSED, 404, 429)),
    Endpoint("GET", "/profiles/metrics", metrics.read_metrics, (*ANY, *PARSED), METRICS),
    Endpoint("GET", "/requests/{call_id}/explain", usage.explain_request, (*ANY, *PARSED, 404, 429)),
    # Last: the words above go before the name of a profile.
    Endpoint("GET", "/profiles/{name}", reads.read_profile, (*ANY, *PARSED, 404)),
)


def build_router(host: Callable[[], AdminHost]) -> APIRouter:
    """Return the routes of one worker.

    `host` is called for each request; until there is something to serve it raises `NotReady` or `AdminClosed`.
    """
    bearer = Security(HTTPBearer(auto_error=False, scheme_name="NeuronodeKey"))
    router = APIRouter(route_class=guarded_route(host), dependencies=[bearer])
    for prefix in (PREFIX, SECOND_PREFIX):  # the page is public, and stands before the name of a profile
        router.include_router(build_ui(host), prefix=f"{prefix}/profiles")
    for prefix, in_schema in ((PREFIX, True), (SECOND_PREFIX, False)):
        for endpoint in ENDPOINTS:
            add_endpoint(
                router,
                prefix + endpoint.path,
                endpoint,
                tag=endpoint.path.split("/")[1],
                in_schema=in_schema,
            )
    return router


def add_endpoint(
    router: APIRouter,
    path: str,
    endpoint: Endpoint,
    *,
    tag: str,
    kinds: Mapping[str, Kind] = KINDS,
    in_schema: bool = True,
) -> None:
    """Add one route. `kinds` are the errors it is documented with, as far as their status is one of the endpoint's."""
    responses = documented(*sorted(endpoint.errors), kinds=kinds)
    # Named once as a `model`, so that the schema is part of the OpenAPI page; the others refer to it.
    responses[401]["model"] = ProblemDocument
    options: dict[str, Any] = {"response_model": None} if endpoint.success else {}
    router.add_api_route(
        path,
        endpoint.answer,
        methods=[endpoint.method],
        tags=[f"neuronode {tag}"],
        operation_id=f"neuronode_{endpoint.answer.__name__}",
        responses=responses | ({200: endpoint.success} if endpoint.success else {}),
        include_in_schema=in_schema,
        **options,
    )
