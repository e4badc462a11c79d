"""Routes for bindings: which profile answers a team or key while others follow the active one.

They must hold no decisions: who may bind whom is a rule of `access`, the rest is the ProfileManager's.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Response
from pydantic import Field

from admin_api.documents import Body, Document, EditOptions, GatedOptions, Name, ReceiptDocument
from admin_api.edge import Call, LimitedCaller
from admin_api.edge import Caller as AnyCaller
from admin_api.preconditions import IdempotencyKey, IfMatch
from admin_api.problems import InvalidRequestError
from admin_api.reads import etag
from admin_api.writes import Write, present
from neuronode_router.access import may_read_all, require_may_bind, require_writer
from neuronode_router.domain import SUBJECT_PATTERN, Beyond, Binding
from neuronode_router.errors import NotReady, Problem

Kind = Annotated[Literal["team", "key"], Path(description="What is bound.")]
Subject = Annotated[str, Path(min_length=1, max_length=128, description="A team id, or the name of a key.")]


class BeyondBody(Body):
    """Another profile once a share of the budget is spent."""

    share: Annotated[float, Field(gt=0, le=1, description="Of the budget, 0 to 1.")]
    profile: Name
    monthly_usd: Annotated[float | None, Field(gt=0, le=1e9)] = Field(
        default=None,
        description="The team's budget for a calendar month (UTC), where LiteLLM keeps none for it.",
    )


class BindingBody(GatedOptions):
    """Which profile answers."""

    profile: Name | None = Field(
        default=None, description="Null: the active one, until `beyond` says otherwise."
    )
    beyond: BeyondBody | None = None


class BeyondDocument(Document):
    """Another profile once a share of the budget is spent."""

    share: float
    profile: str
    monthly_usd: float | None


class BindingDocument(Document):
    """One team or key, and the profile that answers it."""

    subject: str = Field(description="`team:<id>` or `key:<name>`.")
    profile: str | None
    beyond: BeyondDocument | None


class BindingsDocument(Document):
    """The bindings that the caller may see."""

    revision: int
    active_profile: str
    bindings: list[BindingDocument]


def _write(call: LimitedCaller, if_match: IfMatch = None, idempotency_key: IdempotencyKey = None) -> Write:
    return Write(call, if_match, idempotency_key)


Change = Annotated[Write, Depends(_write)]


async def list_bindings(call: AnyCaller, response: Response) -> BindingsDocument:
    """Who is bound to which profile. A member sees its own key, its team, and the teams it manages."""
    state = await call.host.manager.current()
    if state is None:
        raise NotReady("No profiles have been committed yet.")
    response.headers.update(etag(state.revision))
    return BindingsDocument(
        revision=state.revision,
        active_profile=state.active,
        bindings=[
            BindingDocument.model_validate({"subject": subject, **asdict(binding)})
            for subject, binding in sorted(state.bindings.items())
            if _sees(call, subject)
        ],
    )


async def put_binding(
    write: Change, kind: Kind, subject: Subject, body: BindingBody, response: Response
) -> ReceiptDocument:
    """Let a profile answer a team or key, in every worker. A team's own administrators may, within `allowed_teams`."""
    beyond = Beyond(**body.beyond.model_dump()) if body.beyond else None
    if body.profile is None and beyond is None:
        fix = "Name a profile, or send DELETE to end the binding."
        raise InvalidRequestError(
            [Problem("empty_binding", "The binding leads nowhere.", fix, path="body.profile")]
        )
    if beyond is not None and beyond.monthly_usd is not None and kind == "key":
        fix = "Leave it out: for a key only the budget that LiteLLM keeps counts."
        path = "body.beyond.monthly_usd"
        raise InvalidRequestError([Problem("key_budget", "Our sums are kept by team.", fix, path=path)])
    if body.force:
        require_writer(write.call.principal)
    name, binding = _subject(kind, subject), Binding(body.profile, beyond)
    await _require(write.call, name, binding)
    options = write.options(f"bind {name}", body.model_dump())
    return present(await write.call.host.manager.bind(name, binding, **options), response)


async def delete_binding(
    write: Change, kind: Kind, subject: Subject, query: Annotated[EditOptions, Query()], response: Response
) -> ReceiptDocument:
    """Let a team or key follow the active profile again. `changed` is false when it already does."""
    name = _subject(kind, subject)
    await _require(write.call, name, None)
    options = write.options(f"unbind {name}", query.model_dump())
    return present(await write.call.host.manager.bind(name, None, **options), response)


def _subject(kind: str, name: str) -> str:
    subject = f"{kind}:{name}"
    if not SUBJECT_PATTERN.fullmatch(subject):
        fix = "Use 1 to 128 printable ASCII characters without spaces."
        raise InvalidRequestError(
            [Problem("bad_subject", "No such name can be bound.", fix, path="path.subject")]
        )
    return subject


async def _require(call: Call, subject: str, binding: Binding | None) -> None:
    state = await call.host.manager.current()
    known = state.profiles.profiles if state else {}
    require_may_bind(call.principal, subject, binding, known)


def _sees(call: Call, subject: str) -> bool:
    principal = call.principal
    own = {f"key:{principal.name}", f"team:{principal.team}", *(f"team:{team}" for team in principal.manages)}
    return may_read_all(principal) or subject in own
