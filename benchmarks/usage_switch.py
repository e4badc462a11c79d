"""A LiteLLM callback for one benchmark: a route that takes the counting of usage out of a running proxy, and back in.

It must not be loaded anywhere else.
"""

from __future__ import annotations

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from benchmarks.usage import ROUTE
from neuronode_router.litellm_plugin import process
from neuronode_router.litellm_plugin.runtime import Runtime

switch = CustomLogger()

_ALL: property = vars(Runtime)["callbacks"]


@proxy_server.app.post(ROUTE + "/{state}", include_in_schema=False)
async def turn(state: str) -> bool:
    """Count usage when `state` is "on", else do not; return whether LiteLLM knows our callback."""
    feed, manager = process.runtime().usage.feed, litellm.logging_callback_manager
    if state == "on":
        Runtime.callbacks = _ALL  # type: ignore[method-assign, assignment]
        manager.add_litellm_callback(feed)
    else:
        # The guard of the runtime would put it back.
        others = tuple(callback for callback in process.runtime().callbacks if callback is not feed)
        Runtime.callbacks = property(lambda _: others)  # type: ignore[method-assign, assignment]
        manager.remove_callback_from_all_lists(feed)
    return feed in litellm.callbacks
