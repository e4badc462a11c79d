"""Local models in one worker: wired to LiteLLM's list, the policy and the metrics.

It decides nothing itself. Where no profile leads to an Ollama nobody is asked anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

import httpx

from neuronode_router.background import Failures
from neuronode_router.control.policies import Policies
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import NOT_STEERED
from neuronode_router.health.ollama import Defaults
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.location import location_of
from neuronode_router.policy.engine import DAY
from neuronode_router.settings import Settings
from neuronode_router.warm.warm_up import Watch
from neuronode_router.warm.warming import Warming, WarmSettings, WarmSources
from neuronode_router.warm.wire import OllamaServers

AHEAD_SECONDS = 20.0
"""How often it is looked whether the policy will soon make another profile active."""


class WarmWiring:
    """The parts, wired. `state` reads what is committed, `policies` is there once the parts after this one are."""

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        bridge: RouterBridge,
        *,
        settings: Settings,
        environ: Mapping[str, str],
        client: Callable[[], httpx.AsyncClient],
        current: CurrentSnapshot,
        state: Callable[[], Awaitable[ControlState | None]],
        policies: Callable[[], Policies],
        watch: Watch,
        failures: Failures,
    ) -> None:
        self._current = current
        self._policies = policies
        self._ahead_seconds = settings.warm_ahead * 60
        self.warming = Warming(
            WarmSources(
                entries=bridge.entries,
                defaults=Defaults.of(environ),
                place_of=location_of,
                state=state,
                coming=self._coming,
                watch=watch,
            ),
            OllamaServers(client),
            WarmSettings(
                mode=settings.warm,
                seconds=settings.warm_timeout,
                drain=settings.warm_drain,
                vram_gib=settings.ollama_vram,
            ),
            failures,
        )

    async def ahead(self) -> None:
        """Have in memory what comes soon, if this worker acts for the policy. Raises `StoreUnavailable`."""
        if self._policies().leads:
            await self.warming.ahead()

    async def _coming(self) -> Collection[str]:
        snapshot = self._current.snapshot
        if not self._ahead_seconds or snapshot is None or snapshot.state.steering == NOT_STEERED:
            return ()
        stretches = await self._policies().preview(self._ahead_seconds / DAY)
        return {stretch.verdict.profile for stretch in stretches[1:]}
