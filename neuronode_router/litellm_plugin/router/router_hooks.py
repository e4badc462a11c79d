"""Measures the attempts of one LiteLLM router and chooses its deployments, on the proxy and for callers of the SDK.

It puts the parts in force and takes them out again; what they do is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Self

import litellm
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.errors import RouterTaken
from neuronode_router.litellm_plugin.health_wiring import HealthWiring
from neuronode_router.litellm_plugin.hooks.attempts import AttemptHooks
from neuronode_router.litellm_plugin.hooks.callbacks import Callbacks, Handing
from neuronode_router.litellm_plugin.hooks.gate import Gate, GroupOf
from neuronode_router.litellm_plugin.hooks.moving import MovedHistory, MoveHost
from neuronode_router.litellm_plugin.router.bridge import RouterBridge, bridge_of
from neuronode_router.litellm_plugin.router.deployment_filter import DeploymentFilter
from neuronode_router.litellm_plugin.router.fallback_access import FallbackAccess, Grants
from neuronode_router.litellm_plugin.router.location import Locations, location_of
from neuronode_router.litellm_plugin.router.widening import Widening
from neuronode_router.litellm_plugin.seams import Part
from neuronode_router.settings import process_environment


class RouterHooks:
    """Attempts, choice and access of one router. `off` are the parts whose seams this LiteLLM lacks."""

    def __init__(
        self,
        bridge: RouterBridge,
        health: HealthWiring,
        *,
        off: Collection[Part] = (),
        grants: Grants | None = None,
        group_of: GroupOf = lambda _: None,
        moving: MoveHost | None = None,
    ) -> None:
        """Without `grants`, as where there are no keys, nobody is kept from anything.

        Without `moving`, as where nothing is switched, no history is changed.
        """
        self.failures = Failures()
        self._monitor = health.monitor
        self.attempts = AttemptHooks(
            health.statistics.recorder,
            deployments=bridge,
            is_cold=self._is_cold,
            place_of=health.place_of,
            failures=self.failures,
        )
        self.choice = DeploymentFilter(bridge, health.monitor, failures=self.failures)
        places = Locations(bridge.entries)
        self._access = (
            None if Part.FALLBACK_ACCESS in off else FallbackAccess(bridge, grants=grants, places=places)
        )
        self.first: list[CustomLogger] = []
        """What follows each attempt, in this order."""
        if grants is not None:
            # Before the others: what it refuses is no attempt.
            self.first.append(
                Gate(
                    group_of=group_of,
                    grants=grants,
                    lists=self._asks_before_fallbacks,
                    place_of=location_of,
                    places=places,
                )
            )
        if moving is not None and Part.MOVING not in off:
            self.first.append(MovedHistory(moving, failures=self.failures))
        if Part.MEASURING not in off:
            self.first.append(self.attempts)
        if Part.CHOICE not in off:
            self.first.append(Widening(health.monitor.candidate, failures=self.failures))
        self.last = [] if Part.CHOICE in off else [self.choice]
        """What chooses after all others."""
        self.hold()

    def hold(self) -> None:
        """Put back LiteLLM's check of fallbacks after an update of its settings."""
        if self._access is not None:
            self._access.hold()

    def release(self) -> None:
        """Leave the router as it was."""
        if self._access is not None:
            self._access.release()

    def report(self) -> Mapping[str, int]:
        """Return what a worker's heartbeat says: failures of ours while requests were measured and routed."""
        return {"router_failures": self.failures.total}

    def _asks_before_fallbacks(self) -> bool:
        return self._access is not None and self._access.is_asked

    def _is_cold(self, deployment_id: str) -> bool:
        known = self._monitor.candidate(deployment_id)
        return known is not None and known.status.deployment.loaded is False


class Attached:
    """A router of the SDK with statistics, health and choice of its own, until it is closed."""

    def __init__(self, router: Any, *, redis_url: str | None) -> None:
        parts = (part for one in litellm.callbacks if isinstance(one, Handing) for part in one.parts)
        if any(isinstance(part, DeploymentFilter) and part.router.live() is router for part in parts):
            raise RouterTaken("This router is attached to already.")
        bridge = bridge_of(lambda: router)
        self.health = HealthWiring(
            bridge, redis_url=redis_url, environ=process_environment(), failures=Failures()
        )
        self.router_hooks = RouterHooks(bridge, self.health)
        self._callbacks = Callbacks(self.router_hooks.first, self.router_hooks.last)
        self._callbacks.hold()
        self._life = asyncio.get_running_loop().create_task(self.health.start(), name="neuronode-attached")

    async def close(self) -> None:
        """Leave the router as it was and stop what runs in the background. A second call does nothing."""
        await asyncio.gather(self._life, return_exceptions=True)
        self._callbacks.release()
        self.router_hooks.release()
        await self.health.stop()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()
