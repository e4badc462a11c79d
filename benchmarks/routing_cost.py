"""Nanoseconds of CPU for what a request pays to routing: one record, one ladder, one pick. No LiteLLM, no network.

And what the background pays: a snapshot of a busy fleet, judging it, and a look of the health monitor
where a deployment has answered since the last one, and where none has.

Usage: python -m benchmarks.routing_cost [--repeats 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.domain.names import Tier
from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.routing.fallback_chain import Constraints, DeploymentStatus, climb
from neuronode_router.routing.fit import Needs
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health, Load, judge_all
from neuronode_router.routing.pick import Candidate, quickest, shortlist
from neuronode_router.stats.evidence import Attempt
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.stats.window import SLOT_SECONDS, WINDOW_SLOTS

GROUPS = ("tier_fast", "classification", "tier_medium", "synthesis", "tier_complex", "validation")
TIERS = {Tier.FAST: GROUPS[:2], Tier.MEDIUM: GROUPS[2:4], Tier.COMPLEX: GROUPS[4:]}
PER_GROUP = 5


def per_call(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of thread CPU in nanoseconds, in batches of 20 calls."""
    batches: list[float] = []
    for _ in range(max(repeats // 20, 100)):
        began = time.thread_time_ns()
        for _ in range(20):
            call()
        batches.append((time.thread_time_ns() - began) / 20)
    batches.sort()
    return batches[len(batches) // 2], batches[int(len(batches) * 0.99)]


def fleet() -> dict[str, Deployment]:
    """Return six groups of five deployments."""
    return {
        f"{group}-{number}": Deployment(
            id=f"{group}-{number}", group=group, expected_ms=200.0, context_window=8192
        )
        for group in GROUPS
        for number in range(PER_GROUP)
    }


def busy(deployments: dict[str, Deployment]) -> MemoryStatistics:
    """Return statistics of a fleet that has been busy for five minutes, with latencies of every size."""
    now = [1_800_000_000.0]
    statistics = MemoryStatistics(clock=lambda: now[0])
    chance = random.Random(7)
    for _ in range(WINDOW_SLOTS):
        now[0] += SLOT_SECONDS
        for name in deployments:
            for _ in range(50):
                total = chance.lognormvariate(6.5, 1)
                statistics.recorder.record(
                    name, Attempt(total_ms=total, first_token_ms=total * 0.3, tokens=chance.randrange(5, 400))
                )
    return statistics


def monitor_over(statistics: MemoryStatistics, deployments: dict[str, Deployment]) -> HealthMonitor:
    """Return a monitor that has looked at the fleet once."""
    listed = [
        {"model_name": entry.group, "model_info": {"id": name, "neuronode": {"avg_latency_ms": 200}}}
        for name, entry in deployments.items()
    ]
    monitor = HealthMonitor(MonitorSources(entries=lambda: listed, statistics=statistics, cooling=frozenset))
    asyncio.run(monitor.refresh())
    return monitor


def look(monitor: HealthMonitor, happens: Callable[[], Awaitable[None]], times: int = 50) -> float:
    """Return the nanoseconds of thread CPU of one look, the mean of several, without what `happens` before each."""

    async def looks() -> int:
        spent = 0
        for _ in range(times):
            await happens()
            began = time.thread_time_ns()
            await monitor.refresh()
            spent += time.thread_time_ns() - began
        return spent

    return asyncio.run(looks()) / times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20_000)
    repeats = parser.parse_args().repeats
    deployments, chance = fleet(), random.Random(7)
    statistics = busy(deployments)
    monitor = monitor_over(statistics, deployments)
    statuses = {
        group: tuple(
            DeploymentStatus(entry, chance.choice(list(Health)))
            for entry in deployments.values()
            if entry.group == group
        )
        for group in GROUPS
    }
    needs = Needs(tokens=2000)
    decision = Decision("auto", GROUPS[-1], Reason.ACTIVE_PROFILE, auto=True)
    constraints = Constraints(Tier.COMPLEX, needs=needs, chance=0.5)
    candidates = [Candidate(found, 200.0, 3) for found in statuses["tier_fast"]]
    attempt = Attempt(total_ms=812.5, first_token_ms=120.0, tokens=60)
    loads = {name: Load(latency_ms=300.0, samples=20, in_flight=2) for name in deployments}

    def begin_and_end() -> None:
        statistics.recorder.begin("x", "tier_fast-0")
        statistics.recorder.end("x")

    async def answered() -> None:
        statistics.recorder.record("tier_fast-0", attempt)
        await statistics.refresh()

    calls: dict[str, Callable[[], object]] = {
        "begin + end": begin_and_end,
        "record": lambda: statistics.recorder.record("tier_fast-0", attempt),
        "ladder (6 groups, 30 deployments)": lambda: climb(
            decision, constraints, tiers=TIERS, groups=statuses
        ),
        "pick (5 deployments)": lambda: quickest(
            shortlist(candidates, needs=needs, random=chance.random), random=chance.random
        ),
        "candidate of the monitor": lambda: monitor.candidate("tier_fast-0"),
        "judge 30 deployments": lambda: judge_all({}, deployments, loads, now=1.0),
    }
    for name, call in calls.items():
        median, tail = per_call(call, repeats)
        print(f"{name:40} p50 {median:10,.0f} ns   p99 {tail:10,.0f} ns")
    began = time.thread_time_ns()
    asyncio.run(statistics.refresh())
    print(f"{'snapshot of a busy fleet, in 15 parts':40}     {time.thread_time_ns() - began:10,.0f} ns")
    for name, happens in (("after an answer", answered), ("after none", statistics.refresh)):
        print(f"{f'look at 30 deployments, {name}':40}     {look(monitor, happens):10,.0f} ns")


if __name__ == "__main__":
    main()
