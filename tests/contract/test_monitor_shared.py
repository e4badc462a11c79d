"""Two workers with monitors of their own over one real Redis: what one measures, the other judges by."""

from __future__ import annotations

from types import SimpleNamespace

from neuronode_router.health.monitor import HealthMonitor, MonitorSources
from neuronode_router.routing.overload import Health
from neuronode_router.stats.evidence import Attempt
from neuronode_router.stats.shared import RedisStatistics
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

LISTED = SimpleNamespace(
    model_list=[{"model_name": "tier_fast", "model_info": {"id": "a", "neuronode": {"avg_latency_ms": 100}}}]
)


def health(monitor: HealthMonitor) -> Health:
    (status,) = monitor.statuses["tier_fast"]
    return status.health


async def test_a_worker_judges_by_what_another_has_measured(redis_server: RedisServer) -> None:
    """A deployment that only worker A saw degrade is slow on worker B's monitor too."""
    statistics = [RedisStatistics(redis_server.url) for _ in range(2)]
    monitors = [
        HealthMonitor(MonitorSources(entries=lambda: LISTED.model_list, statistics=each, cooling=frozenset))
        for each in statistics
    ]
    for each in (*statistics, *monitors):
        await each.start()
    await eventually(lambda: [each.mode for each in statistics] == ["redis", "redis"])
    before = [health(monitor) for monitor in monitors]

    for _ in range(6):
        statistics[0].recorder.record("a", Attempt(450, tokens=10))
    await eventually(lambda: [health(monitor) for monitor in monitors] == [Health.SLOW, Health.SLOW])
    for each in (*monitors, *statistics):
        await each.stop()

    assert before == [Health.OK, Health.OK]
    assert statistics[1].recorder.window.slots == {}, "worker B has measured nothing itself"
