"""Automatic routing in a proxy worker without LiteLLM: the real monitor, statistics, classifier and decisions.

It must not know what is tested with it. Addresses and keys of its deployments are canaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from admin_api.host import RoutingParts
from neuronode_router.auto.router import AutoRouter
from neuronode_router.classifier import shipped
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from neuronode_router.stats.memory import MemoryStatistics


class Routing:
    """The parts of one worker. `state` is what its worker serves, None before the first revision."""

    def __init__(
        self, groups: Iterable[str], canary: str, *, state: Callable[[], ControlState | None]
    ) -> None:
        self.model_list = [deployment(group, canary) for group in sorted(groups)]
        self.statistics = MemoryStatistics()
        self.monitor = HealthMonitor(
            MonitorSources(
                entries=lambda: self.model_list,
                statistics=self.statistics,
                cooling=frozenset,
            )
        )
        self.auto = AutoRouter(
            classifier=shipped(), statuses=lambda: self.monitor.statuses, chance=lambda: 1.0
        )
        self._facts = HostFacts(groups=frozenset(groups))
        self._state = state

    async def look(self) -> None:
        """Bring the monitor up to date."""
        await self.statistics.refresh()
        await self.monitor.refresh()

    def parts(self) -> RoutingParts:
        """Return what the routes use."""
        return RoutingParts(
            monitor=self.monitor, statistics=self.statistics, auto=self.auto, snapshot=self._snapshot
        )

    def _snapshot(self) -> Snapshot | None:
        state = self._state()
        return build_snapshot(state, self._facts) if state is not None else None


def deployment(group: str, canary: str) -> dict[str, Any]:
    """Return the entry of LiteLLM's list for a group's only deployment; a group `tier_<tier>` has that tier."""
    prefix, _, tier = group.partition("_")
    note = {"tier": tier, "avg_latency_ms": 200, "context_window": 8192} if prefix == "tier" else {}
    return {
        "model_name": group,
        "litellm_params": {
            "model": f"ollama_chat/{group}",
            "api_key": canary,
            "api_base": f"http://user:{canary}@gpu.internal:11434",
        },
        "model_info": {"id": f"id-{group}", "neuronode": note},
    }
