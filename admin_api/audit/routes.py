"""Every committed revision: as pages with a cursor, as an export, and as a stream of events.

It must not know how the log is kept, how workers converge, nor verify the log: `neuronode audit verify` does. An
event's id is its revision, so a client that reconnects with `Last-Event-ID` misses nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from admin_api.audit.schemas import MAX_PAGE, AuditEntryDocument, AuditFilter, AuditPageDocument
from admin_api.http.endpoints import READ, Endpoint, also
from admin_api.http.guard import KEEP_ALIVE_SECONDS, Call, Reader, StreamingReader
from neuronode_router.domain.audit import AuditEntry
from neuronode_router.errors import StoreUnavailable

logger = logging.getLogger(__name__)

NDJSON = "application/x-ndjson"
MAX_STREAM_SECONDS = 3600
"""A stream ends after an hour: a key which was taken away must not listen for ever. Clients reconnect."""
LOOK_UP_SECONDS = 1
"""How often a waiting stream looks whether the server is stopping."""
PAGE = 100


async def read_audit(
    call: Reader, query: Annotated[AuditFilter, Query()], accept: Annotated[str, Header()] = ""
) -> Response:
    """Who changed what, when and why: one entry for every revision."""
    if query.format == "ndjson" or NDJSON in accept:
        first = await _page(call, query, before=query.before, limit=MAX_PAGE)
        return StreamingResponse(_export(call, query, first), media_type=NDJSON)
    found = await _page(
        call, query, before=query.before, limit=query.limit + 1
    )  # whether there is a next page
    entries = found[: query.limit]
    page = AuditPageDocument(entries=entries, next=entries[-1].revision if len(found) > query.limit else None)
    return Response(page.model_dump_json(), media_type="application/json")


async def _export(call: Call, query: AuditFilter, page: tuple[AuditEntry, ...]) -> AsyncIterator[str]:
    # A store that fails in the middle breaks the connection: a shortened export must not look like a whole one.
    while page:
        yield "".join(_json(entry) + "\n" for entry in page)
        page = await _page(call, query, before=page[-1].revision, limit=MAX_PAGE)


async def _page(call: Call, query: AuditFilter, *, before: int | None, limit: int) -> tuple[AuditEntry, ...]:
    return await call.host.manager.audit(
        **query.model_dump(exclude={"before", "limit", "format"}), before=before, limit=limit
    )


async def stream_events(
    call: StreamingReader,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=2**53, description="The last revision seen: what came after it is sent first."),
    ] = None,
) -> Response:
    """Every committed revision as an event `revision`; the data is its audit entry."""
    state = await call.host.manager.current()
    committed = state.revision if state else 0
    # A newcomer, or a client of a store that was replaced, starts with the revision in force.
    after = committed - 1 if last_event_id is None or last_event_id > committed else last_event_id
    stopping = anyio.Event()
    return EventSourceResponse(
        _events(call, after, stopping),
        ping=KEEP_ALIVE_SECONDS,
        sep="\n",
        shutdown_event=stopping,
        shutdown_grace_period=2 * LOOK_UP_SECONDS,
    )


async def _events(call: Call, sent: int, stopping: anyio.Event) -> AsyncIterator[ServerSentEvent]:
    ends_at = time.monotonic() + MAX_STREAM_SECONDS
    while not stopping.is_set() and (left := ends_at - time.monotonic()) > 0:
        revision = await call.host.worker.wait_beyond(sent, min(left, LOOK_UP_SECONDS))
        try:
            async for entry in _entries(call, after=sent, until=revision):
                yield ServerSentEvent(id=str(entry.revision), event="revision", data=_json(entry))
        except StoreUnavailable as error:
            logger.warning("neuronode event stream ended: %s", error.message)
            return  # the client reconnects with its last id, and misses nothing
        sent = max(sent, revision)


async def _entries(call: Call, *, after: int, until: int) -> AsyncIterator[AuditEntry]:
    """Yield the audit entries of the revisions after `after` up to `until`, oldest first."""
    for start in range(after, until, PAGE):
        end = min(start + PAGE, until)
        page = await call.host.manager.audit(after=start, before=end + 1, limit=PAGE)
        for entry in reversed(page):
            yield entry


def _json(entry: AuditEntry) -> str:
    return AuditEntryDocument(entry).model_dump_json()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/audit",
        read_audit,
        success=also(NDJSON, "A page, or every matching entry as one line of JSON.", AuditPageDocument),
    ),
    Endpoint(
        "GET",
        "/events",
        stream_events,
        (*READ, 429),
        also("text/event-stream", "Events, without end."),
    ),
)
