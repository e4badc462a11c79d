"""Two workers with boards of their own over one real Redis: what one measures, the other judges by."""

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


def health(board: HealthMonitor) -> Health:
    (standing,) = board.standings["tier_fast"]
    return standing.health


async def test_a_worker_judges_by_what_another_has_measured(redis_server: RedisServer) -> None:
    """A deployment that only worker A saw degrade is slow on worker B's board too."""
    statistics = [RedisStatistics(redis_server.url) for _ in range(2)]
    boards = [
        HealthMonitor(MonitorSources(entries=lambda: LISTED.model_list, statistics=each, cooling=frozenset))
        for each in statistics
    ]
    for each in (*statistics, *boards):
        await each.start()
    await eventually(lambda: [each.mode for each in statistics] == ["redis", "redis"])
    before = [health(board) for board in boards]

    for _ in range(6):
        statistics[0].recorder.record("a", Attempt(450, tokens=10))
    await eventually(lambda: [health(board) for board in boards] == [Health.SLOW, Health.SLOW])
    for each in (*boards, *statistics):
        await each.stop()

    assert before == [Health.OK, Health.OK]
    assert statistics[1].recorder.window.slots == {}, "worker B has measured nothing itself"
