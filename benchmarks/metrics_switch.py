"""A LiteLLM callback for one benchmark: a route that takes the metrics out of a running proxy, and back in.

It must not be loaded anywhere else.
"""

from __future__ import annotations

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from benchmarks.metrics import ROUTE
from neuronode_router.litellm_plugin import process
from neuronode_router.metrics.metering import Metering

switch = CustomLogger()

_COUNTING = Metering._ended


async def turn(state: str) -> bool:
    """Count requests when `state` is "on", else do not; return whether they are counted."""
    Metering._ended = _COUNTING if state == "on" else lambda *_: None  # type: ignore[method-assign]
    return type(process.runtime().metering)._ended is _COUNTING


proxy_server.app.add_api_route(ROUTE + "/{state}", turn, methods=["POST"], include_in_schema=False)
