"""The composition root: everything of ours in one proxy worker, wired, started and stopped in one place.

It decides nothing itself, and nothing here is on the request path.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.access import AccessFile
from neuronode_router.auto.decision_log import RoutingLog
from neuronode_router.auto.learning import Learning
from neuronode_router.auto.router import AutoRouter
from neuronode_router.auto.shared_sessions import SharedSessions
from neuronode_router.background import Failures, PeriodicTask, repeat
from neuronode_router.control.store import ControlStore
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.domain import (
    Profile,
    Tier,
)
from neuronode_router.litellm_plugin.auth.budgets import Budgets
from neuronode_router.litellm_plugin.auth.identity import Identity, role_of
from neuronode_router.litellm_plugin.auth.ui_sessions import UiSessions
from neuronode_router.litellm_plugin.control_wiring import ControlWiring
from neuronode_router.litellm_plugin.dashboard import Dashboard
from neuronode_router.litellm_plugin.health_wiring import HealthWiring
from neuronode_router.litellm_plugin.hooks.admission import Admission, AdmissionHost
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.probing import RouterAsker
from neuronode_router.litellm_plugin.router.router_hooks import RouterHooks
from neuronode_router.litellm_plugin.task_host import TaskHost
from neuronode_router.litellm_plugin.usage_wiring import UsageWiring
from neuronode_router.metrics.metering import OBSERVE_SECONDS, Metering, MeteringSources
from neuronode_router.proof.service import ProofService
from neuronode_router.settings import Settings, process_environment
from neuronode_router.tasks.engine import tier_names
from neuronode_router.tasks.folder import TaskFolder
from neuronode_router.version import VERSION

GUARD_SECONDS = 0.5
"""How often the live alias map is compared with ours: drift is gone within a second."""

ACCESS_SECONDS = 1.0
"""How often the access file is looked at: a key that was removed is refused within a second or two."""

BUDGET_SECONDS = 15.0
"""How often what teams have spent is read from our own sums."""

PROOF_SECONDS = 15.0
"""How often a worker looks whether a refresh of the proof matrix is due."""

ROUTER_POLL_SECONDS = 0.02

TIDY_SECONDS = 300.0
"""How often a worker adds minutes of usage up to hours, and forgets what is too old."""


class Runtime:
    """One worker's parts. Build it once LiteLLM's configuration is known; `start` never raises for a dead
    store.
    """

    def __init__(self, *, proxy: Any, settings: Settings, host_version: str) -> None:
        self._proxy = proxy
        self.settings = settings
        self._host_version = host_version
        self._failures = Failures()
        self.learning = Learning(settings, failures=self._failures)
        self.deployments = Deployments(self._router)
        self.access = AccessFile(settings.access_file) if settings.access_file else None
        sessions = UiSessions(salt=lambda: process_environment().get("LITELLM_SALT_KEY"), roles=role_of)
        self.identity = Identity(proxy=proxy, access=self.access, sessions=sessions)
        self.dashboard = Dashboard(settings.ui_frame_origin, sessions, self.access)
        self.routing_log = RoutingLog() if settings.routing_log_enabled else None
        self.health = HealthWiring(
            self._router,
            redis_url=settings.redis_url,
            environ=process_environment(),
            failures=self._failures,
        )
        self.steering: RouterHooks | None = None
        self.sessions = (
            SharedSessions(settings.redis_url, secret=self._secret) if settings.redis_url else None
        )
        self.metering = Metering(
            MeteringSources(
                report=self.report,
                snapshot=lambda: self.admission.snapshot,  # built below, like the store
                workers=lambda: self.store.registry.workers(),
                board=self.health.board,
                statistics=self.health.statistics,
                host_version=host_version,
            )
        )
        self.auto = AutoRouter(
            classifier=self.learning.first(),
            standings=self.health.board.live_standings,
            mode=settings.auto_routing,
            sessions=self.sessions,
            watchers=[
                one for one in (self.routing_log, self.learning.recorder, self.metering.decided) if one
            ],
        )
        self.budgets = Budgets(lambda: self.usage.costs_of_the_month())  # built below
        self.admission = Admission(
            AdmissionHost(
                principal=self.identity.principal,
                served_by=self.deployments.served_by,
                tags=lambda: not getattr(self._router(), "enable_tag_filtering", False),
                spent=self.budgets.spent,
            ),
            self.auto,
        )
        self.store = ControlStore(settings.state_url, worker_ttl=settings.worker_ttl_seconds)
        identity = WorkerIdentity.of_this_process(VERSION)
        self.usage = UsageWiring(
            database=self.store.database,
            worker=identity.instance,
            days=settings.usage_days,
            router=self._router,
            deployments=self.deployments,
            registry=lambda: self.health.board.registry,
            watch=self.metering.ended,
        )
        self._templates = TaskFolder(settings.tasks)
        self.tasks = TaskHost(
            proxy=proxy,
            folder=self._templates,
            names=tier_names(settings.model_fast, settings.model_medium, settings.model_complex),
            standings=lambda: self.health.board.standings,
            ladder=self._active_ladder,
            books=self.usage.books,
        )
        self.proof = ProofService(
            settings=settings,
            database=self.store.database,
            asker=RouterAsker(self._router, lambda: self.health.board.registry),
            profiles=self._served_profiles,
        )
        self.following = ControlWiring(
            proxy=proxy,
            settings=settings,
            store=self.store,
            identity=identity,
            admission=self.admission,
            deployments=self.deployments,
            gate=self.proof.gate,
            told=self.metering.switched,
            report=self.report,
            failures=self._failures,
        )

    async def run(self) -> None:
        """Follow the control state until cancelled, then retire. The task of this worker's life."""
        while self._router() is None:  # noqa: ASYNC110  LiteLLM gives no event for its router
            await asyncio.sleep(ROUTER_POLL_SECONDS)
        try:
            await self._begin()
            await repeat(self._periodic_tasks(), self._failures)
        finally:
            await self._end()

    async def _begin(self) -> None:
        await self.health.start()
        if self.sessions is not None:
            self.sessions.start()
        self.learning.start()
        await self.following.start()

    async def _end(self) -> None:
        await self.following.stop()
        if self.steering is not None:
            self.steering.release()
        await self.health.stop()
        if self.sessions is not None:
            await self.sessions.stop()
        await self.usage.stop()
        self.store.close()
        await asyncio.to_thread(self.learning.stop)
        if self.routing_log is not None:
            await asyncio.to_thread(self.routing_log.stop)

    def _periodic_tasks(self) -> Iterator[PeriodicTask]:
        yield PeriodicTask(GUARD_SECONDS, "guarding our aliases", self._guard)
        yield PeriodicTask(GUARD_SECONDS, "following the classifier's weights", self._follow_weights)
        yield PeriodicTask(self.settings.usage_flush_seconds, "keeping usage", self.usage.flush)
        yield PeriodicTask(TIDY_SECONDS, "adding usage up", self.usage.tidy)
        yield PeriodicTask(OBSERVE_SECONDS, "keeping the metrics", self.metering.observe)
        yield PeriodicTask.blocking(BUDGET_SECONDS, "reading what teams have spent", self.budgets.refresh)
        if self.settings.proof_refresh is not None:
            yield PeriodicTask(PROOF_SECONDS, "refreshing the proof matrix", self.proof.refresh)
        if self.settings.tasks is not None:
            yield PeriodicTask.blocking(ACCESS_SECONDS, "reading the task templates", self._templates.refresh)
        if self.access is not None:
            yield PeriodicTask.blocking(ACCESS_SECONDS, "reading the access file", self.access.refresh)

    async def _follow_weights(self) -> None:
        await self.learning.refresh(self.auto.use)

    @property
    def callbacks(self) -> Sequence[CustomLogger]:
        """What LiteLLM must call, in this order."""
        return (self.admission, self.usage.feed)

    def report(self) -> Mapping[str, Any]:
        """Return what each heartbeat says of this worker: counts and modes, JSON-ready, no secrets."""
        return {
            **self.following.report(),
            "failures": self.admission.failures.total,
            "loop_failures": self._failures.total,
            "auto_routing": self.auto.mode,
            "statistics": self.health.statistics.mode,
            **(self.steering.report() if self.steering else {}),
            "routing_log_dropped": self.routing_log.dropped if self.routing_log else 0,
            "history_dropped": self.learning.recorder.dropped if self.learning.recorder else 0,
            **self.usage.status(),
        }

    def status(self) -> Mapping[str, Any]:
        """Return what this worker adds to the status page, JSON-ready, no secrets."""
        access = self.access
        warnings = [
            *self.learning.warnings(),
            self.following.renderer.warning,
            *(access.warnings if access else ()),
            self._tag_warning(),
            self._strategy_warning(),
        ]
        return {
            "embedded_groups": list(self.deployments.embedded_groups()),
            "problems": [
                *self.following.problems(),
                *(access.problems if access else ()),
                *self.health.board.problems(),
                *self._templates.problems,
            ],
            "warnings": [warning for warning in warnings if warning],
            "litellm": self._host_version,
            "plugin": VERSION,
            "rendering": "on" if self.following.renders() else "off",
            "classifier": self.learning.status(),
            **self.report(),
        }

    def _router(self) -> Any | None:
        return self._proxy.llm_router

    def _secret(self) -> bytes:
        """Return what all workers of this proxy know and nobody else does."""
        return hashlib.sha256(f"neuronode sessions {self._proxy.master_key}".encode()).digest()

    def _active_ladder(self) -> Mapping[Tier, Sequence[str]]:
        snapshot = self.admission.snapshot
        return snapshot.ladders[snapshot.state.active] if snapshot else {}

    def _served_profiles(self) -> Iterable[Profile]:
        snapshot = self.admission.snapshot
        return snapshot.state.profiles.profiles.values() if snapshot else ()

    def _tag_warning(self) -> str | None:
        if getattr(self._router(), "enable_tag_filtering", False):
            return "Tag routing is on: requests carry no profile and task tags, only spend metadata."
        return None

    def _strategy_warning(self) -> str | None:
        if self.steering is not None and not self.steering.in_force:
            return "Another custom routing strategy is set: statistics choose no deployment within a group."
        return None

    async def _guard(self) -> None:
        """Put back what something else took away: our aliases in the router, our callbacks in LiteLLM's
        list.
        """
        self.following.aliases.heal()
        for callback in self.callbacks:
            if callback not in litellm.callbacks:
                litellm.logging_callback_manager.add_litellm_callback(callback)
        self._steer()

    def _steer(self) -> None:
        """Measure attempts and choose deployments; put back what LiteLLM dropped."""
        if self.steering is None:
            self.steering = RouterHooks(self._router(), self.health)
        self.steering.hold()
