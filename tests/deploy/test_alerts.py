"""Each alert fires on its fault, alone, and none on a healthy proxy: by Prometheus itself, on what we tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuronode_router.domain.receipts import Receipt, WorkerStatus
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import StoreUnavailable
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.metrics.metering import Metering
from neuronode_router.policy.document import RuleMode
from neuronode_router.policy.engine import Level
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.usage.finished import RequestOutcome
from tests.support.alerting import HAPPENS_AT, RULES, Scrapes, firing, needs_promtool
from tests.support.control import HOST, make_set
from tests.support.metering import metering, worker_at
from tests.support.usage import finished

Traffic = Callable[[Metering], None]


def healthy(meter: Metering) -> None:
    """Let a minute's requests end: most are answered, a client is wrong, one leaves, one falls back."""
    for _ in range(40):
        meter.ended(finished(first_token_ms=40.0))
    for outcome in (RequestOutcome.BAD_REQUEST, RequestOutcome.CANCELLED):
        meter.ended(finished(outcome=outcome, latency_ms=None))
    meter.ended(finished(served_group="spare"))
    meter.policy_acted(Level.SCHEDULE, done=True)


def also(times: int, **changes: Any) -> Traffic:
    """The same, and some other requests."""

    def traffic(meter: Metering) -> None:
        healthy(meter)
        for _ in range(times):
            meter.ended(finished(**changes))

    return traffic


def nothing(meter: Metering) -> None:
    """Let nothing happen."""


def incomplete(meter: Metering) -> None:
    """Let a switch end that a worker has not acknowledged."""
    meter.switched(
        Receipt(
            revision=7,
            changed=True,
            dry_run=False,
            action="switch",
            profile="premium",
            previous_profile=None,
            changes=(),
            committed_at=0.0,
            workers=(),
            complete=False,
            duration_ms=5000.0,
        )
    )


def refused(meter: Metering) -> None:
    """Let the policy be refused what it wants."""
    healthy(meter)
    meter.policy_acted(Level.SCHEDULE, done=False)


RULES_AT_EASE = {
    ("smart-down", RuleMode.EMERGENCY): False,
    ("month", RuleMode.ORDINARY): True,
    ("trial", RuleMode.DRY_RUN): True,
}
"""An ordinary rule and one that only would: nobody is woken for what an operator asked for."""


class RedisGone(MemoryStatistics):
    """What statistics say of themselves while Redis does not answer."""

    mode = "redis (down)"


def unreachable() -> tuple[WorkerStatus, ...]:
    """The store does not answer."""
    raise StoreUnavailable("gone")


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that tells its metrics; the defaults are a healthy one."""

    traffic: Traffic = healthy
    once: Traffic = nothing
    revision: int = 7
    workers: Callable[[], tuple[WorkerStatus, ...]] = lambda: (worker_at(7),)
    cooling: frozenset[str] = frozenset()
    statistics: type[MemoryStatistics] = MemoryStatistics
    rules: Mapping[tuple[str, RuleMode], bool] = field(default_factory=lambda: RULES_AT_EASE)
    failing: int = 0
    """Failures of admission in a minute."""
    instance: str = "one:4000"
    up: float = 1

    async def scrapes(self) -> Scrapes:
        """Return what Prometheus reads."""
        statistics, counted = self.statistics(), {"failures": 0}
        entries = [{"model_name": "tier_fast", "model_info": {"id": "id-1"}}]
        sources = MonitorSources(entries=lambda: entries, statistics=statistics, cooling=lambda: self.cooling)
        monitor = HealthMonitor(sources)
        await monitor.refresh()
        state = ControlState(self.revision, "premium", make_set(), committed_at=0.0)
        meter = metering(
            statistics=statistics,
            monitor=monitor,
            snapshot=lambda: build_snapshot(state, HOST),
            workers=self.workers,
            rules=lambda: self.rules,
            report=lambda: counted,
        )
        texts = []
        for step in (self.traffic, self.traffic, self.once):
            step(meter)
            counted["failures"] += self.failing
            texts.append(await meter.exposition())
        return Scrapes(*texts[:2], then=texts[2], instance=self.instance, up=self.up)


FAULTS: Mapping[str, tuple[Worker, ...]] = {
    "NeuronodeDown": (Worker(up=0),),
    "NeuronodeErrors": (Worker(traffic=also(4, outcome=RequestOutcome.TIMEOUT, latency_ms=None)),),
    "NeuronodeGroupGone": (Worker(cooling=frozenset({"id-1"})),),
    "NeuronodeWorkersBehind": (Worker(workers=lambda: (worker_at(6), worker_at(7, host="elsewhere"))),),
    "NeuronodeHostsDiffer": (Worker(), Worker(revision=8, instance="two:4000")),
    "NeuronodeStoreDown": (Worker(workers=unreachable),),
    "NeuronodeBackgroundStalled": (Worker(workers=lambda: (worker_at(7, stalled=["judging"]),)),),
    "NeuronodePartOff": (Worker(workers=lambda: (worker_at(7, parts_off=["usage"]),)),),
    "NeuronodeStatisticsAlone": (Worker(statistics=RedisGone),),
    "NeuronodeFallbacks": (Worker(traffic=also(20, served_group="spare")),),
    "NeuronodeFaults": (Worker(failing=1),),
    "NeuronodeSwitchIncomplete": (Worker(once=incomplete),),
    "NeuronodePolicyRefused": (Worker(traffic=refused),),
    "NeuronodePolicyEmergency": (Worker(rules={("smart-down", RuleMode.EMERGENCY): True}),),
    "NeuronodeUnpriced": (Worker(traffic=also(1, cost=None)),),
    "NeuronodeCountsApart": (Worker(workers=lambda: (worker_at(7), worker_at(7))),),
}
"""Alert -> the workers of which something is wrong."""


async def judged(directory: Path, *workers: Worker) -> dict[int, set[str]]:
    """Return by minute which alerts fire."""
    return firing(directory, *[await worker.scrapes() for worker in workers])


@needs_promtool
async def test_no_alert_fires_while_all_is_well(tmp_path: Path) -> None:
    """Not in two hours of usual traffic, in which a switch is made, on two hosts that start at one time."""
    found = await judged(tmp_path, Worker(), Worker(instance="two:4000"))

    assert {minute: alerts for minute, alerts in found.items() if alerts} == {}


@needs_promtool
@pytest.mark.parametrize("alert", FAULTS)
async def test_an_alert_fires_on_its_fault_and_no_other_does(alert: str, tmp_path: Path) -> None:
    """What lasts is told within twenty minutes and goes on; what happens once is told within five."""
    found = await judged(tmp_path, *FAULTS[alert])

    once = any(worker.once is not nothing for worker in FAULTS[alert])
    fires = {minute for minute, alerts in found.items() if alert in alerts}
    assert set().union(*found.values()) == {alert}
    if once:
        assert HAPPENS_AT + 5 in fires
        assert min(fires) > HAPPENS_AT - 5
    else:
        assert fires >= {minute for minute in found if 20 <= minute <= 115}


def test_every_alert_has_its_fault() -> None:
    """A rule that nothing makes fire would be one that nobody has seen."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]

    assert [rule["alert"] for rule in rules] == list(FAULTS)
