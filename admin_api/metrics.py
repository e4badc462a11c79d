"""The route that Prometheus scrapes.

It must not know what is counted.
"""

from __future__ import annotations

from fastapi import Response

from admin_api.edge import Reader
from neuronode_router.errors import NotReady
from neuronode_router.metrics import CONTENT_TYPE

MEDIA_TYPE = CONTENT_TYPE.partition(";")[0]


async def read_metrics(call: Reader) -> Response:
    """The metrics of all workers of this host, in Prometheus' text format."""
    if call.host.metrics is None:
        raise NotReady("Nothing is measured here yet.", fix="Repeat when the proxy has started.")
    return Response(await call.host.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})
