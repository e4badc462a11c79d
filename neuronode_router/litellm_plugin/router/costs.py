"""Whether a model group costs anything, as LiteLLM sees it: what costs nothing is served whatever budgets are spent.

LiteLLM's door asks this of the name that was sent, by its alias map. For one request it is told another answer here. It
must not know why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from neuronode_router.litellm_plugin.router.bridge import RouterBridge

_told: ContextVar[bool | None] = ContextVar("neuronode_told_costless", default=None)


class ToldCostless(dict[str, bool]):
    """LiteLLM's memory of which names cost nothing. While somebody is told otherwise, it says that of every name."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return what is told, else what LiteLLM remembers."""
        told = _told.get()
        return super().get(name, default) if told is None else told


@contextmanager
def told(*, costs: bool) -> Iterator[None]:
    """Have LiteLLM take every name for one that costs, or for one that does not, within this request."""
    token = _told.set(not costs)
    try:
        yield
    finally:
        _told.reset(token)


class GroupCosts:
    """The costs of groups, over one router."""

    def __init__(self, bridge: RouterBridge) -> None:
        self._bridge = bridge

    def hold(self) -> bool:
        """Let the live router be told; return whether it can be."""
        return self._bridge.hold_costless(ToldCostless)

    def costs(self, group: str) -> bool:
        """Return whether a group costs anything, or nobody can tell. Never raises."""
        from litellm.proxy.auth.auth_checks import is_model_cost_zero

        return not is_model_cost_zero(model=group, llm_router=self._bridge.live())
