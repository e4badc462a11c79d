"""Measures the attempts of one LiteLLM router and chooses its deployments, on the proxy and for callers of the SDK.

It puts the parts in force and takes them out again; what they do is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import litellm

from neuronode_router.background import Failures
from neuronode_router.errors import RouterTaken
from neuronode_router.litellm_plugin.health_wiring import HealthWiring
from neuronode_router.litellm_plugin.hooks.attempts import AttemptHooks
from neuronode_router.litellm_plugin.router.strategy import DeploymentChoice, is_taken
from neuronode_router.settings import process_environment

HOLD_SECONDS = 0.5
"""How often an attached router is looked at: after a change of LiteLLM's strategy ours is back within that time."""


class RouterHooks:
    """Attempts and choice of one router, over what is known of its deployments."""

    def __init__(self, router: Any, health: HealthWiring) -> None:
        self.failures = Failures()
        self._router = router
        self._board = health.board
        self.attempts = AttemptHooks(
            health.statistics.recorder, is_cold=self._is_cold, failures=self.failures
        )
        self.choice = DeploymentChoice(router, health.board, failures=self.failures)
        self.in_force = False
        """Whether deployments are chosen by us: not where the operator set a custom strategy of his own."""
        self.hold()
        # Last, and only when the rest was possible: who tries again must not wrap the router twice.
        self.attempts.watch(router)

    def hold(self) -> None:
        """Put back what LiteLLM has dropped: the callback, and after an update of its settings the strategy."""
        self.in_force = self.choice.hold()
        if self.attempts not in litellm.callbacks:
            litellm.logging_callback_manager.add_litellm_callback(self.attempts)

    def release(self) -> None:
        """Leave the router as it was."""
        self.choice.release()
        self.attempts.unwatch(self._router)
        litellm.logging_callback_manager.remove_callback_from_all_lists(self.attempts)

    def report(self) -> Mapping[str, int]:
        """Return what a worker's heartbeat says: failures of ours, and how often the strategy was put in force."""
        return {"steering_failures": self.failures.total, "strategy_holds": self.choice.holds}

    def _is_cold(self, deployment_id: str) -> bool:
        known = self._board.candidate(deployment_id)
        return known is not None and known.standing.deployment.loaded is False


class Attached:
    """A router of the SDK with statistics, health and choice of its own, until it is closed."""

    def __init__(self, router: Any, *, redis_url: str | None) -> None:
        if is_taken(router):
            raise RouterTaken("This router has a custom routing strategy.")
        self._failures = Failures()
        self.health = HealthWiring(
            lambda: router, redis_url=redis_url, environ=process_environment(), failures=self._failures
        )
        self.steering = RouterHooks(router, self.health)
        self._life = asyncio.get_running_loop().create_task(self._live(), name="neuronode-attached")

    async def close(self) -> None:
        """Leave the router as it was and stop what runs in the background. A second call does nothing."""
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        self.steering.release()
        await self.health.stop()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def _live(self) -> None:
        await self.health.start()
        while True:
            await asyncio.sleep(HOLD_SECONDS)
            with self._failures.survived("holding the routing strategy"):
                self.steering.hold()
