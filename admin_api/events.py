"""The event stream: one server-sent event for every committed revision, as soon as this worker serves it.

It must not know how workers converge. An event's id is its revision, so a client that reconnects with
`Last-Event-ID` misses nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from admin_api.documents import AuditEntryDocument
from admin_api.edge import Call, Reader
from neuronode_router.domain import AuditEntry
from neuronode_router.errors import StoreUnavailable

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15
MAX_STREAM_SECONDS = 3600
"""A stream ends after an hour: a key which was taken away must not listen for ever. Clients reconnect."""
LOOK_UP_SECONDS = 1
"""How often a waiting stream looks whether the server is stopping."""
PAGE = 100


async def stream_events(
    call: Reader,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=2**53, description="The last revision seen: what came after it is sent first."),
    ] = None,
) -> Response:
    """Every committed revision as an event `revision`; the data is its audit entry."""
    call.limits.require_free_stream(call.principal)
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
    with call.limits.open_stream(call.principal):
        while not stopping.is_set() and (left := ends_at - time.monotonic()) > 0:
            revision = await call.host.worker.wait_beyond(sent, min(left, LOOK_UP_SECONDS))
            try:
                async for entry in _entries(call, after=sent, until=revision):
                    yield _event(entry)
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


def _event(entry: AuditEntry) -> ServerSentEvent:
    document = AuditEntryDocument.model_validate(entry)
    return ServerSentEvent(id=str(entry.revision), event="revision", data=document.model_dump_json())
