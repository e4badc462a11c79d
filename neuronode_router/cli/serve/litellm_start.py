"""The words by which LiteLLM is told, at its start, what we need of it.

It must not know who starts it: `serve`, a compose file, or the operator.
"""

from __future__ import annotations

HOOKS_VARIABLE = "LITELLM_WORKER_STARTUP_HOOKS"
PLUGIN_HOOK = "neuronode_router.plugin:start"
WORKER_HEALTH_SECONDS = 120
"""While a worker imports LiteLLM it cannot answer; uvicorn's default of 5 s would kill it again and again."""
