"""The composition root: everything of ours in one proxy worker, wired, started and stopped in one place.

It decides nothing itself, and nothing here is on the request path.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache, partial
from typing import Any

from neuronode_router.access import AccessFile
from neuronode_router.auto.decision_log import RoutingLog
from neuronode_router.auto.router import AutoRouter
from neuronode_router.auto.shared_sessions import SharedSessions
from neuronode_router.background import Failures, PeriodicTask, repeat
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.store import ControlStore
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.health.ollama import Defaults
from neuronode_router.litellm_plugin.auth.budgets import READING_SUMS, REFRESH_SECONDS, Budgets, live_spend
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.auth.identity import Identity, role_of
from neuronode_router.litellm_plugin.auth.name_at_the_door import NameAtTheDoor
from neuronode_router.litellm_plugin.auth.spending import ModelBudgets, Spending
from neuronode_router.litellm_plugin.auth.ui_sessions import UiSessions
from neuronode_router.litellm_plugin.control_wiring import ControlWiring
from neuronode_router.litellm_plugin.conversation_wiring import ConversationWiring
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.health_wiring import HealthWiring, ollama_client
from neuronode_router.litellm_plugin.hooks import chosen_group
from neuronode_router.litellm_plugin.hooks.admission import Admission
from neuronode_router.litellm_plugin.hooks.admission_host import AdmissionHost
from neuronode_router.litellm_plugin.hooks.answer_headers import AnswerHeaders, Hears
from neuronode_router.litellm_plugin.hooks.callbacks import Callbacks
from neuronode_router.litellm_plugin.hooks.group_guardrails import GroupGuardrails
from neuronode_router.litellm_plugin.hooks.moving import MoveHost
from neuronode_router.litellm_plugin.hooks.offers import Offers
from neuronode_router.litellm_plugin.learning_wiring import LearningWiring
from neuronode_router.litellm_plugin.listing import listings
from neuronode_router.litellm_plugin.policy_wiring import LOOK_SECONDS, PolicyWiring
from neuronode_router.litellm_plugin.rollout_wiring import WATCH_SECONDS, RolloutWiring
from neuronode_router.litellm_plugin.router.aliases import RouterAliases
from neuronode_router.litellm_plugin.router.bridge import bridge_of
from neuronode_router.litellm_plugin.router.costs import GroupCosts
from neuronode_router.litellm_plugin.router.deployments import Deployments
from neuronode_router.litellm_plugin.router.location import Locations
from neuronode_router.litellm_plugin.router.prices import rates
from neuronode_router.litellm_plugin.router.probing import RouterAsker
from neuronode_router.litellm_plugin.router.router_hooks import RouterHooks
from neuronode_router.litellm_plugin.router.watched import WatchedDeployments
from neuronode_router.litellm_plugin.seams import Off, Part
from neuronode_router.litellm_plugin.self_report import SelfReport
from neuronode_router.litellm_plugin.settings_page import shown_settings
from neuronode_router.litellm_plugin.shadow_wiring import SHARE_SECONDS, ShadowWiring
from neuronode_router.litellm_plugin.task_host import TaskHost
from neuronode_router.litellm_plugin.usage_wiring import UsageWiring
from neuronode_router.litellm_plugin.warm_wiring import AHEAD_SECONDS, WarmWiring
from neuronode_router.metrics.catalogue import shared_directory
from neuronode_router.metrics.metering import OBSERVE_SECONDS, Metering, MeteringSources
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.proof.service import ProofService
from neuronode_router.settings import Settings, process_environment
from neuronode_router.tasks.engine import tier_names
from neuronode_router.tasks.folder import TaskFolder
from neuronode_router.threads import in_thread
from neuronode_router.usage.finished import FinishedRequest
from neuronode_router.version import VERSION

logger = logging.getLogger(__name__)

GUARD_SECONDS = 0.5
"""How often the live alias map is compared with ours: drift is gone within a second."""

ACCESS_SECONDS = 1.0
"""How often the access file is looked at: a key that was removed is refused within a second or two."""

ROUTER_POLL_SECONDS = 0.02

TIDY_SECONDS = 300.0
"""How often a worker adds minutes of usage up to hours, and forgets what is too old."""


async def _within(*_: object) -> None:
    """LiteLLM alone judges budgets."""


def _as_they_are(*_: object) -> None:
    """LiteLLM alone says which guardrails run."""


class Runtime:
    """One worker's parts, each built from those before it. `start` never raises for a dead store."""

    def __init__(self, *, proxy: Any, settings: Settings, host_version: str, off: Off | None = None) -> None:
        environ = process_environment()
        self.proxy = proxy
        self.settings = settings
        self.host_version = host_version
        self.off: Off = off or {}
        self.failures = Failures()
        self.says = SelfReport(self)
        self.store = ControlStore(settings.state_url, worker_ttl=settings.worker_ttl_seconds)
        self.current = CurrentSnapshot()
        self.bridge = bridge = bridge_of(self._router)
        self.deployments = Deployments(bridge)

        self.access = AccessFile(settings.access_file) if settings.access_file else None
        self.ui_sessions = UiSessions(
            salt=lambda: process_environment().get("LITELLM_SALT_KEY"),
            master_key=lambda: self.proxy.master_key,
            roles=role_of,
        )
        self.identity = Identity(proxy=proxy, access=self.access, sessions=self.ui_sessions)

        self.health = HealthWiring(
            bridge,
            redis_url=settings.redis_url,
            environ=environ,
            cooldowns=Part.COOLDOWNS not in self.off,
            failures=self.failures,
        )
        self.conversations = ConversationWiring(
            bridge, self.deployments, self.health.monitor, secret=self._secret
        )
        self._group_access = GroupAccess(bridge, proxy=proxy, group_of=self.deployments.group_of)
        self.router_hooks = RouterHooks(
            bridge,
            self.health,
            off=self.off,
            grants=self._group_access.grants,
            group_of=self.deployments.group_of,
            moving=MoveHost(self.conversations.target, self.conversations.keeper.ended),
        )
        self.metering = Metering(
            MeteringSources(
                report=self.says.report,
                snapshot=self.current.read,
                workers=self.store.registry.workers,
                monitor=self.health.monitor,
                statistics=self.health.statistics,
                host_version=host_version,
                rules=lambda: self.policy.standing(),
            )
        )
        worker = WorkerIdentity.of_this_process(VERSION)
        self.usage = UsageWiring(
            database=self.store.database,
            worker=worker.instance,
            days=settings.usage_days,
            bridge=bridge,
            deployments=self.deployments,
            registry=self.health.inventory,
            place_of=self.health.place_of,
            profiles=self.current.profiles,
            watch=self._ended,
        )
        self.budgets = Budgets(
            self.usage.costs_of_the_month,
            live=None if Part.BUDGETS in self.off else live_spend(proxy),
            failures=self.failures,
        )
        self._build_routing()
        self._build_tasks_and_proof()
        self.warm = WarmWiring(
            bridge,
            settings=settings,
            environ=environ,
            client=ollama_client,
            current=self.current,
            state=lambda: self.control.manager.current(),
            policies=lambda: self.policy.policies,
            watch=self.metering.warmed,
            failures=self.failures,
        )
        self.control = ControlWiring(
            proxy=proxy,
            settings=settings,
            store=self.store,
            identity=worker,
            admission=self.admission,
            current=self.current,
            aliases=RouterAliases(bridge, mirrors=Part.ALIASES not in self.off),
            deployments=self.deployments,
            gate=self.proof.gate,
            on_receipt=self.metering.switched,
            caches=self.usage.service.running_caches,
            warmth=self.warm.warming,
            report=self.says.report,
            failures=self.failures,
        )
        self.policy = PolicyWiring(
            manager=self.control.manager,
            worker=self.control.worker,
            store=self.store,
            current=self.current,
            host=self.control.facts,
            place=PolicyPlace(settings.policy, FilesMemory(settings.state_dir / "policy.seen")),
            asker=RouterAsker(self._router, self.health.inventory),
            slots=lambda: self.health.statistics.recorder.window.slots,
            watched=WatchedDeployments(bridge.entries, Defaults.of(environ)),
            loading=settings.warm_timeout,
            heard=self.metering.policy_acted,
        )
        self.rollout = RolloutWiring(
            manager=self.control.manager,
            worker=self.control.worker,
            store=self.store,
            current=self.current,
            flush=self.usage.flush,
            verdict_of=self.policy.policies.verdict_of,
            feedback=self.learning.recorder is not None,
        )
        self.shadow = ShadowWiring(
            manager=self.control.manager,
            database=self.store.database,
            worker=worker.instance,
            current=self.current,
            bridge=bridge,
            inventory=self.health.inventory,
            told=self.metering.mirrored,
            failures=self.failures,
        )
        if Part.MIRRORING not in self.off:
            self.admission.mirrored = self.shadow.hooks.choose
        self.callbacks = self._made_callbacks()

    def _build_routing(self) -> None:
        settings = self.settings
        self.learns = LearningWiring(
            settings,
            database=self.store.database,
            bridge=self.bridge,
            deployments=self.deployments,
            failures=self.failures,
        )
        self.learning = self.learns.learning
        self.routing_log = RoutingLog() if settings.routing_log_enabled else None
        known = self.conversations.known
        self.sessions = (
            SharedSessions(
                settings.redis_url, secret=self._secret, conversations=known, failures=self.failures
            )
            if settings.redis_url
            else None
        )
        watchers = (self.routing_log, self.learning.recorder, self.metering.decided)
        self.auto = AutoRouter(
            classifier=self.learning.first(),
            statuses=self.health.monitor.live_statuses,
            mode=settings.auto_routing,
            sessions=self.sessions,
            watchers=[watcher for watcher in watchers if watcher],
        )
        self.auto.outcomes, self.auto.judge = self.learns.outcomes, self.learns.judge
        costs = GroupCosts(self.bridge)
        host = AdmissionHost(
            principal=self.identity.principal,
            served_by=self.deployments.served_by,
            tags=lambda: not self.bridge.filters_by_tag(),
            spent=self.budgets.spent,
            may_use=self._group_access.may_use,
            fallbacks=self.bridge.fallbacks,
            grants=self._group_access.grants,
            named=self._group_access.named,
            noted_tier=self.health.noted_tier,
            places=Locations(self.bridge.entries),
            place_of=self.health.place_of,
            costs=costs.costs,
            guard=GroupGuardrails(self.bridge).settle if Part.GUARDRAILS not in self.off else _as_they_are,
            within=ModelBudgets(self.proxy).within if Part.SPENDING not in self.off else _within,
        )
        self.admission = Admission(host, self.auto, self.current, self.conversations.keeper)
        told: list[Hears] = [self.admission.answer_headers]
        if Part.USAGE not in self.off:
            told.append(self.usage.hooks.begins)
            self.admission.refused = self.usage.hooks.failed
        self.answer_headers = AnswerHeaders(*told)
        naming = NameAtTheDoor(
            proxy=self.proxy,
            identity=self.identity,
            access=self._group_access,
            current=self.current,
            asking=self.admission.asking,
            failures=self.admission.failures,
        )
        self.naming = None if Part.NAMING in self.off else naming
        spending = Spending(self.current, costs, self.admission.failures)
        self.spending = None if Part.SPENDING in self.off else spending
        offers = Offers(host, self.current, self.health.inventory, lambda: rates(self.bridge.entries()))
        self.amendments = (listings(offers), shown_settings(lambda: self.control.operators_aliases()))
        self.renaming = chosen_group.Renaming()

    def _build_tasks_and_proof(self) -> None:
        settings = self.settings
        self.templates = TaskFolder(settings.tasks)
        self.tasks = TaskHost(
            proxy=self.proxy,
            folder=self.templates,
            names=tier_names(settings.model_fast, settings.model_medium, settings.model_complex),
            statuses=self.health.statuses,
            groups_of=self.current.groups_of,
            usage=self.usage.service,
        )
        self.proof = ProofService(
            settings=settings,
            database=self.store.database,
            asker=RouterAsker(self._router, self.health.inventory),
            profiles=self.current.profiles,
        )

    async def run(self) -> None:
        """Follow the control state until cancelled, then retire. The task of this worker's life."""
        while self._router() is None:  # noqa: ASYNC110  LiteLLM gives no event for its router
            await asyncio.sleep(ROUTER_POLL_SECONDS)
        try:
            await self._begin()
            gc.freeze()  # LiteLLM and we stay: no collection need look at us again
            await repeat(self._periodic_tasks(), self.failures)
        finally:
            await self._end()

    async def _begin(self) -> None:
        await self.health.start()
        if self.sessions is not None:
            self.sessions.start()
        self.learns.start()
        with self.failures.survived("putting our callbacks in order"):
            self._hold_callbacks()
        with self.failures.survived(READING_SUMS):
            await in_thread(self.budgets.refresh)
        await self.control.start()  # from here on requests are answered

    async def _end(self) -> None:
        """End every part, whatever becomes of the others: usage is carried to the store even so."""
        for part, end in self._ends():
            try:
                ended = end()
                if ended is not None:
                    await ended
            except Exception:
                logger.exception("neuronode: %s could not be ended in order", part)

    def _ends(self) -> Iterator[tuple[str, Callable[[], Awaitable[None] | None]]]:
        yield "the shadow comparison", self.shadow.stop
        yield "rollouts", self.rollout.stop
        yield "the policy", self.policy.stop
        yield "warming", self.warm.warming.stop
        yield "following the control state", self.control.stop
        yield "budgets", self.budgets.stop
        yield "our hooks of the router", self.router_hooks.release
        yield "statistics and health", self.health.stop
        if self.sessions is not None:
            yield "sharing sessions", self.sessions.stop
        yield "usage", self.usage.stop
        yield "learning", self.learns.stop
        yield "the control state's database", self.store.close
        if self.routing_log is not None:
            yield "the routing log", partial(in_thread, self.routing_log.stop)

    def _periodic_tasks(self) -> Iterator[PeriodicTask]:
        yield PeriodicTask(GUARD_SECONDS, "guarding our aliases", self._guard)
        yield PeriodicTask(GUARD_SECONDS, "following the classifier's weights", self._follow_weights)
        yield PeriodicTask(self.settings.usage_flush_seconds, "keeping usage", self.usage.flush)
        yield PeriodicTask(TIDY_SECONDS, "adding usage up", self.usage.tidy)
        yield PeriodicTask(WATCH_SECONDS, "watching rollouts", self.rollout.watch)
        yield PeriodicTask(LOOK_SECONDS, "following the policy", self.policy.look)
        yield PeriodicTask(AHEAD_SECONDS, "warming models ahead of the policy", self.warm.ahead)
        yield PeriodicTask(SHARE_SECONDS, "sharing what a shadow comparison found", self.shadow.look)
        if shared_directory() is not None:  # who shows the metrics of this process alone observes it then
            yield PeriodicTask(OBSERVE_SECONDS, "keeping the metrics", self.metering.observe)
        yield PeriodicTask.blocking(REFRESH_SECONDS, READING_SUMS, self.budgets.refresh)
        yield from self.learns.periodic_tasks()
        if self.settings.proof_refresh is not None and Part.PROOF not in self.off:
            yield self.proof.periodic_task()
        if self.settings.tasks is not None:
            yield PeriodicTask.blocking(ACCESS_SECONDS, "reading the task templates", self.templates.refresh)
        if self.access is not None:
            yield PeriodicTask.blocking(ACCESS_SECONDS, "reading the access file", self.access.refresh)

    async def _follow_weights(self) -> None:
        await self.learning.refresh(self.auto.use)

    def _made_callbacks(self) -> Callbacks:
        """Return what LiteLLM is to call, in this order."""
        usage = () if Part.USAGE in self.off else (self.usage.hooks,)
        headers = () if Part.HEADERS in self.off else (self.answer_headers,)
        outcomes = () if self.learns.hooks is None else (self.learns.hooks,)
        mirrors = () if Part.MIRRORING in self.off else (self.shadow.hooks,)
        first = (*self.router_hooks.first, self.admission, *headers, *usage, *outcomes, *mirrors)
        return Callbacks(first, (*self.router_hooks.last, self.renaming))

    def _ended(self, finished: FinishedRequest) -> None:
        self.metering.ended(finished)
        self.conversations.ended(finished)

    def _router(self) -> Any | None:
        return self.proxy.llm_router

    def _secret(self) -> bytes:
        """Return what all workers of this proxy know and nobody else does."""
        return _secret_of(self.proxy.master_key)

    async def _guard(self) -> None:
        """Put back what something else took away: our aliases in the router, our callbacks in LiteLLM's list."""
        self.control.aliases.heal()
        self._hold_callbacks()
        self.router_hooks.hold()

    def _hold_callbacks(self) -> None:
        self.callbacks.hold()
        if Part.LIMITS not in self.off:
            chosen_group.tell_by_group()
            chosen_group.tell_limiter(self.proxy.proxy_logging_obj.get_proxy_hook)


@lru_cache(maxsize=1)
def _secret_of(master_key: str | None) -> bytes:
    return hashlib.sha256(f"neuronode sessions {master_key}".encode()).digest()
