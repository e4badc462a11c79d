"""Who may do what, and which profile answers a team or key while others follow the active one.

It holds no decisions: who may bind whom is a rule of `access`, the rest is the ProfileManager's. Neither keys nor
their hashes are shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Path, Response

from admin_api.access.schemas import (
    AccessDocument,
    AccessKeyDocument,
    BindingBody,
    BindingDocument,
    BindingsDocument,
    CallerDocument,
)
from admin_api.http.endpoints import WRITE, Endpoint
from admin_api.http.guard import Call, Caller, Committed
from admin_api.http.problems import InvalidRequestError
from admin_api.http.writes import AnybodysWrite, QueryOptions, ReceiptDocument, present
from neuronode_router.access import key_id, may_read_all, require_may_bind, require_writer
from neuronode_router.control.change import ChangeRule
from neuronode_router.domain.bindings import SUBJECT_PATTERN, Beyond, Binding, subjects_of
from neuronode_router.domain.state import ControlState

Kind = Annotated[Literal["team", "key"], Path(description="What is bound.")]
Subject = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        description="A team id, or a key: its hash as LiteLLM shows it (`token`), or its name in the access file.",
    ),
]

UNKNOWN_KEY = "Nobody knows a key of this name or hash: the binding answers nobody until there is one."


async def read_access(call: Caller) -> AccessDocument:
    """What the caller's key allows, and for administrators and viewers which keys the access file has."""
    file = call.host.access_file if may_read_all(call.principal) else None
    return AccessDocument(
        you=CallerDocument.of(call.principal),
        keys=None if file is None else [AccessKeyDocument.of(key) for key in file.entries()],
    )


async def list_bindings(call: Caller, state: Committed) -> BindingsDocument:
    """Who is bound to which profile. A member sees its own key, its team, and the teams it manages."""
    return BindingsDocument(
        revision=state.revision,
        active_profile=state.active,
        bindings=[
            BindingDocument.of(binding, subject=subject)
            for subject, binding in sorted(state.bindings.items())
            if _sees(call, subject)
        ],
    )


async def put_binding(
    write: AnybodysWrite, kind: Kind, subject: Subject, body: BindingBody, response: Response
) -> ReceiptDocument:
    """Let a profile answer a team or key, in every worker. A team's own administrators may, within `allowed_teams`."""
    beyond = Beyond(**body.beyond.model_dump()) if body.beyond else None
    if body.profile is None and beyond is None:
        fix = "Name a profile, or send DELETE to end the binding."
        raise InvalidRequestError.at("body.profile", "empty_binding", "The binding leads nowhere.", fix)
    if beyond is not None and beyond.monthly_usd is not None and kind == "key":
        fix = "Leave it out: for a key only the budget that LiteLLM keeps counts."
        path = "body.beyond.monthly_usd"
        raise InvalidRequestError.at(path, "key_budget", "Our sums are kept by team.", fix)
    if beyond is not None and beyond.profile == body.profile:
        fix = "Name another profile, or leave the rule out."
        message = "The rule leads to the profile that answers anyway."
        raise InvalidRequestError.at("body.beyond.profile", "idle_rule", message, fix)
    if body.force:
        require_writer(write.call.principal)
    name, binding = _subject(kind, subject), Binding(body.profile, beyond)
    may = await _allowed(write.call, name, binding)
    options = write.options(f"bind {name}", body.model_dump())
    receipt = await write.call.host.manager.bind(name, binding, may=may, **options)
    if kind == "key" and await _is_unknown(write.call, name):
        receipt = replace(receipt, warnings=(*receipt.warnings, UNKNOWN_KEY))
    return present(receipt, response)


async def delete_binding(
    write: AnybodysWrite, kind: Kind, subject: Subject, query: QueryOptions, response: Response
) -> ReceiptDocument:
    """Let a team or key follow the active profile again. `changed` is false when it already does."""
    name = _subject(kind, subject)
    may = await _allowed(write.call, name, None)
    options = write.options(f"unbind {name}", query.model_dump())
    return present(await write.call.host.manager.bind(name, None, may=may, **options), response)


async def _is_unknown(call: Call, subject: str) -> bool:
    knows = call.host.knows_key
    return knows is not None and await knows(subject.removeprefix("key:")) is False


def _subject(kind: str, name: str) -> str:
    subject = f"{kind}:{key_id(name) if kind == 'key' else name}"
    if not SUBJECT_PATTERN.fullmatch(subject):
        fix = "Use 1 to 128 printable ASCII characters without spaces."
        raise InvalidRequestError.at("path.subject", "bad_subject", "No such name can be bound.", fix)
    return subject


async def _allowed(call: Call, subject: str, binding: Binding | None) -> ChangeRule:
    """Return the rule for the state that will be changed, which the one in force has passed. Raises `NotAllowed`."""

    def may(state: ControlState) -> None:
        now, profiles = state.bindings.get(subject), state.profiles.profiles
        require_may_bind(call.principal, subject, binding, now=now, profiles=profiles)

    may(await call.committed())
    return may


def _sees(call: Call, subject: str) -> bool:
    principal = call.principal
    own = subjects_of(principal.identity, principal.team)
    managed = (f"team:{team}" for team in principal.manages)
    return may_read_all(principal) or subject in own or subject in managed


ENDPOINTS = (
    Endpoint("GET", "/access", read_access),
    Endpoint("GET", "/bindings", list_bindings),
    Endpoint("PUT", "/bindings/{kind}/{subject}", put_binding, WRITE),
    Endpoint("DELETE", "/bindings/{kind}/{subject}", delete_binding, WRITE),
)
