"""What the rest of the package sees of statistics, in memory or shared: one protocol.

It must not know who implements it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from neuronode_router.stats.recorder import Recorder
from neuronode_router.stats.summary import DeploymentStats


class Statistics(Protocol):
    """Attempts are counted through `recorder`; the figures are read from `snapshot`. Neither ever waits."""

    @property
    def recorder(self) -> Recorder:
        """Where this process counts."""
        ...

    @property
    def mode(self) -> str:
        """What is in force, for the status page: "memory", "redis" or "redis (down)"."""
        ...

    @property
    def updated(self) -> asyncio.Event:
        """Set with each new snapshot. The one who waits for it, the health monitor, clears it."""
        ...

    def snapshot(self) -> Mapping[str, DeploymentStats]:
        """Return the latest figures by deployment id: immutable, at most one interval old; another object
        where anything in it changed. One attribute read."""
        ...

    def in_flight(self, deployment_id: str) -> int:
        """Return how many attempts run: this process's now, and the others' when they last said so."""
        ...

    async def start(self) -> None:
        """Begin to build snapshots in the background. Never raises, never waits for a server."""
        ...

    async def stop(self) -> None:
        """Stop, and take back what others would count for us."""
        ...
