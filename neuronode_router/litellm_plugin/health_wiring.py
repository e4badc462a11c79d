"""Statistics, probes and health monitor of one LiteLLM router: built, started and stopped together.

It decides nothing; `monitor` says what each part does.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import httpx

from neuronode_router.background import Failures
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.health.ollama import Defaults
from neuronode_router.health.ollama_probe import OllamaProbes
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.location import Locations, is_apart
from neuronode_router.litellm_plugin.router.model_facts import with_model_facts
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Inventory
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.stats.ports import Statistics
from neuronode_router.stats.shared import RedisStatistics


class HealthWiring:
    """What is measured and known of a router's deployments. `environ` is where LiteLLM finds what they leave out;
    without `cooldowns` LiteLLM is not asked for them."""

    def __init__(
        self,
        bridge: RouterBridge,
        *,
        redis_url: str | None,
        environ: Mapping[str, str],
        cooldowns: bool = True,
        failures: Failures | None = None,
    ) -> None:
        self.statistics: Statistics = (
            RedisStatistics(redis_url, failures=failures)
            if redis_url
            else MemoryStatistics(failures=failures)
        )
        self._locations = Locations(bridge.entries)
        self.monitor = HealthMonitor(
            MonitorSources(
                entries=bridge.entries,
                statistics=self.statistics,
                cooling=bridge.cooling if cooldowns else frozenset,
                described=with_model_facts,
                probes=OllamaProbes(ollama_client, random=random.random, failures=failures),
                defaults=Defaults.of(environ),
            ),
            failures=failures,
        )

    def inventory(self) -> Inventory:
        """Return what is known of the deployments beforehand."""
        return self.monitor.registry

    def statuses(self) -> Mapping[str, tuple[DeploymentStatus, ...]]:
        """Return the deployments of each group and how they stand."""
        return self.monitor.statuses

    def noted_tier(self, group: str) -> Tier | None:
        """Return the lightest tier that operators noted at a group's deployments, None where there is none."""
        noted = {entry.tier for entry in self.monitor.registry.groups.get(group, ())}
        return next((tier for tier in TIERS if tier in noted), None)

    def place_of(self, deployment_id: str, call: object = None) -> str | None:
        """Return where a deployment answers a kind of call, None where nobody can tell. Never waits."""
        known = None if is_apart(call) else self.monitor.candidate(deployment_id)
        # A deployment of the last moment is not in the picture yet.
        return self._locations.of(deployment_id, call) if known is None else known.status.deployment.location

    async def start(self) -> None:
        """Begin to measure and to look, once there is a router. Never raises, never waits for a server."""
        await self.statistics.start()
        await self.monitor.start()

    async def stop(self) -> None:
        """Stop both."""
        await self.monitor.stop()
        await self.statistics.stop()


def ollama_client() -> httpx.AsyncClient:
    """Return a client that goes LiteLLM's way: its certificates, and the proxies of the environment."""
    from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

    return httpx.AsyncClient(verify=get_ssl_configuration(), trust_env=True, follow_redirects=False)
