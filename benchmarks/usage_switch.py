"""A LiteLLM callback for one benchmark: a route that takes the counting of usage out of a running proxy, and back in.

It must not be loaded anywhere else.
"""

from __future__ import annotations

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from benchmarks.usage import ROUTE
from neuronode_router.litellm_plugin import process
from neuronode_router.litellm_plugin.seams import Part

switch = CustomLogger()


async def turn(state: str) -> bool:
    """Count usage when `state` is "on", else do not; return whether LiteLLM knows our callback."""
    runtime, manager = process.runtime(), litellm.logging_callback_manager
    hooks, off = runtime.usage.hooks, dict(runtime.off)
    off.pop(Part.USAGE, None)
    told = [runtime.admission.answer_headers]
    if state == "on":
        told.append(hooks.begins)
        manager.add_litellm_callback(hooks)
    else:
        off[Part.USAGE] = ()  # else the runtime would put it back
        manager.remove_callback_from_all_lists(hooks)
    runtime.off, runtime.answer_headers._told = off, tuple(told)
    return hooks in litellm.callbacks


proxy_server.app.add_api_route(ROUTE + "/{state}", turn, methods=["POST"], include_in_schema=False)
