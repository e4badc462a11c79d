"""Who may do what: the caller's own rights and, for administrators and viewers, the keys of the access file.

It must not know keys or their hashes: only what an entry allows is shown.
"""

from __future__ import annotations

from pydantic import Field

from admin_api.documents import Document
from admin_api.edge import Caller
from neuronode_router.access import Role, may_read_all


class CallerDocument(Document):
    """Whom the key belongs to."""

    name: str
    role: Role
    team: str | None
    profiles: list[str] = Field(
        description="Profiles the caller may choose for one request; `*` is every one."
    )
    max_tier: str = Field(description="The highest tier that `auto` uses for the caller.")
    manages: list[str] = Field(description="Teams whose profile the caller may choose.")


class AccessKeyDocument(CallerDocument):
    """One entry of the access file, without its hash."""

    tasks: list[str] = Field(description="Names the key may send as `model`; none listed means all.")
    expires: float | None = Field(description="Unix time in seconds.")


class AccessDocument(Document):
    """The caller, and the keys it may know of."""

    you: CallerDocument
    keys: list[AccessKeyDocument] | None = Field(
        description="The access file's entries; null for members, and where LiteLLM's database keeps the keys."
    )


async def read_access(call: Caller) -> AccessDocument:
    """What the caller's key allows, and for administrators and viewers which keys the access file has."""
    dashboard = call.host.dashboard
    keys = dashboard.keys() if dashboard and may_read_all(call.principal) else None
    return AccessDocument(
        you=CallerDocument.model_validate(call.principal),
        keys=None if keys is None else [AccessKeyDocument.model_validate(key) for key in keys],
    )
