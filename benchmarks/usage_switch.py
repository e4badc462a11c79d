"""A LiteLLM callback for one benchmark: a route that takes the counting of usage out of a running proxy, and back in.

It must not be loaded anywhere else.
"""

from __future__ import annotations

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from benchmarks.usage import ROUTE
from neuronode_router.litellm_plugin import process

switch = CustomLogger()


async def turn(state: str) -> bool:
    """Count usage when `state` is "on", else do not; return whether LiteLLM knows our callback."""
    runtime = process.runtime()
    hooks, first = runtime.usage.hooks, runtime.callbacks.both[0]
    parts = [part for part in first.parts if part is not hooks]
    told = [runtime.admission.answer_headers]
    if state == "on":
        told.append(hooks.begins)
        parts.append(hooks)
    # In place: LiteLLM keeps the callback itself in several lists.
    first.__init__(parts)  # type: ignore[misc]
    runtime.answer_headers._told = tuple(told)
    return hooks in first.parts and first in litellm.callbacks


proxy_server.app.add_api_route(ROUTE + "/{state}", turn, methods=["POST"], include_in_schema=False)
