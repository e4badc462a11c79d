"""The health monitor over a real litellm.Router, with statistics that are counted by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import pytest

from neuronode_router.background import Failures
from neuronode_router.domain.names import Tier
from neuronode_router.health import monitor as monitor_module
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.health.ollama_probe import OllamaProbes
from neuronode_router.litellm_plugin.health_wiring import HealthWiring
from neuronode_router.routing.overload import Health as State
from neuronode_router.routing.overload import HealthReason
from neuronode_router.stats.evidence import Attempt
from neuronode_router.stats.memory import MemoryStatistics
from tests.host.routers import add, bridged, cool_down, cooldowns_of, remove, warm_up
from tests.support.ollama import OllamaServer, Served, running_ollama
from tests.support.waiting import eventually

SECRET = "sk-canary-0451"


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_005.0

    def __call__(self) -> float:
        return self.now


def entry(group: str, name: str, **note: Any) -> dict[str, Any]:
    return {
        "model_name": group,
        "litellm_params": {"model": f"openai/{name}", "api_key": SECRET, "api_base": "http://127.0.0.1:9"},
        "model_info": {"id": name, "neuronode": {"tier": "fast", "avg_latency_ms": 100, **note}},
    }


@pytest.fixture
def router() -> Any:
    return litellm.Router(
        model_list=[entry("tier_fast", "a"), entry("tier_fast", "b", parallel=1), entry("tier_medium", "c")]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def statistics(clock: Clock) -> MemoryStatistics:
    return MemoryStatistics(clock=clock)


@pytest.fixture
def monitor(router: Any, statistics: MemoryStatistics, clock: Clock) -> HealthMonitor:
    return HealthMonitor(
        MonitorSources(
            entries=bridged(router).entries,
            statistics=statistics,
            cooling=bridged(router).cooling,
            clock=clock,
        )
    )


def answer(statistics: MemoryStatistics, name: str, milliseconds: float, *, times: int = 6) -> None:
    for _ in range(times):
        statistics.recorder.record(name, Attempt(milliseconds, tokens=10))


async def look(monitor: HealthMonitor, statistics: MemoryStatistics) -> None:
    await statistics.refresh()
    await monitor.refresh()


def states(monitor: HealthMonitor) -> dict[str, State]:
    return {status.deployment.id: status.health for group in monitor.statuses.values() for status in group}


async def test_what_litellms_list_says_is_known_to_the_monitor(
    monitor: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """Groups in LiteLLM's order, with what their notes say; unknown ids are unknown."""
    empty = monitor.statuses, monitor.candidate("a")

    await look(monitor, statistics)

    assert empty == ({}, None)
    assert {group: [s.deployment.id for s in found] for group, found in monitor.statuses.items()} == {
        "tier_fast": ["a", "b"],
        "tier_medium": ["c"],
    }
    assert monitor.registry.groups["tier_fast"][1].tier is Tier.FAST
    assert set(states(monitor).values()) == {State.OK}
    assert monitor.candidate("nobody") is None


async def test_measured_slowness_and_errors_are_judged(
    monitor: HealthMonitor, statistics: MemoryStatistics, clock: Clock
) -> None:
    """Latency and errors of the last seconds change how a deployment stands, with the reason in numbers."""
    answer(statistics, "a", 450)
    for _ in range(6):
        statistics.recorder.record("c", Attempt(5, status=503))
    await look(monitor, statistics)

    assert states(monitor) == {"a": State.SLOW, "b": State.OK, "c": State.FAILING}
    verdict = monitor.verdicts["a"]
    assert (verdict.why, verdict.limit, verdict.since) == (HealthReason.LATENCY, 200.0, clock.now)
    assert verdict.value == pytest.approx(450, rel=0.05)
    assert monitor.verdicts["c"].value == 1.0


async def test_a_candidate_knows_what_runs_now(monitor: HealthMonitor, statistics: MemoryStatistics) -> None:
    """Its depth is of this moment, not of the last look; its latency is the median of the last minutes."""
    answer(statistics, "a", 120)
    await look(monitor, statistics)

    statistics.recorder.begin("attempt", "a")
    found = monitor.candidate("a")

    assert found is not None
    assert (found.in_flight, found.status) == (1, monitor.statuses["tier_fast"][0])
    assert found.latency_ms == pytest.approx(120, rel=0.05)


