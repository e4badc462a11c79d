"""Shadow comparisons: begun, looked at, and ended.

They hold no decisions: each calls one method of the comparisons. Beginning and end are changes like a switch, with
their receipts; nobody is answered differently for them.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from admin_api.http.endpoints import READ, WRITE, Endpoint
from admin_api.http.guard import Call, Reader, started
from admin_api.http.schemas import WriteOptions
from admin_api.http.writes import Post, ReceiptDocument, begun, present
from admin_api.shadows.schemas import (
    SampledShadowDocument,
    ShadowBody,
    ShadowListDocument,
    ShadowPaging,
    shown,
    shown_report,
    shown_samples,
)
from neuronode_router.access import Role
from neuronode_router.shadows.acts import Shadows

LACKING = "Nothing can be compared here yet."


async def start_shadow(write: Post, body: ShadowBody, response: Response) -> ReceiptDocument:
    """Let a profile answer a share of the requests once more in the background, and compare. One runs at a time.

    Texts of requests go to that profile's model groups, and to the judge's. The header Location of the answer names it.
    """
    options = write.options("start shadow", body.model_dump(mode="json"))
    shadows = _shadows(write.call)
    receipt = await shadows.start(body.plan(), **options)
    return await begun(receipt, response, call=write.call, name_at=shadows.of)


async def list_shadows(call: Reader, query: Annotated[ShadowPaging, Query()]) -> ShadowListDocument:
    """The newest comparisons, and the one that runs with what was found out so far."""
    shadows = _shadows(call)
    running = await shadows.running()
    return ShadowListDocument(
        running=None if running is None else shown_report(running),
        shadows=[shown(one) for one in await shadows.page(query.limit)],
    )


async def read_shadow(call: Reader, name: str) -> SampledShadowDocument:
    """One comparison: how often the other profile would have agreed, what it would have cost, and how long it took."""
    report = await _shadows(call).read(name)
    return shown_samples(report, samples=call.principal.role is Role.ADMIN)


async def stop_shadow(
    write: Post, name: str, response: Response, body: WriteOptions | None = None
) -> ReceiptDocument:
    """End a comparison. What was found out stays."""
    options = write.options(f"stop shadow {name}", (body or WriteOptions()).model_dump())
    return present(await _shadows(write.call).stop(name, **options), response)


def _shadows(call: Call) -> Shadows:
    return started(call.host.shadows, LACKING)


ENDPOINTS = (
    Endpoint("POST", "/shadows", start_shadow, WRITE),
    Endpoint("GET", "/shadows", list_shadows),
    Endpoint("GET", "/shadows/{name}", read_shadow, (*READ, 404)),
    Endpoint("POST", "/shadows/{name}/stop", stop_shadow, WRITE),
)
