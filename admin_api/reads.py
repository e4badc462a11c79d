"""Routes that show: list, status, one profile, diff, workers.

They must not change anything. Members see only the profiles that `access.visible` lets them see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Response

from admin_api.documents import (
    ChangeDocument,
    DiffDocument,
    MetadataDocument,
    Name,
    ProfileDocument,
    ProfileListDocument,
    StatusDocument,
    WorkerDocument,
    WorkersDocument,
)
from admin_api.edge import Call, Caller, Reader
from admin_api.problems import place_documents
from neuronode_router.access import may_read_all, visible
from neuronode_router.domain import ControlState, Profile, WorkerStatus, task_changes
from neuronode_router.errors import NotAllowed, NotReady, UnknownProfile


def etag(revision: int) -> dict[str, str]:
    """Return the header that names a revision."""
    return {"ETag": f'"{revision}"'}


async def list_profiles(call: Caller, response: Response) -> ProfileListDocument:
    """The profiles the caller may see, and which one is active."""
    state = await _committed(call)
    response.headers.update(etag(state.revision))
    return ProfileListDocument(
        revision=state.revision,
        active_profile=state.active,
        profiles=[_document(profile) for _, profile in sorted(_visible(call, state).items())],
    )


async def read_profile(call: Caller, name: str, response: Response) -> ProfileDocument:
    """One profile, with all its mappings."""
    state = await _committed(call)
    response.headers.update(etag(state.revision))
    return _document(_find(call, state, name))


async def compare_profiles(
    call: Caller,
    before: Annotated[Name, Query(alias="from", description="A profile.")],
    after: Annotated[Name, Query(alias="to", description="A profile.")],
    response: Response,
) -> DiffDocument:
    """What would change for clients between two profiles."""
    state = await _committed(call)
    response.headers.update(etag(state.revision))
    changes = task_changes(_find(call, state, before).tasks, _find(call, state, after).tasks)
    return DiffDocument(
        from_profile=before,
        to_profile=after,
        changes=[ChangeDocument.model_validate(change) for change in changes],
    )


async def read_status(call: Caller, response: Response) -> StatusDocument:
    """What is in force, in every worker. Answered with `ready: false` while nothing valid was committed."""
    state = await call.host.manager.current()
    response.headers.update(etag(state.revision if state else 0))
    active = state.profiles.profiles[state.active] if state else None
    reported = dict(call.host.status())
    return StatusDocument(
        ready=state is not None,
        active_profile=active.name if active else None,
        active_mappings=dict(active.tasks) if active else {},
        profile_metadata=MetadataDocument.model_validate(active) if active else None,
        revision=state.revision if state else 0,
        committed_at=state.committed_at if state else None,
        served_revision=call.host.worker.revision,
        embedded_groups=sorted(reported.pop("embedded_groups", ())),
        **(await _inside(call, state, reported)),
    )


async def list_workers(call: Reader, response: Response) -> WorkersDocument:
    """Every worker process that shares the store, and whether all live ones serve the committed revision."""
    state = await call.host.manager.current()
    revision = state.revision if state else 0
    workers = await call.host.manager.workers()
    response.headers.update(etag(revision))
    return WorkersDocument(
        revision=revision, converged=_converged(workers, revision), workers=_worker_documents(workers)
    )


async def _inside(call: Call, state: ControlState | None, reported: dict[str, Any]) -> Mapping[str, Any]:
    """Return the fields of the status that only administrators and viewers see."""
    if not may_read_all(call.principal):
        return dict.fromkeys(("converged", "workers", "problems", "warnings", "host"))
    workers = await call.host.manager.workers()
    return {
        "converged": _converged(workers, state.revision if state else 0),
        "workers": _worker_documents(workers),
        "problems": place_documents(reported.pop("problems", ())),
        "warnings": list(reported.pop("warnings", ())),
        "host": reported,
    }


async def _committed(call: Call) -> ControlState:
    state = await call.host.manager.current()
    if state is None:
        raise NotReady("No profiles have been committed yet.")
    return state


def _visible(call: Call, state: ControlState) -> dict[str, Profile]:
    profiles = state.profiles.profiles
    return {name: profile for name, profile in profiles.items() if visible(call.principal, profile)}


def _find(call: Call, state: ControlState, name: str) -> Profile:
    """Return a profile the caller may see.

    Raises `UnknownProfile`, and for a member `NotAllowed` whether or not the profile exists: the answer must
    not tell which names other teams use.
    """
    seen = _visible(call, state)
    if name in seen:
        return seen[name]
    if not may_read_all(call.principal):
        raise NotAllowed("This key may not see a profile of that name.")
    raise UnknownProfile(name, list(seen))


def _document(profile: Profile) -> ProfileDocument:
    return ProfileDocument.model_validate(profile.to_document())


def _converged(workers: tuple[WorkerStatus, ...], revision: int) -> bool:
    return all(worker.revision == revision for worker in workers if worker.live)


def _worker_documents(workers: tuple[WorkerStatus, ...]) -> list[WorkerDocument]:
    return [WorkerDocument.model_validate(worker) for worker in workers]
