"""Which profile is in force and what the profiles say: routes that show it, and routes that change it.

They hold no decisions: each calls one method of the ProfileManager. Members see only the profiles that
`access.visible` lets them see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import JsonValue

from admin_api.http.endpoints import READ, WRITE, Endpoint
from admin_api.http.guard import Call, Caller, Committed, etag
from admin_api.http.schemas import Name
from admin_api.http.writes import Edit, Post, ReceiptDocument, WarmQuery, present
from admin_api.profiles.schemas import (
    DiffDocument,
    MappingBody,
    MetadataDocument,
    ProfileBody,
    ProfileDocument,
    ProfileListDocument,
    ReloadBody,
    RollbackBody,
    StatusDocument,
    SwitchBody,
)
from admin_api.workers.routes import converged, stalled
from neuronode_router.access import may_read_all
from neuronode_router.domain.profiles import Profile, task_changes
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NotAllowed, Problem, ProfilesInvalid, UnknownProfile
from neuronode_router.profiles.schema import json_schema


async def list_profiles(call: Caller, state: Committed) -> ProfileListDocument:
    """The profiles the caller may see, and which one is active."""
    return ProfileListDocument(
        revision=state.revision,
        active_profile=state.active,
        profiles=[_document(profile) for _, profile in sorted(call.visible(state).items())],
    )


async def read_profile(call: Caller, state: Committed, name: str) -> ProfileDocument:
    """One profile, with all its mappings."""
    return _document(_find(call, state, name))


async def read_schema(call: Caller) -> dict[str, JsonValue]:
    """The JSON Schema of a profile: every key, what it means, and what may stand there."""
    found: dict[str, JsonValue] = json.loads(json_schema())
    return found


async def compare_profiles(
    call: Caller,
    state: Committed,
    before: Annotated[Name, Query(alias="from", description="A profile.")],
    after: Annotated[Name, Query(alias="to", description="A profile.")],
) -> DiffDocument:
    """What would change for clients between two profiles."""
    changes = task_changes(_find(call, state, before).tasks, _find(call, state, after).tasks)
    return DiffDocument(from_profile=before, to_profile=after, changes=changes)


async def read_status(call: Caller, response: Response) -> StatusDocument:
    """What is in force, in every worker. Answered with `ready: false` while nothing valid was committed."""
    state = await call.host.manager.current()
    revision = state.revision if state else 0
    response.headers.update(etag(revision))
    active = state.profiles.profiles[state.active] if state else None
    reported = dict(call.host.status())
    return StatusDocument(
        ready=state is not None,
        active_profile=active.name if active else None,
        active_mappings=dict(call.host.manager.mappings(state)) if state else {},
        profile_metadata=MetadataDocument.model_validate(active) if active else None,
        revision=revision,
        committed_at=state.committed_at if state else None,
        served_revision=call.host.worker.revision,
        embedded_groups=sorted(reported.pop("embedded_groups", ())),
        **(await _inside(call, revision, reported) if may_read_all(call.principal) else {}),
    )


async def _inside(call: Call, revision: int, reported: dict[str, Any]) -> Mapping[str, Any]:
    """Return the fields of the status that only administrators and viewers see."""
    workers = await call.host.manager.workers()
    verdict = await call.host.policies.verdict() if call.host.policies else None
    return {
        "decided_by": verdict and verdict.level,
        "why": verdict and verdict.why,
        "converged": converged(workers, revision),
        "workers": workers,
        "problems": [*reported.pop("problems", ()), *stalled(workers, but=call.host.worker.instance)],
        "warnings": list(reported.pop("warnings", ())),
        "host": reported,
    }


async def switch(write: Post, body: SwitchBody, response: Response) -> ReceiptDocument:
    """Let another profile answer, in every worker. `changed` is false when it already does."""
    options = write.options("switch", body.model_dump())
    return present(await write.call.host.manager.switch(body.profile, **options), response)


async def rollback(write: Post, response: Response, body: RollbackBody | None = None) -> ReceiptDocument:
    """Bring back the profile and all mappings of an earlier revision, as a new revision."""
    wanted = body or RollbackBody()
    options = write.options("rollback", wanted.model_dump())
    return present(await write.call.host.manager.rollback(wanted.to, **options), response)


async def reload(write: Post, response: Response, body: ReloadBody | None = None) -> ReceiptDocument:
    """Read the profile files again and put them in force, if all of them are valid."""
    options = write.options("reload", (body or ReloadBody()).model_dump())
    return present(await write.call.host.manager.reload(**options), response)


async def put_profile(
    write: Edit, name: str, body: ProfileBody, query: WarmQuery, response: Response
) -> ReceiptDocument:
    """Replace a profile, or add one: its file is written, and it takes effect like a switch."""
    document = file_document(name, body)
    options = write.options(f"put {name}", query.model_dump() | {"document": document})
    return present(await write.call.host.manager.edit_profile(name, document, **options), response)


async def put_task(
    write: Edit, name: str, task: str, body: MappingBody, query: WarmQuery, response: Response
) -> ReceiptDocument:
    """Let another model group serve one task of one profile."""
    options = write.options(f"put {name} {task}", query.model_dump() | {"group": body.group})
    manager = write.call.host.manager
    return present(await manager.edit_task(name, task, body.group, **options), response)


def file_document(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without its `name`, which `GET /{name}` shows and a file does not have.

    Raises `ProfilesInvalid` for a name that is another one than the path's.
    """
    if body.get("name", name) != name:
        fix = "Leave `name` out of the body, or send the name of the path."
        raise ProfilesInvalid([Problem("name_mismatch", "The body names another profile.", fix, path="name")])
    return {key: value for key, value in body.items() if key != "name"}


def _find(call: Call, state: ControlState, name: str) -> Profile:
    """Return a profile the caller may see.

    Raises `UnknownProfile`, and for a member `NotAllowed` whether or not the profile exists: the answer must
    not tell which names other teams use.
    """
    seen = call.visible(state)
    if name in seen:
        return seen[name]
    if not may_read_all(call.principal):
        raise NotAllowed("This key may not see a profile of that name.")
    raise UnknownProfile(name, list(seen))


def _document(profile: Profile) -> ProfileDocument:
    return ProfileDocument.model_validate(profile.to_document())


ENDPOINTS = (
    Endpoint("GET", "/profiles/list", list_profiles),
    Endpoint("GET", "/profiles/status", read_status),
    Endpoint("POST", "/profiles/switch", switch, WRITE),
    # After the words above, which no profile can have as its name.
    Endpoint("GET", "/profiles/{name}", read_profile, (*READ, 404)),
    Endpoint("PUT", "/profiles/{name}", put_profile, (*WRITE, 428)),
    Endpoint("PUT", "/profiles/{name}/tasks/{task}", put_task, (*WRITE, 428)),
    Endpoint("GET", "/schema", read_schema),
    Endpoint("GET", "/diff", compare_profiles, (*READ, 404)),
    Endpoint("POST", "/rollback", rollback, WRITE),
    Endpoint("POST", "/reload", reload, WRITE),
)
