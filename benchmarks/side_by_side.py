"""Compares two proxies in one run, so that whatever else the machine does meets both.

With one connection the proxies take turns every few requests; with more, block by block in the order ABBA.
It must not know what the two differ in.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.load import Block, Client, ratios, warm_up
from tests.support.proxy import Proxy

CONNECTIONS = (16, 64)
FIGURES = ("p50", "p95", "rate", "cpu_ms")
SERIES = 10
TURN = 10
"""Requests before the other proxy has its turn: few, so that disturbances meet both."""
IDLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two blocks measured side by side."""

    first: Block
    second: Block


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    turns: int
    """Requests to each proxy with one connection."""
    rounds: int
    """Pairs of blocks with many connections."""
    seconds: float
    """Length of a block."""

    @classmethod
    def add_to(cls, parser: argparse.ArgumentParser) -> None:
        """Give a script the options of a plan."""
        parser.add_argument("--turns", type=int, default=1000)
        parser.add_argument("--rounds", type=int, default=16)
        parser.add_argument("--seconds", type=float, default=2.0)

    @classmethod
    def of(cls, args: argparse.Namespace) -> Plan:
        """Return the plan that a script's options name."""
        return cls(args.turns, args.rounds, args.seconds)


async def compare(first: Proxy, second: Proxy, plan: Plan) -> None:
    """Measure and print a table: figure, first, second, ratio with its quartiles."""
    async with Client(first, max(CONNECTIONS)) as a, Client(second, max(CONNECTIONS)) as b:
        await warm_up(a)
        await warm_up(b)
        for label, stream, turns in (
            ("1 connection", False, plan.turns),
            ("1, stream", True, plan.turns // 2),
        ):
            series = turns // SERIES // TURN
            report(label, [await _turns(a, b, series, stream=stream) for _ in range(SERIES)])
        for connections in CONNECTIONS:
            report(f"{connections} connections", [pair async for pair in _blocks(a, b, connections, plan)])
        _print("memory", "MB", [(a.memory_mb(), b.memory_mb())])
        before = a.cpu(), b.cpu()
        await asyncio.sleep(IDLE_SECONDS)
        idle = (
            (client.cpu() - was) / IDLE_SECONDS * 1000 for client, was in zip((a, b), before, strict=True)
        )
        _print("idle CPU", "ms/s", [tuple(idle)])


def report(label: str, pairs: Sequence[Pair]) -> None:
    """Print each figure of pairs that were measured side by side."""
    for figure in FIGURES:
        _print(label, figure, [(getattr(pair.first, figure), getattr(pair.second, figure)) for pair in pairs])


def start_times(first: Iterator[Proxy], second: Iterator[Proxy], starts: int) -> None:
    """Start fresh proxies in turn and print wall and CPU seconds until they serve."""
    found: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(starts):
        if number % 2:
            found.append((_start(next(first)), _start(next(second))))
        else:
            late = _start(next(second))
            found.append((_start(next(first)), late))
    for index, label in enumerate(("wall s", "CPU s")):
        _print("start", label, [(a[index], b[index]) for a, b in found])


async def _turns(a: Client, b: Client, turns: int, *, stream: bool) -> Pair:
    """Alternate short turns of one request after the other, changing who goes first each time."""
    seconds: dict[Client, list[float]] = {a: [], b: []}
    cpu = {a: 0.0, b: 0.0}
    for number in range(turns):
        for client in (a, b) if number % 2 else (b, a):
            used = client.cpu()
            seconds[client] += [await client.ask(stream=stream) for _ in range(TURN)]
            cpu[client] += client.cpu() - used
    return Pair(*(Block(seconds[client], sum(seconds[client]), cpu[client]) for client in (a, b)))


async def _blocks(a: Client, b: Client, connections: int, plan: Plan) -> AsyncIterator[Pair]:
    for number in range(plan.rounds):
        early, late = (a, b) if number % 2 else (b, a)
        blocks = {early: await early.load(connections, plan.seconds)}
        blocks[late] = await late.load(connections, plan.seconds)
        yield Pair(blocks[a], blocks[b])


def _start(proxy: Proxy) -> tuple[float, float]:
    with proxy:
        used = sum(sum(worker.cpu_times()[:2]) for worker in proxy.worker_processes())
        return proxy.start_seconds, used


def _print(label: str, figure: str, pairs: Sequence[tuple[float, float]]) -> None:
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{label:<15} {figure:<7} {first:9.2f} {second:9.2f}   {ratios(pairs)}", flush=True)
