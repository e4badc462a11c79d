"""What one worker tells Prometheus: requests as they end, decisions, receipts, and how things stand now.

It decides nothing. An exception of ours never fails a request: it is counted.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric

from neuronode_router.auto.router import Routed
from neuronode_router.background import Failures
from neuronode_router.domain.receipts import Receipt, WorkerStatus
from neuronode_router.domain.rollouts import Arm
from neuronode_router.errors import StoreUnavailable
from neuronode_router.health.monitor import HealthMonitor
from neuronode_router.metrics import Catalogue, gauge, render
from neuronode_router.metrics.catalogue import shared_directory
from neuronode_router.policy.document import RuleMode
from neuronode_router.policy.engine import Level
from neuronode_router.routing.overload import NEW, Health
from neuronode_router.routing.snapshot import Snapshot
from neuronode_router.stats.ports import Statistics
from neuronode_router.threads import in_thread
from neuronode_router.usage.finished import GOOD_ENDS, FinishedRequest
from neuronode_router.version import VERSION

FAULTS: Mapping[str, str] = {
    "failures": "admission",
    "router_failures": "router",
    "usage_failures": "usage",
    "metrics_failures": "metrics",
    "loop_failures": "background",
    "store_failures": "store",
    "shadow_failures": "shadow",
    "drifts": "drift",
    "usage_overflowed": "usage_overflowed",
    "usage_uncounted": "usage_uncounted",
    "routing_log_dropped": "routing_log_dropped",
    "history_dropped": "history_dropped",
}
"""From a worker's report to the `kind` of `neuronode_faults_total`."""

OBSERVE_SECONDS = 1.0
"""How often what others count is to be taken up."""

