"""Conversations in one worker: what is known of them, who keeps them, and what moving them must know of deployments.

It decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from neuronode_router.control.workers import DRAINED, HELD
from neuronode_router.health.monitor import HealthMonitor
from neuronode_router.litellm_plugin.hooks.keeping import Keeper, KeeperHost
from neuronode_router.litellm_plugin.hooks.moving import Target
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.routing.caches import CacheShares
from neuronode_router.routing.conversations import Conversations
from neuronode_router.routing.overload import Health
from neuronode_router.routing.snapshot import Snapshot
from neuronode_router.usage.finished import FinishedRequest


class ConversationWiring:
    """The parts, wired. `secret` keys the hashes by which conversations are known."""

    def __init__(
        self,
        bridge: RouterBridge,
        deployments: Deployments,
        monitor: HealthMonitor,
        *,
        secret: Callable[[], bytes],
    ) -> None:
        self._bridge = bridge
        self._deployments = deployments
        self._monitor = monitor
        self._caches = CacheShares()
        self.known = Conversations(secret=secret)
        self.keeper = Keeper(
            self.known,
            self._caches,
            KeeperHost(group_of=deployments.group_of, is_well=self._is_well, target=self.target),
        )

    def target(self, deployment_id: str) -> Target | None:
        """Return what a move must know of a deployment, None for one that the router has not."""
        found = self._deployments.maker_and_group(deployment_id)
        if found is None:
            return None
        known = self._monitor.candidate(deployment_id)
        return Target(*found, known.status.deployment.accepts if known else None)

    def ended(self, finished: FinishedRequest) -> None:
        """Learn from an answer how much of its prompt the provider's cache answered."""
        self._caches.saw(
            finished.key.served_group, prompt=finished.prompt_tokens, cached=finished.cached_tokens
        )

    def report(self, snapshot: Snapshot | None) -> Mapping[str, int]:
        """Return what a heartbeat says: how many conversations a switch has left here, and how many of those ended."""
        held, drained = self.known.counts(snapshot)
        return {HELD: held, DRAINED: drained}

    def _is_well(self, group: str) -> bool:
        """Return whether a group is there and one of its deployments can be asked."""
        statuses = self._monitor.statuses.get(group, ())
        gone = bool(statuses) and all(entry.health is Health.UNAVAILABLE for entry in statuses)
        return self._bridge.has_group(group) and not gone
