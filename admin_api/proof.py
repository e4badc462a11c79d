"""Routes of the proof matrix: check the profiles, by real requests where asked, and show what was proven.

They must hold no decisions: the proof room probes and judges. A run may be told as it goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from admin_api.documents import ValidateBody, ValidationDocument
from admin_api.edge import Call, LimitedReader, Reader
from admin_api.events import KEEP_ALIVE_SECONDS
from admin_api.ports import AdminHost
from admin_api.problems import INTERNAL, InvalidRequestError, place_documents, problem_document
from admin_api.proof_documents import (
    CellDocument,
    FoundDocument,
    LiveValidationDocument,
    MatrixDocument,
    RunDocument,
    ValidateQuery,
)
from admin_api.proof_ports import ProofView
from admin_api.reads import etag
from admin_api.writes import check_document
from neuronode_router.access import require_writer
from neuronode_router.domain import ControlState, Profile
from neuronode_router.errors import NeuronodeError, NotReady, Problem, UnknownProfile, UnknownTask
from neuronode_router.proof.matrix import Cell, ProbeEvidence, ProbeTarget, State, target_of
from neuronode_router.proof.runner import Run, RunLimits

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"


async def validate(
    call: LimitedReader,
    request: Request,
    query: Annotated[ValidateQuery, Query()],
    body: ValidateBody | None = None,
) -> ValidationDocument | Response:
    """Check the profile files, or a submitted profile; with `live`, ask every group for real. Changes no profile."""
    if body is not None and query.live:
        raise InvalidRequestError([_nothing_to_ask()])
    if not query.live:
        problems = await (call.host.manager.validate() if body is None else check_document(call, body))
        return ValidationDocument(valid=not problems, problems=place_documents(problems))
    require_writer(call.principal)
    order = await _order(call.host, query)
    if EVENT_STREAM not in request.headers.get("accept", ""):
        return await _carried_out(order, lambda _: None)
    call.limits.require_free_stream(call.principal)
    return EventSourceResponse(_told(call, order), ping=KEEP_ALIVE_SECONDS, sep="\n")


async def read_matrix(call: Reader, response: Response) -> MatrixDocument:
    """Every profile and task: who answers, whether that was proven, when, how fast and at what cost."""
    view, state = _view(call.host), await _state(call.host)
    profiles = list(state.profiles.profiles.values())
    response.headers.update(etag(state.revision))
    return MatrixDocument(
        revision=state.revision,
        gate=view.gate.mode,
        max_age_seconds=view.matrix.max_age,
        profiles=[profile.name for profile in profiles],
        tasks=list(dict.fromkeys(task for profile in profiles for task in profile.tasks)),
        cells=[_cell(cell) for cell in await view.cells(profiles)],
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """A run that was asked for."""

    host: AdminHost
    view: ProofView
    profiles: Sequence[Profile]
    tasks: frozenset[str]
    """None of them means all."""
    limits: RunLimits

    def wants(self, task: str) -> bool:
        return not self.tasks or task in self.tasks

    def targets(self) -> set[ProbeTarget]:
        """Return what to probe: cells with the same group and shape share a probe."""
        tools = self.view.matrix.tool_tasks
        return {
            target_of(profile, task, tools)
            for profile in self.profiles
            for task in profile.tasks
            if self.wants(task)
        }


async def _order(host: AdminHost, query: ValidateQuery) -> _Order:
    """Return the run. Raises `NotReady`, `UnknownProfile` or `UnknownTask`."""
    view, known = _view(host), (await _state(host)).profiles.profiles
    for name in query.profile:
        if name not in known:
            raise UnknownProfile(name, list(known))
    profiles = [known[name] for name in dict.fromkeys(query.profile)] or list(known.values())
    tasks = {task for profile in profiles for task in profile.tasks}
    for task in query.task:
        if task not in tasks:
            raise UnknownTask(task, list(tasks))
    return _Order(host, view, profiles, frozenset(query.task), query.limits())


async def _carried_out(order: _Order, told: Callable[[ProbeEvidence], None]) -> LiveValidationDocument:
    problems = await order.host.manager.validate()
    run = await order.view.run(order.targets(), order.limits, told)
    cells = [cell for cell in await order.view.cells(order.profiles) if order.wants(cell.task)]
    return LiveValidationDocument(
        valid=not problems and all(cell.state is not State.RED for cell in cells),
        problems=place_documents(problems),
        live=_run(run, cells),
    )


async def _told(call: Call, order: _Order) -> AsyncIterator[ServerSentEvent]:
    """Yield an event `found` for each probe, and at the end `result` or `problem`. Who hangs up ends the run."""
    heard: asyncio.Queue[ProbeEvidence | None] = asyncio.Queue()
    with call.limits.open_stream(call.principal):
        run = asyncio.create_task(_carried_out(order, heard.put_nowait))
        run.add_done_callback(lambda _: heard.put_nowait(None))
        try:
            done, wanted = 0, len(order.targets())
            while (evidence := await heard.get()) is not None:
                done += 1
                yield _event("found", _found(evidence, done, wanted))
            yield _end(run)
        finally:
            run.cancel()
            await asyncio.wait([run])


def _end(run: asyncio.Task[LiveValidationDocument]) -> ServerSentEvent:
    error = run.exception()
    if error is None:
        return _event("result", run.result())
    if not isinstance(error, NeuronodeError):
        logger.error("neuronode admin API: a run of probes failed", exc_info=error)
        error = INTERNAL
    return _event("problem", problem_document(error))


def _event(name: str, document: BaseModel) -> ServerSentEvent:
    return ServerSentEvent(event=name, data=document.model_dump_json(), sep="\n")


def _found(evidence: ProbeEvidence, done: int, wanted: int) -> FoundDocument:
    return FoundDocument(
        group=evidence.target.group,
        shape=evidence.target.shape,
        state=evidence.state,
        why=evidence.why,
        latency_ms=evidence.latency_ms,
        cost_usd=evidence.cost_usd,
        checked_at=evidence.checked_at,
        done=done,
        wanted=wanted,
    )


def _run(run: Run, cells: Sequence[Cell]) -> RunDocument:
    return RunDocument(
        wanted=run.wanted,
        done=len(run.found),
        cost_usd=run.cost_usd,
        stopped=run.stopped,
        cells=[_cell(cell) for cell in cells],
    )


def _cell(cell: Cell) -> CellDocument:
    found = cell.evidence
    return CellDocument(
        profile=cell.profile,
        task=cell.task,
        group=cell.target.group,
        shape=cell.target.shape,
        state=cell.state,
        why=found.why if found else None,
        latency_ms=found.latency_ms if found else None,
        cost_usd=found.cost_usd if found else None,
        checked_at=found.checked_at if found else None,
        age_seconds=cell.age_seconds,
    )


def _view(host: AdminHost) -> ProofView:
    if host.proof is None:
        raise NotReady("Nothing can be probed here yet.", fix="Repeat when the proxy has started.")
    return host.proof


async def _state(host: AdminHost) -> ControlState:
    state = await host.manager.current()
    if state is None:
        raise NotReady("No profiles have been committed yet.")
    return state


def _nothing_to_ask() -> Problem:
    fix = "Put the profile in force as a file first, or leave `live` out."
    return Problem(
        "live_with_body", "Only profiles that are committed can be probed.", fix, path="query.live"
    )