STATISTICS_MODES = ("memory", "redis", "redis (down)")
ROUTING_MODES = ("on", "shadow", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteringSources:
    """Where the facts of this moment come from. Only `workers` and `rules` may block."""

    report: Callable[[], Mapping[str, Any]]
    """What this worker says of itself: the counts of `FAULTS`, and `auto_routing`."""
    snapshot: Callable[[], Snapshot | None]
    """What this worker serves."""
    monitor: HealthMonitor
    statistics: Statistics
    workers: Callable[[], Sequence[WorkerStatus]]
    """May raise `StoreUnavailable`."""
    rules: Callable[[], Mapping[tuple[str, RuleMode], bool]]
    """Of each rule of the policy whether it applies. May raise `StoreUnavailable`."""
    host_version: str


class Metering:
    """One per process."""

    def __init__(self, sources: MeteringSources) -> None:
        self._sources = sources
        self._catalogue = Catalogue()
        self._seen: dict[str, int] = {}
        self._flown: set[str] = set()
        self.failures = Failures()
        self._harmless = self.failures.harmless("counting for the metrics")

    def ended(self, finished: FinishedRequest) -> None:
        """Count a request that has ended. Never raises."""
        with self._harmless:
            self._ended(finished)

    def decided(self, routed: Routed, caller: str, body: Mapping[str, Any]) -> None:
        """Count a routed `auto` request. A watcher of the AutoRouter; never raises."""
        with self._harmless:
            counted, decision = self._catalogue, routed.decision
            counted.decisions.labels(decision.profile or "", str(decision.tier or "")).inc()
            for step in decision.steps:
                counted.steps.labels(step.value).inc()
            for name in routed.unaccepted:
                counted.unaccepted.labels(name).inc()
            counted.decision.observe(routed.took_ms / 1000)

    def switched(self, receipt: Receipt) -> None:
        """Count a change of the control state. Never raises."""
        with self._harmless:
            late = "false" if receipt.awaited else "unawaited"
            complete = "true" if receipt.complete else late
            self._catalogue.switches.labels(receipt.action, complete).observe(receipt.duration_ms / 1000)

    def mirrored(self, profile: str, outcome: str) -> None:
        """Count a request that a shadow comparison of a profile chose. Never raises."""
        with self._harmless:
            self._catalogue.shadow_requests.labels(profile, outcome).inc()

    def policy_acted(self, level: Level, *, done: bool) -> None:
        """Count what the policy did, or was refused to do. Never raises."""
        with self._harmless:
            counted = self._catalogue.policy_acts if done else self._catalogue.policy_refusals
            counted.labels(level).inc()

    def warmed(self, what: str, seconds: float) -> None:
        """Count what was done about a local model. Never raises."""
        with self._harmless:
            self._catalogue.warm_models.labels(what).inc()
            if what == "loaded":
                self._catalogue.warm_load.observe(seconds)

    async def observe(self) -> None:
        """Take up what other parts of this worker have counted since, and what runs now. Call it now and then."""
        self._observe_faults()
        self._observe_attempts()

    async def exposition(self) -> bytes:
        """Return the metrics of all workers of this host as text. Raises `OSError` for unreadable files."""
        await self.observe()
        standing = list(self._standing())
        return await in_thread(lambda: render(self._catalogue, (*standing, *self._workers())))

    def _ended(self, finished: FinishedRequest) -> None:
        counted, key = self._catalogue, finished.key
        names = key.profile, key.task, key.served_group
        counted.requests.labels(
            key.profile, key.task, key.tier, key.served_group, key.reason, key.outcome
        ).inc()
        for kind, number in (
            ("prompt", finished.prompt_tokens),
            ("completion", finished.completion_tokens),
            ("cached", finished.cached_tokens),
        ):
            if number > 0:
                counted.tokens.labels(*names, kind).inc(number)
        if key.arm in tuple(Arm):
            counted.rollout_requests.labels(key.profile, key.arm, key.outcome).inc()
        if finished.fallback:
            counted.fallbacks.labels(key.profile, key.chosen_group).inc()
        if finished.cost is not None and finished.cost >= 0:
            counted.cost.labels(*names).inc(finished.cost)
        elif key.outcome in GOOD_ENDS:
            counted.unpriced.labels(key.served_group).inc()
        if finished.latency_ms is not None:
            counted.answer.labels(key.profile, key.task).observe(finished.latency_ms / 1000)
        if finished.first_token_ms is not None:
            counted.first_token.labels(key.profile, key.task).observe(finished.first_token_ms / 1000)

    def _observe_faults(self) -> None:
        report = {**self._sources.report(), "metrics_failures": self.failures.total}
        for name, kind in FAULTS.items():
            now, before = report.get(name, 0), self._seen.get(name, 0)
            # A count that fell began anew: `store_failures` does whenever the store answers again.
            self._catalogue.faults.labels(kind).inc(now - before if now >= before else now)
            self._seen[name] = now

    def _observe_attempts(self) -> None:
        depths = self._sources.statistics.recorder.depths
        running: Counter[str] = Counter()
        for group, deployments in self._sources.monitor.registry.groups.items():
            running[group] = sum(depths.get(deployment.id, 0) for deployment in deployments)
        for group in self._flown - running.keys():
            self._catalogue.in_flight.labels(group).set(0)  # a series of a shared file cannot be taken back
        self._flown |= running.keys()
        for group, number in running.items():
            self._catalogue.in_flight.labels(group).set(number)

    def _standing(self) -> Iterator[Metric]:
        """Yield how things stand for this worker."""
        sources, monitor, snapshot = self._sources, self._sources.monitor, self._sources.snapshot()
        versions = VERSION, sources.host_version
        yield gauge("build_info", "Versions in use.", ("plugin", "litellm"), {versions: 1})
        yield gauge(
            "metrics_shared",
            "1 where the counts of all workers are added up, 0 where each worker shows its own.",
            (),
            {(): shared_directory() is not None},
        )
        yield _one_of(
            "statistics_mode", "Where statistics of deployments are kept.", "mode",
            STATISTICS_MODES, sources.statistics.mode,
        )  # fmt: skip
        yield _one_of(
            "auto_routing", "Whether `auto` requests are classified.", "mode",
            ROUTING_MODES, str(sources.report().get("auto_routing")),
        )  # fmt: skip
        if snapshot is not None:
            state = snapshot.state
            yield gauge("revision", "The revision that this worker serves.", (), {(): state.revision})
            yield _one_of(
                "active_profile", "1 for the profile in force.", "profile",
                sorted(state.profiles.profiles), state.active,
            )  # fmt: skip
            tried: dict[tuple[str, ...], float] = {}
            if state.canary is not None:
                tried[state.canary.profile,] = state.canary.share / 1000
            yield gauge("rollout_share", "The share of a profile that is tried, 0 to 1.", ("profile",), tried)
        states: dict[tuple[str, ...], float] = {}
        for group, deployments in monitor.registry.groups.items():
            found = Counter(monitor.verdicts.get(one.id, NEW).health for one in deployments)
            states |= {(group, health.value): found[health] for health in Health}
        yield gauge(
            "deployments", "Deployments by state, as this worker sees them.", ("group", "state"), states
        )

    def _workers(self) -> Iterator[Metric]:
        """Yield what the store knows of the workers of this host, and of the policy's rules. Blocks."""
        try:
            workers, rules = self._sources.workers(), self._sources.rules()
        except StoreUnavailable:
            yield gauge("store_up", "Whether the SQL store answers.", (), {(): 0})
            return
        yield gauge("store_up", "Whether the SQL store answers.", (), {(): 1})
        live = [worker for worker in workers if worker.live]
        newest = max((worker.revision for worker in live), default=0)
        here = [worker for worker in live if worker.host == socket.gethostname()]
        behind = sum(worker.revision < newest for worker in here)
        states: dict[tuple[str, ...], float] = {("current",): len(here) - behind, ("behind",): behind}
        yield gauge(
            "workers",
            "Live workers of this host, by whether they serve the newest revision.",
            ("state",),
            states,
        )
        yield gauge(
            "background_stalled",
            "Workers of this host in which a background part has not succeeded for three of its intervals.",
            ("activity",),
            _said_by(here, "stalled"),
        )
        yield gauge(
            "part_off",
            "Workers of this host in which a part is off, because LiteLLM lacks what it needs.",
            ("part",),
            _said_by(here, "parts_off"),
        )
        yield gauge(
            "policy_rule",
            "Whether a rule of the policy applies; one in `dry_run` only would.",
            ("rule", "mode"),
            {(name, str(mode)): applies for (name, mode), applies in rules.items()},
        )


def _said_by(workers: Sequence[WorkerStatus], word: str) -> dict[tuple[str, ...], float]:
    """Return how many of the workers report each entry of a list."""
    return dict(Counter((str(entry),) for worker in workers for entry in worker.report.get(word) or ()))


def _one_of(name: str, about: str, label: str, values: Sequence[str], now: str) -> Metric:
    return gauge(name, about, (label,), {(value,): value == now for value in values})
