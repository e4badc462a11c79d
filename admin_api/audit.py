"""The audit log over HTTP: pages with a cursor, and a streamed export as newline-delimited JSON.

It must not know how the log is kept, nor verify it: `neuronode audit verify` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from admin_api.documents import AuditEntryDocument, AuditPageDocument, storable
from admin_api.edge import Call, Reader
from neuronode_router.domain import Action, AuditEntry

NDJSON = "application/x-ndjson"
MAX_PAGE = 500

Text = Annotated[str, Field(max_length=256), AfterValidator(storable)]


class AuditFilter(BaseModel):
    """Which entries, newest first."""

    model_config = ConfigDict(extra="forbid")

    before: Annotated[int, Field(ge=1, le=2**53)] | None = Field(
        default=None, description="Cursor: only older revisions than this."
    )
    after: Annotated[int, Field(ge=0, le=2**53)] | None = Field(
        default=None, description="Only newer revisions than this."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = Field(default=50, description="Entries of one page.")
    actor: Text | None = Field(default=None, description="Only what this actor did.")
    action: Action | None = Field(default=None, description="Only this kind of act.")
    profile: Text | None = Field(default=None, description="Only acts from or to this profile.")
    since: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="Not before this Unix time, in seconds."
    )
    until: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="Before this Unix time, in seconds."
    )
    format: Literal["json", "ndjson"] = Field(
        default="json", description="`ndjson` streams every matching entry, without pages."
    )


async def read_audit(
    call: Reader, query: Annotated[AuditFilter, Query()], accept: Annotated[str, Header()] = ""
) -> Response:
    """Who changed what, when and why: one entry for every revision."""
    if query.format == "ndjson" or NDJSON in accept:
        first = await _page(call, query, before=query.before, limit=MAX_PAGE)
        return StreamingResponse(_export(call, query, first), media_type=NDJSON)
    entries = await _page(call, query, before=query.before, limit=query.limit)
    page = AuditPageDocument(
        entries=[AuditEntryDocument.model_validate(entry) for entry in entries],
        next=entries[-1].revision if len(entries) == query.limit else None,
    )
    return Response(page.model_dump_json(), media_type="application/json")


async def _export(call: Call, query: AuditFilter, page: tuple[AuditEntry, ...]) -> AsyncIterator[str]:
    # A store that fails in the middle breaks the connection: a shortened export must not look like a whole one.
    while page:
        yield "".join(AuditEntryDocument.model_validate(entry).model_dump_json() + "\n" for entry in page)
        page = await _page(call, query, before=page[-1].revision, limit=MAX_PAGE)


async def _page(call: Call, query: AuditFilter, *, before: int | None, limit: int) -> tuple[AuditEntry, ...]:
    return await call.host.manager.audit(
        **query.model_dump(exclude={"before", "limit", "format"}), before=before, limit=limit
    )
