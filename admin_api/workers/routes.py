"""The worker processes: what they serve, whether they are well, and the metrics that Prometheus scrapes.

It must not know how workers converge, nor what is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from admin_api.host import AdminHost
from admin_api.http.endpoints import Endpoint, also
from admin_api.http.guard import Reader, etag, started
from admin_api.http.problems import NO_STORE
from admin_api.workers.schemas import ReadinessDocument, WorkersDocument
from neuronode_router.background import stalled_problem
from neuronode_router.domain.receipts import WorkerStatus
from neuronode_router.errors import NeuronodeError, Problem
from neuronode_router.metrics import CONTENT_TYPE

LACKING = "Nothing is measured here yet."


async def list_workers(call: Reader, response: Response) -> WorkersDocument:
    """Every worker process that shares the store, and whether all live ones serve the committed revision."""
    state = await call.host.manager.current()
    revision = state.revision if state else 0
    workers = await call.host.manager.workers()
    response.headers.update(etag(revision))
    return WorkersDocument(revision=revision, converged=converged(workers, revision), workers=workers)


async def read_metrics(call: Reader) -> Response:
    """The metrics of all workers of this host, in Prometheus' text format."""
    return Response(
        await started(call.host.metrics, LACKING).exposition(), headers={"Content-Type": CONTENT_TYPE}
    )


def build_readiness(host: Callable[[], AdminHost], prefix: str) -> APIRouter:
    """Return the public routes that say whether this process serves all that it should, or anything: 200 or 503."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"{prefix}/health/readiness")
    async def read_readiness() -> Response:
        return _verdict(host, lambda found: found.readiness())

    @router.get(f"{prefix}/health/startup")
    async def read_startup() -> Response:
        return _verdict(host, lambda found: found.startup())

    return router


def _verdict(host: Callable[[], AdminHost], ask: Callable[[AdminHost], Mapping[str, Any]]) -> Response:
    try:
        served, problems = host().worker.revision, list(ask(host())["problems"])
    except NeuronodeError as error:  # not started yet, or closed
        served, problems = 0, [error.code]
    status: Literal["ready", "not_ready"] = "not_ready" if problems else "ready"
    document = ReadinessDocument(status=status, served_revision=served, problems=problems)
    return JSONResponse(document.model_dump(), 503 if problems else 200, headers=NO_STORE)


def converged(workers: Iterable[WorkerStatus], revision: int) -> bool:
    """Return whether every live worker serves `revision`. Never raises."""
    return all(worker.revision == revision for worker in workers if worker.live)


def stalled(workers: Iterable[WorkerStatus], *, but: str) -> list[Problem]:
    """Return a problem for each background activity that a live worker reports as stalled. Never raises.

    The worker `but` is left out: it answers, and knows better than its last heartbeat.
    """
    return [
        stalled_problem(activity, where=f"{worker.host}, process {worker.pid}")
        for worker in workers
        if worker.live and worker.instance != but
        for activity in worker.report.get("stalled", ())
    ]


ENDPOINTS = (
    Endpoint("GET", "/workers", list_workers),
    Endpoint(
        "GET",
        "/metrics",
        read_metrics,
        success=also(CONTENT_TYPE.partition(";")[0], "The metrics, in Prometheus' text format."),
    ),
)
