"""Statistics in memory and in a real Redis: what both must do, and what Redis shares, survives and refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis

from neuronode_router.stats import redis_keys as keys
from neuronode_router.stats.evidence import Attempt, Ending
from neuronode_router.stats.exchange import MAX_INCREMENTS
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.stats.ports import Statistics
from neuronode_router.stats.shared import RedisStatistics
from neuronode_router.stats.summary import DeploymentStats
from neuronode_router.stats.window import SLOT_SECONDS, WINDOW_SLOTS
from tests.support.clock import Clock
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

FAST, SLOW = Attempt(total_ms=100, tokens=10), Attempt(total_ms=4000, tokens=10)
Open = Callable[..., Awaitable[RedisStatistics]]


def seen(statistics: Statistics, deployment_id: str = "a") -> DeploymentStats | None:
    return statistics.snapshot().get(deployment_id)


def answers(statistics: Statistics, deployment_id: str = "a") -> int:
    found = seen(statistics, deployment_id)
    return found.window.answers if found else 0


def count(statistics: Statistics, attempt: Attempt, times: int = 10) -> None:
    for _ in range(times):
        statistics.recorder.record("a", attempt)


class TestEveryForm:
    @pytest.fixture(params=["memory", "redis", "redis that is not there"])
    async def statistics(self, request: pytest.FixtureRequest) -> AsyncIterator[Statistics]:
        """Started statistics of each form."""
        form: Statistics = MemoryStatistics()
        if request.param == "redis":
            form = RedisStatistics(request.getfixturevalue("redis_server").url)
        elif request.param == "redis that is not there":
            form = RedisStatistics("redis://127.0.0.1:1/0")
        await form.start()
        yield form
        await form.stop()

    async def test_what_is_recorded_is_in_the_next_snapshot(self, statistics: Statistics) -> None:
        """Times, errors and depth arrive in the background, without the request doing anything."""
        count(statistics, SLOW)
        statistics.recorder.record("a", Attempt(total_ms=1, status=500))
        statistics.recorder.begin("attempt", "a")

        await eventually(lambda: answers(statistics) == 10)
        found = seen(statistics)

        assert found is not None
        assert (found.recent.requests, found.recent.errors, found.in_flight) == (11, 1, 1)
        assert found.recent.total.p95_ms == pytest.approx(4000, rel=0.05)

    async def test_a_fault_of_ours_is_not_the_end(
        self, statistics: Statistics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A round that fails, for whatever reason, is followed by others."""
        rounds: list[int] = []

        def broken() -> None:
            rounds.append(1)
            raise KeyError("nobody foresaw it")

        with monkeypatch.context() as faulty:
            faulty.setattr(statistics.recorder, "forget_lost", broken)
            await eventually(lambda: len(rounds) > 1)
        count(statistics, FAST, 3)

        await eventually(lambda: answers(statistics) == 3)

    async def test_depth_is_current_between_snapshots(self, statistics: Statistics) -> None:
        """What this process has in flight needs no exchange to be seen."""
        statistics.recorder.begin("attempt", "a")
        assert statistics.in_flight("a") == 1

        statistics.recorder.end("attempt")
        assert statistics.in_flight("a") == 0

    async def test_a_snapshot_does_not_change(self, statistics: Statistics) -> None:
        """A request that holds a snapshot is not affected by what is counted later."""
        count(statistics, FAST)
        await eventually(lambda: answers(statistics) == 10)
        held = statistics.snapshot()
        before = held["a"]

        count(statistics, SLOW)
        await eventually(lambda: answers(statistics) == 20)

        assert held["a"] == before
        with pytest.raises(TypeError):
            held["b"] = before  # type: ignore[index]

    async def test_time_outs_of_clients_leave_no_trace(self, statistics: Statistics) -> None:
        """They change neither the figures nor the set of deployments."""
        count(statistics, FAST)
        for _ in range(200):
            statistics.recorder.record("victim", Attempt(total_ms=1, status=0, ending=Ending.CLIENT_TIMEOUT))

        await eventually(lambda: answers(statistics) == 10)

        assert seen(statistics, "victim") is None


@pytest.fixture
async def open_shared(redis_server: RedisServer) -> AsyncIterator[Open]:
    """Open started statistics over one Redis, as many processes would."""
    opened: list[RedisStatistics] = []

    async def make(**options: Any) -> RedisStatistics:
        opened.append(RedisStatistics(redis_server.url, **options))
        await opened[-1].start()
        return opened[-1]

    yield make
    redis_server.thaw()
    for statistics in opened:
        await statistics.stop()


