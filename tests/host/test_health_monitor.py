"""The health board over a real litellm.Router, with statistics that are counted by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import pytest

from neuronode_router.background import Failures
from neuronode_router.domain import Tier
from neuronode_router.health import monitor as board_module
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
def board(router: Any, statistics: MemoryStatistics, clock: Clock) -> HealthMonitor:
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


async def look(board: HealthMonitor, statistics: MemoryStatistics) -> None:
    await statistics.refresh()
    await board.refresh()


def states(board: HealthMonitor) -> dict[str, State]:
    return {
        standing.deployment.id: standing.health for group in board.standings.values() for standing in group
    }


async def test_what_litellms_list_says_is_on_the_board(
    board: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """Groups in LiteLLM's order, with what their notes say; unknown ids are unknown."""
    empty = board.standings, board.candidate("a")

    await look(board, statistics)

    assert empty == ({}, None)
    assert {group: [s.deployment.id for s in found] for group, found in board.standings.items()} == {
        "tier_fast": ["a", "b"],
        "tier_medium": ["c"],
    }
    assert board.registry.groups["tier_fast"][1].tier is Tier.FAST
    assert set(states(board).values()) == {State.OK}
    assert board.candidate("nobody") is None


async def test_measured_slowness_and_errors_are_judged(
    board: HealthMonitor, statistics: MemoryStatistics, clock: Clock
) -> None:
    """Latency and errors of the last seconds change how a deployment stands, with the reason in numbers."""
    answer(statistics, "a", 450)
    for _ in range(6):
        statistics.recorder.record("c", Attempt(5, status=503))
    await look(board, statistics)

    assert states(board) == {"a": State.SLOW, "b": State.OK, "c": State.FAILING}
    verdict = board.verdicts["a"]
    assert (verdict.why, verdict.limit, verdict.since) == (HealthReason.LATENCY, 200.0, clock.now)
    assert verdict.value == pytest.approx(450, rel=0.05)
    assert board.verdicts["c"].value == 1.0


async def test_a_candidate_knows_what_runs_now(board: HealthMonitor, statistics: MemoryStatistics) -> None:
    """Its depth is of this moment, not of the last look; its latency is the median of the last minutes."""
    answer(statistics, "a", 120)
    await look(board, statistics)

    statistics.recorder.begin("attempt", "a")
    found = board.candidate("a")

    assert found is not None
    assert (found.in_flight, found.standing) == (1, board.standings["tier_fast"][0])
    assert found.latency_ms == pytest.approx(120, rel=0.05)


