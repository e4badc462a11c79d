"""The health monitor looks only at deployments of which something is known; what it shows is as if it looked at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.health.monitor import HealthMonitor, MonitorSources, load_of
from neuronode_router.routing.overload import Health, HealthVerdict, judge_all
from neuronode_router.stats.evidence import Attempt
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.stats.summary import DeploymentStats

NAMES = ("a", "b", "c", "d")


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_005.0

    def __call__(self) -> float:
        return self.now


def entry(name: str) -> dict[str, Any]:
    """What `a` is expected to take is learned, and `b` works on two requests at a time."""
    note = {"tier": "fast"} | ({} if name == "a" else {"avg_latency_ms": 100})
    note |= {"parallel": 2} if name == "b" else {}
    return {"model_name": f"group-{name in 'ab'}", "model_info": {"id": name, "neuronode": note}}


SHARED = {**entry("a"), "model_name": "another"}
"""LiteLLM lets groups share a deployment's id."""


steps = st.fixed_dictionaries(
    {
        "answered": st.dictionaries(st.sampled_from(NAMES[:2]), st.sampled_from([50.0, 1000.0])),
        "cooling": st.frozensets(st.sampled_from(NAMES), max_size=1),
        "there": st.sampled_from([*(5 * [set(NAMES)]), set(NAMES[1:])]),
        "seconds": st.sampled_from([1.0, 30.0, 400.0]),
    }
)


@settings(max_examples=settings().max_examples * 4)
@given(st.lists(steps, min_size=1, max_size=6))
def test_it_shows_what_judging_everything_would_show(taken: list[dict[str, Any]]) -> None:
    asyncio.run(_followed(taken))


async def _followed(taken: list[dict[str, Any]]) -> None:
    clock, entries = Clock(), {name: entry(name) for name in NAMES}
    statistics, there, cooling = MemoryStatistics(clock=clock), list(entries.values()), frozenset[str]()
    monitor = HealthMonitor(
        MonitorSources(entries=lambda: there, statistics=statistics, cooling=lambda: cooling, clock=clock)
    )
    expected: Mapping[str, HealthVerdict] = {}
    for step in taken:
        clock.now += step["seconds"]
        there, cooling = [entries[name] for name in NAMES if name in step["there"]], step["cooling"]
        if "a" in step["there"]:
            there = [SHARED, *there]
        for name, milliseconds in step["answered"].items():
            for _ in range(6):
                statistics.recorder.record(name, Attempt(milliseconds, tokens=10))
        await statistics.refresh()

        await monitor.refresh()

        deployments = {one.id: one for group in monitor.registry.groups.values() for one in group}
        measured = statistics.snapshot()
        loads = {name: load_of(measured.get(name), cooling=name in cooling) for name in deployments}
        expected = judge_all(expected, deployments, loads, now=clock.now)
        assert _timeless(monitor.verdicts) == _timeless(expected)
        assert set(deployments) == step["there"]
        for group, statuses in monitor.statuses.items():
            assert [each.deployment for each in statuses] == list(monitor.registry.groups[group])
            assert [each.health for each in statuses] == [
                expected[each.deployment.id].health for each in statuses
            ]
        assert set(monitor.statuses) == {entry["model_name"] for entry in there}
        assert set(monitor.live_statuses()) == set(monitor.statuses)
        for name, deployment in deployments.items():
            candidate = monitor.candidate(name)
            assert candidate is not None
            assert candidate.status.deployment is deployment
            assert candidate.latency_ms == _latency(measured.get(name))


def test_an_hour_without_requests_does_not_let_a_learned_latency_rise_at_once() -> None:
    """It may rise a little with every look at answers; looks at nothing are looks all the same."""
    asyncio.run(_unused_for_an_hour())


async def _unused_for_an_hour() -> None:
    clock = Clock()
    statistics = MemoryStatistics(clock=clock)
    monitor = HealthMonitor(
        MonitorSources(
            entries=[entry("a"), entry("b")].copy, statistics=statistics, cooling=frozenset, clock=clock
        )
    )

    async def look(**answers: float) -> None:
        for name, milliseconds in answers.items():
            for _ in range(8):
                statistics.recorder.record(name, Attempt(milliseconds, tokens=10))
        await statistics.refresh()
        await monitor.refresh()

    await look(a=100.0)
    for _ in range(60):
        clock.now += 60.0
        await look(b=100.0)
    await look(a=250.0)

    assert monitor.verdicts["a"].health is Health.SLOW


def _latency(measured: DeploymentStats | None) -> float | None:
    return None if measured is None else measured.window.short_answer.p50_ms


def _timeless(verdicts: Mapping[str, HealthVerdict]) -> Mapping[str, HealthVerdict]:
    return {name: replace(verdict, judged_at=0.0, since=0.0) for name, verdict in verdicts.items()}
