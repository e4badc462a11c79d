"""Before each attempt: asks an Ollama for the window that the request needs, where its usual one would cut it.

It must not know why the deployment was chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.routing.conversation import read_needs
from neuronode_router.routing.fit import Needs
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.pick import Candidate


class Widening(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """LiteLLM's callback for each attempt. `known` returns what is known of a deployment, None of one nobody knows."""

    def __init__(self, known: Callable[[str], Candidate | None], *, failures: Failures) -> None:
        super().__init__()
        self._known = known
        self._harmless = failures.harmless("asking for a larger window")

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: object
    ) -> dict[str, Any] | None:
        """Return the attempt with a larger window, None where it needs none. Never raises."""
        with self._harmless:
            found = self._known(str((kwargs.get("model_info") or {}).get("id")))
            if found is not None and found.status.deployment.num_ctx is not None:
                window = widened(found.status.deployment, read_needs(kwargs), asked=kwargs.get("num_ctx"))
                return None if window is None else {**kwargs, "num_ctx": window}
        return None


def widened(deployment: Deployment, needs: Needs, *, asked: object = None) -> int | None:
    """Return the window to ask an Ollama for, None where the `asked` one, without one that it gives unasked, is enough.

    It is the one that is loaded, or the next power of two: an Ollama loads weights anew for each window.
    """
    if deployment.num_ctx is None:
        return None
    given = asked if type(asked) is int and asked > 0 else deployment.num_ctx
    wanted = max(needs.least(deployment), needs.tokens + needs.answer)
    if wanted <= given:
        return None
    window = max(1 << (wanted - 1).bit_length(), deployment.loaded_ctx or 0)
    return min(window, deployment.context_window or window)