async def test_a_queue_is_seen_before_its_answers_end(
    board: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """Where `parallel` is known, requests that wait make it slow at once."""
    for number in range(3):
        statistics.recorder.begin(str(number), "b")
    await look(board, statistics)

    assert (states(board)["b"], board.verdicts["b"].why) == (State.SLOW, HealthReason.QUEUE)


async def test_a_burst_is_seen_between_two_looks(board: HealthMonitor, statistics: MemoryStatistics) -> None:
    """What requests are routed by knows the queue of this moment; the published picture comes with the next look."""
    await look(board, statistics)
    for number in range(3):
        statistics.recorder.begin(str(number), "b")

    live = {each.deployment.id: each.health for group in board.live_standings().values() for each in group}

    assert (live["b"], states(board)["b"]) == (State.SLOW, State.OK)


async def test_litellms_cooldown_is_on_the_board(
    router: Any, board: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """What LiteLLM cools down stands so, and is on probation when LiteLLM lets it back."""
    cool_down(router, "a")
    await look(board, statistics)
    cooled = states(board)["a"]

    warm_up(router, "a")
    await look(board, statistics)

    assert (cooled, states(board)["a"]) == (State.COOLDOWN, State.PROBING)


async def test_cooldowns_are_read_as_litellm_reads_them(router: Any) -> None:
    """One that is over is over, whatever is left of it in memory; without a router nothing cools."""
    cool_down(router, "a")
    cool_down(router, "b", seconds=0.0)

    theirs = await cooldowns_of(router).async_get_active_cooldowns(["a", "b", "c"], None)
    assert bridged(router).cooling() == {name for name, _ in theirs} == {"a"}
    assert bridged(None).cooling() == frozenset()


async def test_a_changed_list_is_read_again_and_an_unchanged_one_is_not(
    router: Any, board: HealthMonitor, statistics: MemoryStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM's own calls to add, edit and delete deployments are noticed."""
    reads: list[int] = []
    read = board_module.read_inventory

    def counted(entries: Any) -> Any:
        reads.append(len(entries))
        return read(entries)

    monkeypatch.setattr(board_module, "read_inventory", counted)
    await look(board, statistics)
    await look(board, statistics)
    add(router, entry("tier_fast", "d"))
    await look(board, statistics)
    add(router, entry("tier_fast", "d", avg_latency_ms=7))
    await look(board, statistics)
    edited = {found.id: found.expected_ms for found in board.registry.groups["tier_fast"]}
    remove(router, "a")
    await look(board, statistics)

    assert edited == {"a": 100, "b": 100, "d": 7}
    assert [found.id for found in board.registry.groups["tier_fast"]] == ["b", "d"]
    assert reads == [3, 4, 4, 3]
    assert "a" not in board.verdicts


async def test_each_change_is_logged_once_and_shows_no_key(
    board: HealthMonitor, statistics: MemoryStatistics, caplog: pytest.LogCaptureFixture
) -> None:
    """Deployment, group, from, to, why, value and limit: one line for a change, none for none."""
    caplog.set_level(logging.INFO, board_module.__name__)
    answer(statistics, "a", 450)

    for _ in range(3):
        await look(board, statistics)

    (line,) = caplog.messages
    assert line.startswith("neuronode: deployment 'a' of 'tier_fast': ok -> slow, latency (4")
    assert line.endswith(" ms, limit 200 ms)")
    assert [word for word in (SECRET, "127.0.0.1") if word in line] == []


async def test_nothing_that_goes_wrong_ends_the_loop(
    router: Any, statistics: MemoryStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that fails leaves what was published, is counted, and the next one is as good as any."""
    monkeypatch.setattr(board_module, "INTERVAL_SECONDS", 0.005)
    failures, broken = Failures(), True

    def sometimes() -> frozenset[str]:
        if broken:
            raise RuntimeError("not now")
        return frozenset()

    board = HealthMonitor(
        MonitorSources(entries=bridged(router).entries, statistics=statistics, cooling=sometimes),
        failures=failures,
    )
    await board.start()
    await eventually(lambda: failures.total > 2)
    during = board.standings

    broken = False
    await eventually(lambda: board.standings)
    await board.stop()

    assert during == {}
    assert failures.present() == ()


async def test_a_new_summary_is_judged_at_once(
    board: HealthMonitor, statistics: MemoryStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the interval is, what others have counted is on the board as soon as it is known here."""
    monkeypatch.setattr(board_module, "INTERVAL_SECONDS", 3600)
    await board.start()
    answer(statistics, "a", 450)

    await statistics.refresh()
    await eventually(lambda: states(board)["a"] is State.SLOW)
    await board.stop()


async def test_where_nothing_happens_nothing_is_judged_again(
    board: HealthMonitor, statistics: MemoryStatistics
) -> None:
    """An idle worker publishes the same verdicts, not equal new ones, until something is counted."""
    answer(statistics, "a", 450)
    for _ in range(2):
        await look(board, statistics)
    resting = board.verdicts

    await look(board, statistics)
    unchanged = board.verdicts is resting
    answer(statistics, "a", 450)
    await look(board, statistics)

    assert unchanged
    assert board.verdicts is not resting


async def test_a_cooldown_is_seen_though_nothing_was_counted(
    router: Any, statistics: MemoryStatistics
) -> None:
    """What does not come from the statistics is looked for at every look."""
    cooling: frozenset[str] = frozenset()
    board = HealthMonitor(
        MonitorSources(entries=bridged(router).entries, statistics=statistics, cooling=lambda: cooling)
    )
    for _ in range(3):
        await look(board, statistics)

    cooling = frozenset({"a"})
    await look(board, statistics)

    assert states(board)["a"] is State.COOLDOWN


async def test_without_a_router_nothing_is_known_and_nothing_fails(statistics: MemoryStatistics) -> None:
    """An SDK user may close his router, and the proxy has none while it starts."""
    failures = Failures()
    board = HealthMonitor(
        MonitorSources(entries=bridged(None).entries, statistics=statistics, cooling=bridged(None).cooling),
        failures=failures,
    )

    await board.start()
    await board.stop()

    assert (board.standings, failures.total) == ({}, 0)


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
    board = HealthMonitor(
        MonitorSources(
            entries=bridged(router).entries, statistics=statistics, cooling=frozenset, probes=probes
        )
    )

    await board.refresh()
    await eventually(probes.found)
    await board.refresh()
    await board.stop()

    found = {entry.id: entry for entry in board.registry.groups["tier_fast"]}
    assert (found["llama3.1:8b"].loaded, found["llama3.1:8b"].context_window) == (False, 4096)
    assert states(board) == {"llama3.1:8b": State.OK, "never-pulled": State.UNAVAILABLE, "c": State.OK}
    assert board.problems() == ()
    assert ollama.counts("llama3.1:8b")["loads"] == 0


async def test_a_health_of_ones_own_starts_and_stops(router: Any) -> None:
    """Statistics, probes and board come and go together, without a server and without a task left behind."""
    before = asyncio.all_tasks()
    health = HealthWiring(bridged(router), redis_url=None, environ={})

    await health.start()
    known = set(health.monitor.standings)
    await health.stop()

    assert known == {"tier_fast", "tier_medium"}
    assert asyncio.all_tasks() == before
    assert health.statistics.mode == "memory"
