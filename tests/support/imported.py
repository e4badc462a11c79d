"""What forks share: LiteLLM with whatever else its start imports, as it is once it has answered a first request.

It must not know who forks. Importing it takes 10 s of a core.
"""

from __future__ import annotations

import gc
from importlib import import_module

NAMES = (
    "litellm.proxy.proxy_server",
    "litellm.proxy.proxy_cli",
    "litellm.proxy.pass_through_endpoints.llm_passthrough_endpoints",
    "neuronode_router.plugin",
    "admin_api.host",
    "sqlalchemy",
    "alembic",
)

gc.disable()  # all of it stays: a collector would look at it again and again
for name in NAMES:
    import_module(name)
app = import_module(NAMES[0]).app
# FastAPI makes most routes when it looks for the first time whether one of them is asked: 1.2 s of a core.
for route in app.router.routes:
    route.matches({"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": [], "app": app})
gc.freeze()
