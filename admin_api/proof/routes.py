"""Whether the profiles are valid, whether their groups answer, and what was proven of them before.

It holds no decisions: the proof room probes and judges. A run may be told as it goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Response
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from admin_api.host import AdminHost
from admin_api.http.endpoints import READ, Endpoint, also
from admin_api.http.guard import KEEP_ALIVE_SECONDS, Call, Committed, LimitedReader, Reader, started
from admin_api.http.problems import INTERNAL, InvalidRequestError, problem_document
from admin_api.profiles.routes import file_document
from admin_api.proof.schemas import (
    CellDocument,
    FoundDocument,
    LiveValidationDocument,
    MatrixDocument,
    MatrixQuery,
    RunDocument,
    ValidateBody,
    ValidateQuery,
    ValidationDocument,
)
from neuronode_router.access import require_writer
from neuronode_router.control.checks import UNKNOWN_GROUP
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import Profile
from neuronode_router.errors import NeuronodeError, Problem, ProfilesInvalid, UnknownProfile, UnknownTask
from neuronode_router.proof.matrix import Cell, ProbeEvidence, ProbeTarget, State, target_of
from neuronode_router.proof.runner import RunLimits
from neuronode_router.proof.service import ProofService
from neuronode_router.routing.residency import outside, required

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"

LACKING = "Nothing can be probed here yet."


async def _stream_if_asked(
    call: LimitedReader, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> AsyncIterator[bool]:
    """Tell whether a stream is wanted, which counts as one until it has been sent."""
    with call.limits.one_stream(call.principal) if EVENT_STREAM in accept else nullcontext():
        yield EVENT_STREAM in accept


async def validate(
    call: LimitedReader,
    streamed: Annotated[bool, Depends(_stream_if_asked)],
    query: Annotated[ValidateQuery, Query()],
    body: ValidateBody | None = None,
) -> ValidationDocument | Response:
    """Check the profile files, or a submitted profile; with `live`, ask every group for real. Changes no profile."""
    if body is not None and query.live:
        message = "Only profiles that are committed can be probed."
        fix = "Put the profile in force as a file first, or leave `live` out."
        raise InvalidRequestError.at("query.live", "live_with_body", message, fix)
    if not query.live:
        problems = await (call.host.manager.validate() if body is None else _check(call, body))
        return ValidationDocument(valid=not problems, problems=problems)
    require_writer(call.principal)
    order = await _order(call, query)
    if not streamed:
        return await _carried_out(order, lambda _: None)
    return EventSourceResponse(_told(order), ping=KEEP_ALIVE_SECONDS, sep="\n")


async def read_matrix(
    call: Reader, state: Committed, query: Annotated[MatrixQuery, Query()]
) -> MatrixDocument:
    """Every profile and task: who answers, whether that was proven, when, how fast and at what cost."""
    service, profiles = started(call.host.proof, LACKING), _chosen(state.profiles.profiles, query.profile)
    return MatrixDocument(
        revision=state.revision,
        gate=service.gate.mode,
        max_age_seconds=service.matrix.max_age,
        profiles=[profile.name for profile in profiles],
        tasks=list(dict.fromkeys(task for profile in profiles for task in profile.tasks)),
        cells=_cells(await service.cells(profiles), profiles, call.host),
    )


async def _check(call: Call, body: ValidateBody) -> tuple[Problem, ...]:
    """Return what is wrong with a submitted profile. Nothing is changed."""
    document, actor = file_document(body.name, body.profile), Actor(call.principal.signature)
    try:
        await call.host.manager.edit_profile(body.name, document, actor=actor, dry_run=True)
    except ProfilesInvalid as error:
        return error.problems
    return ()


@dataclass(frozen=True, slots=True)
class _Order:
    """A run that was asked for."""

    host: AdminHost
    service: ProofService
    profiles: Sequence[Profile]
    tasks: frozenset[str]
    """None of them means all."""
    groups: frozenset[str]
    """None of them means those that the profiles name."""
    limits: RunLimits

    def wants(self, cell: Cell) -> bool:
        return self._wants(cell.task) and (not self.groups or cell.target.group in self.groups)

    def targets(self) -> set[ProbeTarget]:
        """Return what to probe: cells with the same group and shape share a probe."""
        tools = self.service.matrix.tool_tasks
        found = {
            target_of(profile, task, tools)
            for profile in self.profiles
            for task in profile.tasks
            if self._wants(task)
        }
        if not self.groups:
            return found
        return {ProbeTarget(group, target.shape) for group in self.groups for target in found}

    def _wants(self, task: str) -> bool:
        return not self.tasks or task in self.tasks


async def _order(call: Call, query: ValidateQuery) -> _Order:
    """Return the run. Raises `NotReady`, `UnknownProfile`, `UnknownTask` or `InvalidRequestError`."""
    service = started(call.host.proof, LACKING)
    profiles = _chosen((await call.committed()).profiles.profiles, query.profile)
    tasks = {task for profile in profiles for task in profile.tasks}
    for task in query.task:
        if task not in tasks:
            raise UnknownTask(task, list(tasks))
    for group in set(query.group) - call.host.manager.groups():
        message, fix = f"There is no model group {group!r}.", "Add it to LiteLLM, or correct the name."
        raise InvalidRequestError.at("query.group", UNKNOWN_GROUP, message, fix)
    return _Order(call.host, service, profiles, frozenset(query.task), frozenset(query.group), query.limits())


def _chosen(known: Mapping[str, Profile], names: Sequence[str]) -> list[Profile]:
    """Return the profiles of these names, all where there are none. Raises `UnknownProfile`."""
    for name in names:
        if name not in known:
            raise UnknownProfile(name, list(known))
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())


async def _carried_out(order: _Order, told: Callable[[ProbeEvidence], None]) -> LiveValidationDocument:
    problems = await order.host.manager.validate()
    run = await order.service.run(order.targets(), order.limits, told)
    cells = [cell for cell in await order.service.cells(order.profiles) if order.wants(cell)]
    states = {*(cell.state for cell in cells), *(evidence.state for evidence in run.found)}
    return LiveValidationDocument(
        valid=not problems and State.RED not in states,
        problems=problems,
        live=RunDocument.of(run, done=len(run.found), cells=_cells(cells, order.profiles, order.host)),
    )


async def _told(order: _Order) -> AsyncIterator[ServerSentEvent]:
    """Yield an event `found` for each probe, and at the end `result` or `problem`. Who hangs up ends the run."""
    heard: asyncio.Queue[ProbeEvidence | None] = asyncio.Queue()
    run = asyncio.create_task(_carried_out(order, heard.put_nowait))
    run.add_done_callback(lambda _: heard.put_nowait(None))
    try:
        done, wanted = 0, len(order.targets())
        while (evidence := await heard.get()) is not None:
            done += 1
            found = FoundDocument.of(evidence, evidence.target, done=done, wanted=wanted)
            yield _event("found", found)
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


def _cells(cells: Sequence[Cell], profiles: Sequence[Profile], host: AdminHost) -> list[CellDocument]:
    registry = {} if host.router is None else host.router.monitor.registry.groups
    places = {group: [entry.location for entry in entries] for group, entries in registry.items()}
    wrong = {
        (profile.name, found.group): "outside" if found.whole else "partly"
        for profile in profiles
        for found in outside(places, (use.group for use in profile.uses()), required(profile.residency))
    }
    return [
        CellDocument.of(
            cell, cell.target, cell.evidence, residency=wrong.get((cell.profile, cell.target.group))
        )
        for cell in cells
    ]


ENDPOINTS = (
    Endpoint("GET", "/proof/matrix", read_matrix, (*READ, 404)),
    Endpoint(
        "POST",
        "/proof/validate",
        validate,
        (*READ, 404, 409, 429),
        also(
            EVENT_STREAM,
            "The outcome, or with `live` what each probe finds as it comes and then the outcome.",
            LiveValidationDocument,
        ),
    ),
)