@pytest.fixture
async def pair(open_shared: Open) -> tuple[RedisStatistics, RedisStatistics]:
    """Two processes that share one Redis and have found it."""
    a, b = await open_shared(), await open_shared()
    await eventually(lambda: a.mode == b.mode == "redis")
    return a, b


@pytest.fixture
def raw(redis_server: RedisServer) -> redis.Redis:
    """Another client of that Redis, for looking and for spoiling."""
    return redis.Redis(port=redis_server.port)


Pair = tuple[RedisStatistics, RedisStatistics]


class TestSharing:
    async def test_b_sees_what_a_saw(self, pair: Pair) -> None:
        """A's slow answers are soon in B's snapshot, whatever B counted itself."""
        a, b = pair
        count(b, FAST, 4)

        count(a, SLOW, 30)
        await eventually(lambda: answers(b) == 34)
        found = seen(b)

        assert found is not None
        assert found.recent.short_answer.p50_ms == pytest.approx(4000, rel=0.05)

    async def test_counting_at_the_same_time_erases_nothing(self, pair: Pair) -> None:
        """Interleaved over many exchanges, each process ends up with every sample of both."""
        a, b = pair

        async with asyncio.timeout(20):
            for _ in range(100):
                count(a, SLOW, 3)
                count(b, FAST, 2)
                await asyncio.sleep(0.01)
        await eventually(lambda: answers(a) == answers(b) == 500)

        assert seen(a) == seen(b)

    async def test_depth_is_the_sum_of_all_processes(self, pair: Pair) -> None:
        """What others have in flight counts, and is gone when they stop."""
        a, b = pair
        for number in range(3):
            a.recorder.begin(str(number), "a")
        b.recorder.begin("one", "a")

        await eventually(lambda: b.in_flight("a") == 4)
        await a.stop()

        await eventually(lambda: b.in_flight("a") == 1)

    async def test_what_a_crashed_process_had_in_flight_vanishes(self, pair: Pair, raw: redis.Redis) -> None:
        """Without its heartbeat a depth expires, and its instance is forgotten."""
        _, b = pair
        dead = "dead" * 4
        raw.sadd(keys.INSTANCES, dead)
        raw.hset(keys.depth_key(dead), mapping={keys.ALIVE: 1, "a": 7})
        raw.expire(keys.depth_key(dead), 1)

        await eventually(lambda: b.in_flight("a") == 7)
        await eventually(lambda: b.in_flight("a") == 0)

        await eventually(lambda: not raw.sismember(keys.INSTANCES, dead))

    async def test_every_key_expires(self, pair: Pair, raw: redis.Redis) -> None:
        """Nothing of ours stays in Redis when all processes are gone."""
        a, b = pair
        count(a, FAST)
        await eventually(lambda: answers(b) == 10)

        found = raw.keys(keys.PREFIX.replace("{", "[{]").replace("}", "[}]") + "*")

        assert len(found) >= 4
        assert all(0 < raw.ttl(key) <= keys.SLOT_TTL for key in found)

    async def test_more_than_one_exchange_can_carry_arrives(
        self, open_shared: Open, raw: redis.Redis
    ) -> None:
        """What is too much for one transaction follows in the next ones, and after a flush all of it again."""
        a, b = await open_shared(interval=0.02), await open_shared(interval=0.02)
        names = [f"deployment-{number}" for number in range(MAX_INCREMENTS // 2)]
        for name in names:
            a.recorder.record(name, SLOW)
        await eventually(lambda: all(answers(b, name) == 1 for name in names), seconds=60)

        before = b._exchange.view.epoch
        raw.flushall()

        await eventually(lambda: b._exchange.view.epoch != before)
        await eventually(lambda: all(answers(b, name) == 1 for name in names), seconds=60)

    async def test_a_newcomer_learns_the_whole_window(self, open_shared: Open, pair: Pair) -> None:
        """A process that starts later sees what was counted before."""
        count(pair[0], SLOW)
        await eventually(lambda: answers(pair[1]) == 10)

        newcomer = await open_shared()

        await eventually(lambda: answers(newcomer) == 10)


class TestRedisFaults:
    async def test_frozen(self, pair: Pair, redis_server: RedisServer) -> None:
        """Each falls back to its own view while it is away; thawed, every sample is there exactly once."""
        a, b = pair
        count(a, SLOW)
        await eventually(lambda: answers(b) == 10)

        redis_server.freeze()
        count(b, FAST, 5)
        await eventually(lambda: b.mode == "redis (down)" and answers(b) == 5)
        count(a, SLOW, 7)
        await eventually(lambda: answers(a) == 17)

        redis_server.thaw()
        await eventually(lambda: answers(a) == answers(b) == 22)
        assert (a.mode, b.mode) == ("redis", "redis")

    async def test_frozen_for_longer_than_a_slot(self, open_shared: Open, redis_server: RedisServer) -> None:
        """What was counted in slots that began and ended meanwhile is sent too, once."""
        clock = Clock(time.time())
        a, b = await open_shared(clock=clock, interval=0.1), await open_shared(clock=clock, interval=0.1)
        await eventually(lambda: a.mode == b.mode == "redis")
        redis_server.freeze()
        await eventually(lambda: a.mode == "redis (down)")

        for _ in range(4):
            count(a, SLOW, 3)
            clock.now += SLOT_SECONDS
        redis_server.thaw()

        await eventually(lambda: answers(a) == answers(b) == 12, seconds=30)

    async def test_a_count_that_comes_late_is_read(self, open_shared: Open) -> None:
        """A slot of which all was read long ago is read again: who added to it late may have been away."""
        ahead = Clock(time.time())
        behind = Clock(ahead.now - SLOT_SECONDS)
        a, b = await open_shared(clock=behind, interval=0.01), await open_shared(clock=ahead, interval=0.01)
        await eventually(lambda: a.mode == b.mode == "redis")
        for number in range(1, 2 * WINDOW_SLOTS):
            b.recorder.record("other", FAST)
            await eventually(lambda number=number: answers(b, "other") == number)  # type: ignore[misc]

        count(a, SLOW, 3)

        await eventually(lambda: answers(b) == 3)

    async def test_killed_and_restarted_empty(self, pair: Pair, redis_server: RedisServer) -> None:
        """What the dead server knew is sent again by everybody to the new one."""
        a, b = pair
        count(a, SLOW)
        await eventually(lambda: answers(b) == 10)

        redis_server.kill()
        await eventually(lambda: answers(b) == 0)
        count(b, FAST, 5)
        redis_server.start()

        await eventually(lambda: answers(a) == answers(b) == 15)

    async def test_restarted_from_a_snapshot(self, open_shared: Open, redis_server: RedisServer) -> None:
        """What was added since is sent again, and what the snapshot has is not there twice; also a second time."""
        clock = Clock(time.time())
        a, b = await open_shared(clock=clock), await open_shared(clock=clock)
        count(a, SLOW)
        await eventually(lambda: answers(b) == 10)
        redis_server.command("SAVE")
        count(a, SLOW, 7)
        await eventually(lambda: answers(b) == 17)

        for _ in range(2):
            redis_server.kill()
            await eventually(lambda: a.mode == b.mode == "redis (down)")
            redis_server.start()
            await eventually(lambda: answers(a) == answers(b) == 17)

    async def test_who_adds_nothing_has_lost_nothing(self, pair: Pair, raw: redis.Redis) -> None:
        """What a process has added is remembered as long as the process is there."""
        a, b = pair
        count(a, SLOW)
        await eventually(lambda: answers(b) == 10)
        epoch = a._exchange.view.epoch
        added = keys.added_key(epoch, a._exchange._instance)

        raw.expire(added, 5)
        await eventually(lambda: raw.ttl(added) > 5)

        assert a._exchange.view.epoch == epoch

    async def test_a_fault_of_ours(self, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
        """What nobody foresaw in an exchange: the mode says so, the own figures go on, and sharing comes back."""
        a, b = pair

        async def broken(_: object) -> None:
            raise KeyError("nobody foresaw it")

        with monkeypatch.context() as faulty:
            faulty.setattr(a._exchange, "run", broken)
            await eventually(lambda: a.mode == "redis (down)")
            count(a, FAST, 3)
            await eventually(lambda: answers(a) == 3)

        await eventually(lambda: a.mode == "redis" and answers(b) == 3)

    async def test_flushed(self, pair: Pair, raw: redis.Redis) -> None:
        """After FLUSHALL every sample is back, exactly once."""
        a, b = pair
        count(a, SLOW)
        count(b, FAST, 5)
        await eventually(lambda: answers(a) == answers(b) == 15)

        raw.flushall()
        count(a, SLOW, 1)
        await eventually(lambda: answers(a) == answers(b) == 16)

    async def test_the_event_loop_is_never_held_up(self, pair: Pair, redis_server: RedisServer) -> None:
        """While Redis is frozen, recording and reading go on without a wait for it."""
        a, _ = pair
        redis_server.freeze()

        async def longest_wait() -> float:
            """Return the longest turn of the loop within a time in which Redis is asked at least once."""
            end, longest = time.monotonic() + 1.5, 0.0
            while time.monotonic() < end:
                began = time.monotonic()
                count(a, FAST, 1)
                a.snapshot()
                await asyncio.sleep(0)
                longest = max(longest, time.monotonic() - began)
            return longest

        # The least of some: a busy machine may take the processor away once, but not each time.
        least = min([await longest_wait() for _ in range(4)])

        assert a.mode == "redis (down)"
        assert least < 0.15, "an answer of Redis was waited for on the event loop"


class TestPoison:
    """What somebody else writes into our keys is ignored, and routing goes by what is true."""

    @pytest.fixture
    async def told(self, open_shared: Open) -> Pair:
        """A has counted ten fast answers, and B knows. They exchange often, so that the tests are short."""
        pair = await open_shared(interval=0.02), await open_shared(interval=0.02)
        count(pair[0], FAST)
        await eventually(lambda: answers(pair[0]) == answers(pair[1]) == 10)
        return pair

    @staticmethod
    def slot(raw: redis.Redis) -> str:
        epoch = keys.read_identity(raw.get(keys.EPOCH))
        assert epoch is not None
        return keys.slot_key(epoch, int(time.time() // 10))

    @pytest.mark.parametrize(
        "value", ["NaN", "1e308", "-5", "inf", "", "9" * 400, "1.5", "0x10", "<img src=x>", b"\xff\xfe"]
    )
    async def test_values_that_are_no_counts(self, told: Pair, raw: redis.Redis, value: str | bytes) -> None:
        """Whatever stands in a known field: the figures stay as they were."""
        a, b = told
        before = seen(a)
        for name in ("errors", "total.100", "short.100", "answers"):
            raw.hset(self.slot(raw), f"{name}:poisoned", value)
            raw.hset(self.slot(raw), f"{name}:a", value)

        exchanges = b._exchange._turn + 3
        await eventually(lambda: b._exchange._turn >= exchanges)

        assert seen(a) == before
        found = seen(b, "poisoned")
        assert found is None or found.window.requests == 0

    @pytest.mark.parametrize(
        "name", ["total.160", "total.-1", "total.1e3", "unknown", "__class__", "total", b"\xff\x00"]
    )
    async def test_fields_that_are_not_ours(self, told: Pair, raw: redis.Redis, name: str | bytes) -> None:
        """Unknown fields are left out and do no harm to those beside them."""
        a, b = told
        before = seen(b)
        suffix = b":a" if isinstance(name, bytes) else ":a"
        raw.hset(self.slot(raw), name + suffix, 5)  # type: ignore[operator]

        exchanges = b._exchange._turn + 3
        await eventually(lambda: b._exchange._turn >= exchanges)

        assert seen(a) == seen(b) == before

    @pytest.mark.parametrize("what", ["slot", "epoch", "instances", "depth"])
    async def test_keys_of_another_type(self, told: Pair, raw: redis.Redis, what: str) -> None:
        """A list where a hash or a text should be: own counts stay, and what is counted later is shared again."""
        a, b = told
        spoilt = {
            "slot": self.slot(raw),
            "epoch": keys.EPOCH,
            "instances": keys.INSTANCES,
            "depth": keys.depth_key(a._exchange._instance),
        }[what]
        raw.delete(spoilt)
        raw.lpush(spoilt, "NaN")

        exchanges = a._exchange._turn + 3
        await eventually(lambda: a._exchange._turn >= exchanges)
        assert answers(a) == 10

        if what != "slot":
            count(a, FAST, 5)
            await eventually(lambda: answers(b) == 15)

    @pytest.mark.parametrize("epoch", ["x", "NaN", "../../etc", "A" * 16, "0" * 17])
    async def test_an_epoch_that_is_not_ours(self, told: Pair, raw: redis.Redis, epoch: str) -> None:
        """It is deleted, and all begin a new one with all their counts."""
        a, b = told
        raw.set(keys.EPOCH, epoch)

        count(a, FAST, 5)
        await eventually(lambda: answers(a) == answers(b) == 15)

        assert keys.read_identity(raw.get(keys.EPOCH)) is not None

    async def test_depths_that_cannot_be(self, told: Pair, raw: redis.Redis) -> None:
        """A depth is a small count; a forged instance name is not even asked for."""
        a, _ = told
        forged = "f" * 16
        raw.hset(keys.depth_key(forged), mapping={keys.ALIVE: 1, "a": "1e308", "b": -3, "c": "NaN", "d": 2})
        raw.sadd(keys.INSTANCES, forged, "not-an-instance", "x" * 5000)

        await eventually(lambda: a.in_flight("d") == 2)

        assert [a.in_flight(name) for name in "abc"] == [0, 0, 0]
