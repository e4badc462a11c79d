"""Routes that change what is in force: switch, rollback, reload, edits.

They must hold no decisions: each calls one method of the ProfileManager and presents its receipt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from admin_api.documents import (
    EditOptions,
    ProfileBody,
    ReceiptDocument,
    ReloadBody,
    RollbackBody,
    SwitchBody,
    TaskBody,
    ValidateBody,
)
from admin_api.edge import Call, Writer
from admin_api.preconditions import IdempotencyKey, IfMatch, expected_revision, require_if_match
from admin_api.problems import InvalidRequestError
from admin_api.reads import etag
from neuronode_router.control.change import Options
from neuronode_router.control.idempotency import Idempotency
from neuronode_router.domain import Actor, Receipt
from neuronode_router.errors import Problem, ProfilesInvalid

REPLAYED_HEADER = "Idempotency-Replayed"


@dataclass(frozen=True, slots=True)
class Write:
    """A write by an administrator, with its preconditions."""

    call: Call
    if_match: str | None
    idempotency_key: str | None

    def options(self, operation: str, given: Mapping[str, Any]) -> Options:
        """Return the arguments that every write of the ProfileManager takes. Raises `InvalidRequestError`."""
        key = self.idempotency_key
        return {
            "actor": Actor(self.call.principal.name),
            "if_match": expected_revision(self.if_match),
            "reason": given["reason"],
            "wait": given["wait"],
            "dry_run": given["dry_run"],
            "force": given.get("force", False),
            "idempotency": None if key is None else Idempotency(key, _fingerprint(operation, given)),
        }


def _write(call: Writer, if_match: IfMatch = None, idempotency_key: IdempotencyKey = None) -> Write:
    return Write(call, if_match, idempotency_key)


def _edit(write: Annotated[Write, Depends(_write)]) -> Write:
    require_if_match(write.if_match)
    return write


def _post(request: Request, write: Annotated[Write, Depends(_write)]) -> Write:
    # A `?dry_run=true` that was ignored would switch for real.
    fix = "Send options as fields of the JSON body."
    if unknown := [
        Problem("query_unknown", "Not known here.", fix, path=f"query.{n}") for n in request.query_params
    ]:
        raise InvalidRequestError(unknown)
    return write


Post = Annotated[Write, Depends(_post)]
"""A write whose options are in its body."""
Edit = Annotated[Write, Depends(_edit)]
"""A write that must say which state it is based on; its options are in the query."""
EditQuery = Annotated[EditOptions, Query()]


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
    write: Edit, name: str, body: ProfileBody, query: EditQuery, response: Response
) -> ReceiptDocument:
    """Replace a profile, or add one: its file is written, and it takes effect like a switch."""
    document = _document(name, body)
    options = write.options(f"put {name}", query.model_dump() | {"document": document})
    return present(await write.call.host.manager.edit_profile(name, document, **options), response)


async def put_task(
    write: Edit, name: str, task: str, body: TaskBody, query: EditQuery, response: Response
) -> ReceiptDocument:
    """Let another model group serve one task of one profile."""
    options = write.options(f"put {name} {task}", query.model_dump() | {"group": body.group})
    manager = write.call.host.manager
    return present(await manager.edit_task(name, task, body.group, **options), response)


async def check_document(call: Call, body: ValidateBody) -> tuple[Problem, ...]:
    """Return what is wrong with a submitted profile. Nothing is changed."""
    try:
        await call.host.manager.edit_profile(
            body.name, _document(body.name, body.profile), actor=Actor(call.principal.name), dry_run=True
        )
    except ProfilesInvalid as error:
        return error.problems
    return ()


def _document(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without its `name`, which `GET /{name}` shows and a file does not have.

    Raises `ProfilesInvalid` for a name that is another one than the path's.
    """
    if body.get("name", name) != name:
        fix = "Leave `name` out of the body, or send the name of the path."
        raise ProfilesInvalid([Problem("name_mismatch", "The body names another profile.", fix, path="name")])
    return {key: value for key, value in body.items() if key != "name"}


def _fingerprint(operation: str, given: Mapping[str, Any]) -> str:
    """Return what tells two requests with one Idempotency-Key apart."""
    text = json.dumps([operation, given], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def present(receipt: Receipt, response: Response) -> ReceiptDocument:
    """Return a receipt as it is answered, and set the headers that go with it."""
    response.headers.update(etag(receipt.revision))
    if receipt.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return ReceiptDocument.model_validate(receipt)
