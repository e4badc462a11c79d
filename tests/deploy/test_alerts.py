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
    """0: none."""
    workers: Callable[[], tuple[WorkerStatus, ...]] = lambda: (worker_at(7),)
    cooling: frozenset[str] = frozenset()
    """Deployments that LiteLLM has taken out."""
    in_turns: bool = False
    """Whether these are back with each other scrape."""
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
        texts: list[bytes] = []

        def cooling() -> frozenset[str]:
            return frozenset() if self.in_turns and texts else self.cooling

        monitor = HealthMonitor(
            MonitorSources(entries=lambda: entries, statistics=statistics, cooling=cooling)
        )
        state = ControlState(self.revision, "premium", make_set(), committed_at=0.0)
        meter = metering(
            statistics=statistics,
            monitor=monitor,
            snapshot=lambda: build_snapshot(state, HOST) if self.revision else None,
            workers=self.workers,
            rules=lambda: self.rules,
            report=lambda: counted,
        )
        for step in (self.traffic, self.traffic, self.once):
            step(meter)
            counted["failures"] += self.failing
            await monitor.refresh()
            texts.append(await meter.exposition())
        return Scrapes(
            *texts[:2], then=texts[2], instance=self.instance, up=self.up, alternates=self.in_turns
        )


FAULTS: Mapping[str, tuple[Worker, ...]] = {
    "NeuronodeDown": (Worker(up=0),),
    "NeuronodeErrors": (Worker(traffic=also(4, outcome=RequestOutcome.TIMEOUT, latency_ms=None)),),
    "NeuronodeGroupGone": (Worker(cooling=frozenset({"id-1"})),),
    "NeuronodeWorkersBehind": (Worker(workers=lambda: (worker_at(6), worker_at(7, host="elsewhere"))),),
    "NeuronodeHostsDiffer": (Worker(), Worker(revision=8, instance="two:4000")),
    "NeuronodeStoreDown": (Worker(workers=unreachable),),
    "NeuronodeNothingInForce": (Worker(revision=0),),
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

DOWN = RequestOutcome.UNAVAILABLE
REFUSED_KEY = {"outcome": RequestOutcome.AUTHENTICATION, "latency_ms": None}
REFUSED_NAME = {"outcome": RequestOutcome.NOT_FOUND, "latency_ms": None}
BEYOND_LIMIT = {"outcome": RequestOutcome.REFUSED_LIMIT, "latency_ms": None, "served_group": ""}


def both(*traffic: Traffic) -> Traffic:
    """Let one after the other end."""

    def all_of_it(meter: Metering) -> None:
        for each in traffic:
            each(meter)

    return all_of_it


OTHER_FAULTS: Mapping[str, tuple[str, tuple[Worker, ...]]] = {
    "nobody is found to be scraped": ("NeuronodeDown", ()),
    "the provider refuses our key": ("NeuronodeErrors", (Worker(traffic=also(4, **REFUSED_KEY)),)),
    "the provider does not know the model": ("NeuronodeErrors", (Worker(traffic=also(4, **REFUSED_NAME)),)),
    "a caller beyond its limit asks more than all others": (
        "NeuronodeErrors",
        (Worker(traffic=both(also(8, outcome=DOWN, latency_ms=None), also(400, **BEYOND_LIMIT))),),
    ),
    "LiteLLM takes a group out for some seconds, again and again": (
        "NeuronodeGroupGone",
        (Worker(traffic=nothing, cooling=frozenset({"id-1"}), in_turns=True),),
    ),
}
"""Another fault -> the alert that tells of it, and its workers."""

NO_FAULTS: Mapping[str, Traffic] = {
    "a caller beyond its limit": also(40, **BEYOND_LIMIT),
    "a caller whose name or key the proxy refuses": both(
        also(40, **REFUSED_KEY, served_group=""), also(40, **REFUSED_NAME, served_group="")
    ),
    "a caller whose prompts are too long, or not answered for what they say": both(
        also(40, outcome=RequestOutcome.CONTEXT_WINDOW, latency_ms=None),
        also(40, outcome=RequestOutcome.CONTENT_POLICY, latency_ms=None),
    ),
}
"""What one client does to itself."""


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


@needs_promtool
@pytest.mark.parametrize("fault", OTHER_FAULTS)
async def test_an_alert_tells_of_all_that_it_is_for(fault: str, tmp_path: Path) -> None:
    """Within twenty minutes, and no other alert does."""
    alert, workers = OTHER_FAULTS[fault]

    found = await judged(tmp_path, *workers)

    assert set().union(*found.values()) == {alert}
    assert {minute for minute, alerts in found.items() if alerts} >= set(found) & set(range(20, 116))


@needs_promtool
@pytest.mark.parametrize("what", NO_FAULTS)
async def test_no_client_alone_wakes_anybody(what: str, tmp_path: Path) -> None:
    """However often it asks what it is refused."""
    found = await judged(tmp_path, Worker(traffic=NO_FAULTS[what]))

    assert {minute: alerts for minute, alerts in found.items() if alerts} == {}


def test_every_alert_has_its_fault() -> None:
    """A rule that nothing makes fire would be one that nobody has seen."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]

    assert [rule["alert"] for rule in rules] == list(FAULTS)
