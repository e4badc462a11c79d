"""Redis frozen, killed, restarted and emptied under load: requests do not notice, switches still arrive."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_client

from neuronode_router.stats.redis_keys import EPOCH, PREFIX
from tests.e2e.asking import chat, decision
from tests.support.history import Seen
from tests.support.place import PROFILES
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.traffic import Driver, driving
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

SENTIMENT = "Wie ist die Stimmung in diesem Text, bullish oder bearish: der DAX steigt."
SWITCHES_PER_FAULT = 5
SLOWER_AT_MOST = 10.0
"""How much the median latency may differ between a healthy and a broken Redis, on a machine that does other
things too; a request that waited for Redis once would be slower by far more."""


@pytest.fixture
def redis(shared_redis: RedisServer) -> Iterator[RedisServer]:
    """The Redis of the shared proxy, restarted afterwards."""
    yield shared_redis
    shared_redis.kill()
    shared_redis.start()


FEW = 5
"""Requests of a fault whose latency is looked at, at least."""


@pytest.mark.timeout(240)
async def test_no_state_of_redis_touches_requests_or_switches(proxy: Proxy, redis: RedisServer) -> None:
    """In each state no request fails or slows down and switches reach every worker; afterwards all is healed."""
    faults: dict[str, Callable[[], Any]] = {
        "healthy": lambda: None,
        "frozen": redis.freeze,
        "thawed": redis.thaw,
        "emptied": lambda: redis.command("FLUSHALL"),
        "killed": redis.kill,
        "restarted": redis.start,
    }
    latency: dict[str, float] = {}
    receipts: list[dict[str, Any]] = []

    async with driving(proxy) as driver, driver.load(plain=2, streams=1):
        targets = itertools.cycle(p for p in PROFILES if p != driver.history.first_profile)
        for fault, happen in faults.items():
            before = len(driver.history.requests)
            happen()
            receipts += [await driver.switch(next(targets)) for _ in range(SWITCHES_PER_FAULT)]
            # Switches may be quicker than the first answers of a fault.
            await eventually(lambda before=before: len(driver.history.requests) >= before + FEW, seconds=20)
            latency[fault] = _median_latency(driver.history.requests[before:])
        await _healed(driver)
    async with driving(proxy) as operator:
        operator.history.first_revision = driver.history.first_revision
        audit = await operator.audit()

    assert [receipt for receipt in receipts if not receipt["complete"]] == []
    assert driver.history.faults(audit) == []
    slower = {fault: seconds / latency["healthy"] for fault, seconds in latency.items()}
    assert max(slower.values()) < SLOWER_AT_MOST, slower


def test_auto_decisions_go_on_whatever_redis_does(proxy: Proxy, redis: RedisServer) -> None:
    """Frozen, emptied, poisoned, killed: each request is classified, reaches its tier, and is answered."""
    faults: dict[str, Callable[[], Any]] = {
        "healthy": lambda: None,
        "poisoned": lambda: _poison(redis),
        "emptied": lambda: redis.command("FLUSHALL"),
        "frozen": redis.freeze,
        "thawed": redis.thaw,
        "killed": redis.kill,
    }
    seen: dict[str, set[tuple[int, str, str]]] = {}

    for fault, happen in faults.items():
        happen()
        seen[fault] = set()
        for _ in range(12):  # on new connections: they reach both workers
            with proxy.client() as client:
                answer = chat(client, "auto", prompt=SENTIMENT)
            said = decision(answer)
            seen[fault].add((answer.status_code, said["group"], said["reason"]))

    assert seen == {fault: {(200, "tier_fast", "active_profile,classified")} for fault in faults}


def _poison(server: RedisServer) -> None:
    """Write into everything that workers share of their statistics what no worker would write."""
    with redis_client.Redis(port=server.port) as link:
        for name in link.scan_iter(f"{PREFIX}:*"):
            kind = link.type(name)
            if kind == b"hash":
                fields = {
                    "total_ms:tier_fast": "NaN",
                    "": "1e308",
                    "errors:tier_fast": "-1",
                    "in_flight": "9" * 400,
                }
                link.hset(name, mapping=fields | dict.fromkeys(link.hkeys(name), "1e308"))
            elif kind == b"set":
                link.sadd(name, "../../etc", "<img src=x>", "0" * 4096)
        link.set(EPOCH, "not an epoch")


async def _healed(driver: Driver) -> None:
    """Return once every worker says it is subscribed to Redis again; requests and switches go on meanwhile."""
    for _ in range(200):
        await driver.ask("chat", stream=True)
        workers = (await driver.call("GET", "/workers"))["workers"]
        modes = [worker["report"]["wake"] for worker in workers if worker["live"]]
        if modes and all("redis" in mode and "down" not in mode for mode in modes):
            return
    raise AssertionError(f"not subscribed again: {modes}")


def _median_latency(requests: list[Seen]) -> float:
    return statistics.median(seen.answered_at - seen.sent_at for seen in requests)
