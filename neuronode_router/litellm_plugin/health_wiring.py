"""Statistics, probes and health board of one LiteLLM router: built, started and stopped together.

It decides nothing; `board` says what each part does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

from neuronode_router.background import Failures
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.health.ollama import LOCAL_BASE, Defaults
from neuronode_router.health.ollama_probe import OllamaProbes
from neuronode_router.litellm_plugin.router.cooldowns import cooling
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.stats.ports import Statistics
from neuronode_router.stats.shared import RedisStatistics


class HealthWiring:
    """What is measured and known of a router's deployments. `environ` is where LiteLLM finds what they leave out."""

    def __init__(
        self,
        router: Callable[[], Any | None],
        *,
        redis_url: str | None,
        environ: Mapping[str, str],
        failures: Failures | None = None,
    ) -> None:
        self.statistics: Statistics = RedisStatistics(redis_url) if redis_url else MemoryStatistics()
        self.board = HealthMonitor(
            MonitorSources(
                router=router,
                statistics=self.statistics,
                cooling=lambda: cooling(router()),
                probes=OllamaProbes(_client, random=random.random, failures=failures),
                defaults=Defaults(
                    api_base=environ.get("OLLAMA_API_BASE") or LOCAL_BASE,
                    api_key=environ.get("OLLAMA_API_KEY"),
                ),
            ),
            failures=failures,
        )

    async def start(self) -> None:
        """Begin to measure and to look, once there is a router. Never raises, never waits for a server."""
        await self.statistics.start()
        await self.board.start()

    async def stop(self) -> None:
        """Stop both."""
        await self.board.stop()
        await self.statistics.stop()


def _client() -> httpx.AsyncClient:
    """Return a client that goes LiteLLM's way: its certificates, and the proxies of the environment."""
    return httpx.AsyncClient(verify=get_ssl_configuration(), trust_env=True, follow_redirects=False)
