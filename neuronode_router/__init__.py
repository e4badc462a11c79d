"""Runtime control of which model answers, as a plugin of the LiteLLM proxy.

Importing this package must stay cheap: it must not import LiteLLM, FastAPI or SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuronode_router.version import VERSION

if TYPE_CHECKING:
    from neuronode_router.litellm_plugin.router.router_hooks import Attached
    from neuronode_router.model_router import ModelRouter as ModelRouter

__version__ = VERSION


def attach(router: Any, *, redis_url: str | None = None) -> Attached:
    """Measure the attempts of a `litellm.Router` and choose its deployments by them, until `await attached.close()`.

    For callers of LiteLLM's SDK: on the proxy the plugin does it. With `redis_url` all processes that share it share
    their statistics. Raises `RuntimeError` outside an event loop, and `RouterTaken` for a router that is
    attached to already.
    """
    from neuronode_router.litellm_plugin.router.router_hooks import Attached

    return Attached(router, redis_url=redis_url)


def __getattr__(name: str) -> Any:
    """Import `ModelRouter` when it is asked for: httpx and the tasks cost more than this package may."""
    if name == "ModelRouter":
        from neuronode_router.model_router import ModelRouter

        return ModelRouter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
