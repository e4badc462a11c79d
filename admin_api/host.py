"""What the routes are given: one frozen value with the rooms' own parts, and the protocol of what only LiteLLM can do.

It must not know how its parts are made: the composition root wires them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fastapi import Request

from neuronode_router.access import AccessFile, Principal, UiSession
from neuronode_router.auto.learning import Learning
from neuronode_router.auto.router import AutoRouter
from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.policies import Policies
from neuronode_router.control.rollout_outcomes import RolloutOutcomes
from neuronode_router.control.rollouts import Rollouts
from neuronode_router.control.worker import Worker
from neuronode_router.domain.names import Tier
from neuronode_router.health.monitor import HealthMonitor
from neuronode_router.metrics.metering import Metering
from neuronode_router.proof.service import ProofService
from neuronode_router.routing.snapshot import Snapshot
from neuronode_router.shadows.acts import Shadows
from neuronode_router.stats.ports import Statistics
from neuronode_router.tasks import Catalogue
from neuronode_router.tasks.engine import Complete
from neuronode_router.tasks.results import Offer, RoutingStats
from neuronode_router.usage.service import UsageService


class ProxyTasks(Protocol):
    """What the task API has of the proxy: what can be asked, and a way to ask it in the caller's name."""

    @property
    def catalogue(self) -> Catalogue:
        """The templates there are."""
        ...

    @property
    def names(self) -> Mapping[Tier, str]:
        """What is sent as `model` to ask each tier."""
        ...

    def completions(
        self, request: Request, *, task: str | None = None
    ) -> AbstractAsyncContextManager[Complete]:
        """Return how chat requests are sent in the name of the caller of `request`."""
        ...

    async def offer(self, request: Request) -> Offer:
        """Return what the caller of `request` can ask. Raises `NotAllowed` or `CompletionFailed`."""
        ...

    async def routing_stats(self, *, team: str | None) -> RoutingStats:
        """Return how requests were routed, those of `team` only where it is given. Raises `StoreUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class RoutingParts:
    """Automatic routing in this process. All of it is in memory; nothing here waits."""

    monitor: HealthMonitor
    statistics: Statistics
    auto: AutoRouter
    snapshot: Callable[[], Snapshot | None]
    """What this process serves now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminHost:
    """Everything the routes use; a part that is None has not started. `build_router` is given a callable for it.

    Before there is one, the callable raises `NotReady` or `AdminClosed`: both are answered with 503.
    """

    manager: ProfileManager
    worker: Worker[Any]
    authenticate: Callable[[Request], Awaitable[Principal]]
    """Tells who calls. Raises `NotAuthenticated`, `NotAllowed` or `AdminClosed`."""
    opened: Callable[[], Awaitable[None]]
    """Waits, a few seconds at most, while a proxy that starts makes its files the first revision. Never raises."""
    status: Callable[[], Mapping[str, Any]]
    """What the host adds to `GET /profiles/status`, JSON-ready and without secrets.

    Anybody who may read sees `embedded_groups` (a list of names). The rest is for administrators and viewers:
    `problems` (a list of `errors.Problem`) and `warnings` (a list of texts) are shown under these names,
    everything else under `host`.
    """
    readiness: Callable[[], Mapping[str, Any]]
    """Tells in `problems` the codes of what keeps this process from being ready. Never raises and never waits."""
    startup: Callable[[], Mapping[str, Any]]
    """Tells there why no revision is in force in this process; nothing as soon as one is."""
    write_limit: str = "10/second"
    """Writes that one principal may make, in the notation of the `limits` library."""
    access_file: AccessFile | None = None
    """None where keys are kept elsewhere."""
    knows_key: Callable[[str], Awaitable[bool | None]] | None = None
    """Tells whether there is a key of this name or hash; None, and where it says so, nobody can tell."""
    sign_in: Callable[[str], UiSession] | None = None
    """Gives a session for the identity claim of LiteLLM's UI. Raises `NotAuthenticated`."""
    frame_origin: str | None = None
    """The origin, besides the page's own, that may embed it."""
    tasks: ProxyTasks | None = None
    router: RoutingParts | None = None
    usage: UsageService | None = None
    metrics: Metering | None = None
    proof: ProofService | None = None
    rollouts: Rollouts | None = None
    answers: RolloutOutcomes | None = None
    """Hears how answers turned out, for the rollout that runs."""
    policies: Policies | None = None
    shadows: Shadows | None = None
    agents: Literal["off", "read", "write"] = "read"
    """Whether agents get tools, and those that change too."""
    feedback: Learning | None = None
    """None while no history of decisions is kept."""
