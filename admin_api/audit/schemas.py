"""The query and the page of the audit log, as the OpenAPI page shows them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from admin_api.http.schemas import Asked, Document, WholeDocument, storable
from neuronode_router.domain.audit import Action, AuditEntry

MAX_PAGE = 500

Text = Annotated[str, Field(max_length=256), AfterValidator(storable)]
Moment = Annotated[float, Field(allow_inf_nan=False)]


class AuditFilter(Asked):
    """Which entries, newest first."""

    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """Cursor: only older revisions than this."""
    after: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Only newer revisions than this."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Entries of one page."""
    actor: Text | None = None
    """Only what this actor did."""
    action: Action | None = None
    """Only this kind of act."""
    profile: Text | None = None
    """Only acts from or to this profile, and those that changed what it says."""
    since: Moment | None = None
    """Not before this Unix time, in seconds."""
    until: Moment | None = None
    """Before this Unix time, in seconds."""
    format: Literal["json", "ndjson"] = "json"
    """`ndjson` streams every matching entry, without pages."""


class AuditEntryDocument(WholeDocument[AuditEntry]):
    """One committed revision, with all that its `hash` covers."""


class AuditPageDocument(Document):
    """A page of the audit log, newest first."""

    entries: tuple[AuditEntry, ...]
    next: int | None
    """Pass it as `before` for the next page; null on the last one."""
