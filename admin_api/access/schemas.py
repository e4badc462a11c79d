"""The bodies of the routes about rights and bindings, as the OpenAPI page shows them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from admin_api.http.schemas import Body, Document, GatedOptions, Name
from neuronode_router.access import Role
from neuronode_router.domain.bindings import Beyond
from neuronode_router.domain.rules import PersonalDataRule


class CallerDocument(Document):
    """Whom the key belongs to."""

    name: str
    role: Role
    team: str | None
    profiles: list[str]
    """Profiles the caller may choose for one request; `*` is every one."""
    max_tier: str
    """The highest tier that `auto` uses for the caller."""
    manages: list[str]
    """Teams whose profile the caller may choose."""
    residency: list[str]
    """The places, one of which must be where the data of the caller's requests goes; empty: anywhere."""
    personal_data: PersonalDataRule
    """What becomes of the caller's requests that hold personal data, whatever profile decides."""


class AccessKeyDocument(CallerDocument):
    """One entry of the access file, without its hash."""

    tasks: list[str]
    """Names the key may send as `model`; none listed means all."""
    expires: float | None
    """Unix time in seconds."""


class AccessDocument(Document):
    """The caller, and the keys it may know of."""

    you: CallerDocument
    keys: list[AccessKeyDocument] | None
    """The access file's entries; null for members, and where LiteLLM's database keeps the keys."""


class BeyondBody(Body):
    """Another profile once a share of the budget is spent."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Of the budget, 0 to 1."""
    profile: Name
    monthly_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """The team's budget for a calendar month (UTC), where LiteLLM keeps none for it."""


class BindingBody(GatedOptions):
    """Which profile answers."""

    profile: Name | None = None
    """Null: the active one, until `beyond` says otherwise."""
    beyond: BeyondBody | None = None


class BindingDocument(Document):
    """One team or key, and the profile that answers it."""

    subject: str
    """`team:<id>` or `key:<hash or name>`."""
    profile: str | None
    beyond: Beyond | None


class BindingsDocument(Document):
    """The bindings that the caller may see."""

    revision: int
    active_profile: str
    bindings: list[BindingDocument]