async def test_a_queue_is_seen_before_its_answers_end(
    monitor: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """Where `parallel` is known, requests that wait make it slow at once."""
    for number in range(3):
        statistics.recorder.begin(str(number), "b")
    await look(monitor, statistics)

    assert (states(monitor)["b"], monitor.verdicts["b"].why) == (State.SLOW, HealthReason.QUEUE)


async def test_a_burst_is_seen_between_two_looks(
    monitor: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """What requests are routed by knows the queue of this moment; the published picture comes with the next look."""
    await look(monitor, statistics)
    for number in range(3):
        statistics.recorder.begin(str(number), "b")

    live = {each.deployment.id: each.health for group in monitor.live_statuses().values() for each in group}

    assert (live["b"], states(monitor)["b"]) == (State.SLOW, State.OK)


async def test_litellms_cooldown_is_known_to_the_monitor(
    router: Any, monitor: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """What LiteLLM cools down stands so, and is on probation when LiteLLM lets it back."""
    cool_down(router, "a")
    await look(monitor, statistics)
    cooled = states(monitor)["a"]

    warm_up(router, "a")
    await look(monitor, statistics)

    assert (cooled, states(monitor)["a"]) == (State.COOLDOWN, State.PROBING)


async def test_cooldowns_are_read_as_litellm_reads_them(router: Any) -> None:
    """One that is over is over, whatever is left of it in memory; without a router nothing cools."""
    cool_down(router, "a")
    cool_down(router, "b", seconds=0.0)

    theirs = await cooldowns_of(router).async_get_active_cooldowns(["a", "b", "c"], None)
    assert bridged(router).cooling() == {name for name, _ in theirs} == {"a"}
    assert bridged(None).cooling() == frozenset()


async def test_a_changed_list_is_read_again_and_an_unchanged_one_is_not(
    router: Any, monitor: HealthMonitor, statistics: MemoryStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM's own calls to add, edit and delete deployments are noticed."""
    reads: list[int] = []
    read = monitor_module.read_inventory

    def counted(entries: Any) -> Any:
        reads.append(len(entries))
        return read(entries)

    monkeypatch.setattr(monitor_module, "read_inventory", counted)
    await look(monitor, statistics)
    await look(monitor, statistics)
    add(router, entry("tier_fast", "d"))
    await look(monitor, statistics)
    add(router, entry("tier_fast", "d", avg_latency_ms=7))
    await look(monitor, statistics)
    edited = {found.id: found.expected_ms for found in monitor.registry.groups["tier_fast"]}
    remove(router, "a")
    await look(monitor, statistics)

    assert edited == {"a": 100, "b": 100, "d": 7}
    assert [found.id for found in monitor.registry.groups["tier_fast"]] == ["b", "d"]
    assert reads == [3, 4, 4, 3]
    assert "a" not in monitor.verdicts


async def test_each_change_is_logged_once_and_shows_no_key(
    monitor: HealthMonitor, statistics: MemoryStatistics, caplog: pytest.LogCaptureFixture
) -> None:
    """Deployment, group, from, to, why, value and limit: one line for a change, none for none."""
    caplog.set_level(logging.INFO, monitor_module.__name__)
    answer(statistics, "a", 450)

    for _ in range(3):
        await look(monitor, statistics)

    (line,) = caplog.messages
    assert line.startswith("neuronode: deployment 'a' of 'tier_fast': ok -> slow, latency (4")
    assert line.endswith(" ms, limit 200 ms)")
    assert [word for word in (SECRET, "127.0.0.1") if word in line] == []


async def test_nothing_that_goes_wrong_ends_the_loop(
    router: Any, statistics: MemoryStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that fails leaves what was published, is counted, and the next one is as good as any."""
    monkeypatch.setattr(monitor_module, "INTERVAL_SECONDS", 0.005)
    failures, broken = Failures(), True

    def sometimes() -> frozenset[str]:
        if broken:
            raise RuntimeError("not now")
        return frozenset()

    monitor = HealthMonitor(
        MonitorSources(entries=bridged(router).entries, statistics=statistics, cooling=sometimes),
        failures=failures,
    )
    await monitor.start()
    await eventually(lambda: failures.total > 2)
    during = monitor.statuses

    broken = False
    await eventually(lambda: monitor.statuses)
    await monitor.stop()

    assert during == {}
    assert failures.present() == ()


async def test_a_new_summary_is_judged_at_once(
    monitor: HealthMonitor, statistics: MemoryStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the interval is, what others have counted is on the monitor as soon as it is known here."""
    monkeypatch.setattr(monitor_module, "INTERVAL_SECONDS", 3600)
    await monitor.start()
    answer(statistics, "a", 450)

    await statistics.refresh()
    await eventually(lambda: states(monitor)["a"] is State.SLOW)
    await monitor.stop()


async def test_where_nothing_happens_nothing_is_judged_again(
    monitor: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """An idle worker publishes the same verdicts, not equal new ones, until something is counted."""
    answer(statistics, "a", 450)
    for _ in range(2):
        await look(monitor, statistics)
    resting = monitor.verdicts

    await look(monitor, statistics)
    unchanged = monitor.verdicts is resting
    answer(statistics, "a", 450)
    await look(monitor, statistics)

    assert unchanged
    assert monitor.verdicts is not resting


async def test_a_cooldown_is_seen_though_nothing_was_counted(
    router: Any, statistics: MemoryStatistics
) -> None:
    """What does not come from the statistics is looked for at every look."""
    cooling: frozenset[str] = frozenset()
    monitor = HealthMonitor(
        MonitorSources(entries=bridged(router).entries, statistics=statistics, cooling=lambda: cooling)
    )
    for _ in range(3):
        await look(monitor, statistics)

    cooling = frozenset({"a"})
    await look(monitor, statistics)

    assert states(monitor)["a"] is State.COOLDOWN


async def test_without_a_router_nothing_is_known_and_nothing_fails(statistics: MemoryStatistics) -> None:
    """An SDK user may close his router, and the proxy has none while it starts."""
    failures = Failures()
    monitor = HealthMonitor(
        MonitorSources(entries=bridged(None).entries, statistics=statistics, cooling=bridged(None).cooling),
        failures=failures,
    )

    await monitor.start()
    await monitor.stop()

    assert (monitor.statuses, failures.total) == ({}, 0)


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with running_ollama(Served("llama3.1:8b", context_length=4096)) as running:
        yield running


def local(address: str, served: str) -> dict[str, Any]:
    made = entry("tier_fast", served, context_window=32768)
    made["litellm_params"] |= {"model": f"ollama_chat/{served}", "api_base": address}
    return made


async def test_ollamas_are_found_and_missing_deployments_stand_so(
    ollama: OllamaServer, statistics: MemoryStatistics
) -> None:
    """What the probes find is merged: presence, loading, and the smaller window."""
    router = litellm.Router(
        model_list=[local(ollama.url, "llama3.1:8b"), local(ollama.url, "never-pulled"), entry("x", "c")]
    )
    probes = OllamaProbes(lambda: httpx.AsyncClient(trust_env=False), random=lambda: 0.5, interval=0.02)
    monitor = HealthMonitor(
        MonitorSources(
            entries=bridged(router).entries, statistics=statistics, cooling=frozenset, probes=probes
        )
    )

    await monitor.refresh()
    await eventually(probes.found)
    await monitor.refresh()
    await monitor.stop()

    found = {entry.id: entry for entry in monitor.registry.groups["tier_fast"]}
    assert (found["llama3.1:8b"].loaded, found["llama3.1:8b"].context_window) == (False, 4096)
    assert states(monitor) == {"llama3.1:8b": State.OK, "never-pulled": State.UNAVAILABLE, "c": State.OK}
    assert monitor.problems() == ()
    assert ollama.counts("llama3.1:8b")["loads"] == 0


async def test_a_health_of_ones_own_starts_and_stops(router: Any) -> None:
    """Statistics, probes and monitor come and go together, without a server and without a task left behind."""
    before = asyncio.all_tasks()
    health = HealthWiring(bridged(router), redis_url=None, environ={})

    await health.start()
    known = set(health.monitor.statuses)
    await health.stop()

    assert known == {"tier_fast", "tier_medium"}
    assert asyncio.all_tasks() == before
    assert health.statistics.mode == "memory"
