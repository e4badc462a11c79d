"""Compares proxies in one run, so that whatever else the machine does meets all of them.

With one connection the proxies take turns every few requests; with more, block by block, there and back again.
It must not know what they differ in.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.load import Block, Client, ratios, warm_up
from tests.support.proxy import Proxy

CONNECTIONS = (16, 64)
FIGURES = ("p50", "p99", "rate", "cpu_ms")
SERIES = 20
TURN = 10
"""Requests before the next proxy has its turn: few, so that disturbances meet all."""
SETTLED_SECONDS, IDLE_SECONDS, IDLE_ROUNDS = 15.0, 10.0, 3
"""After a load both LiteLLM and we still write down what was counted: that is no idling."""

Row = Sequence[float]
"""One figure of every proxy, measured side by side."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    turns: int
    """Requests to each proxy with one connection; 0 leaves that part out."""
    rounds: int
    """Blocks of each proxy with many connections; 0 leaves that part out."""
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


async def compare(proxies: Mapping[str, Proxy], plan: Plan) -> None:
    """Measure running proxies and print a table: figure, set-up, median, ratio to the first with its quartiles."""
    names = list(proxies)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(proxy, max(CONNECTIONS))) for proxy in proxies.values()
        ]
        for client in clients:
            await warm_up(client)
        for label, stream, turns in (
            ("1 connection", False, plan.turns),
            ("1, stream", True, plan.turns // 2),
        ):
            if series := turns // SERIES // TURN:
                rows = [await _turns(clients, series, stream=stream) for _ in range(SERIES)]
                _report(names, label, rows)
        for connections in CONNECTIONS if plan.rounds else ():
            rows = [row async for row in _blocks(clients, connections, plan)]
            _report(names, f"{connections} connections", rows)
        _print(names, "worker", "MB", [[client.memory_mb() for client in clients]])
        _print(names, "all processes", "MB", [[client.whole_memory_mb() for client in clients]])
        await asyncio.sleep(SETTLED_SECONDS)
        _print(names, "idle CPU", "ms/s", [await _idle(clients) for _ in range(IDLE_ROUNDS)])


def start_times(
    proxies: Mapping[str, Iterator[Proxy]], starts: int, *, prove: Callable[[str, Proxy], None]
) -> None:
    """Start fresh proxies in turn and print wall and CPU seconds until they serve. `prove` raises for a wrong one."""
    found: list[dict[str, tuple[float, float]]] = []
    for number in range(starts):
        order = list(proxies) if number % 2 else list(proxies)[::-1]
        found.append({name: _start(name, next(proxies[name]), prove) for name in order})
    for index, label in enumerate(("wall s", "CPU s")):
        _print(list(proxies), "start", label, [[row[name][index] for name in proxies] for row in found])


async def _idle(clients: Sequence[Client]) -> Row:
    """Return the CPU milliseconds that each takes in a second, while nobody asks it anything."""
    before = [client.cpu() for client in clients]
    await asyncio.sleep(IDLE_SECONDS)
    return [(client.cpu() - was) / IDLE_SECONDS * 1000 for client, was in zip(clients, before, strict=True)]


async def _turns(clients: Sequence[Client], turns: int, *, stream: bool) -> list[Block]:
    """Alternate short turns of one request after the other, changing who goes first each time."""
    seconds: dict[Client, list[float]] = {client: [] for client in clients}
    cpu = dict.fromkeys(clients, 0.0)
    for number in range(turns):
        for client in clients if number % 2 else reversed(clients):
            used = client.cpu()
            seconds[client] += [await client.ask(stream=stream) for _ in range(TURN)]
            cpu[client] += client.cpu() - used
    return [Block(seconds[client], sum(seconds[client]), cpu[client]) for client in clients]


async def _blocks(clients: Sequence[Client], connections: int, plan: Plan) -> AsyncIterator[list[Block]]:
    for number in range(plan.rounds):
        order = clients if number % 2 else list(reversed(clients))
        blocks = {client: await client.load(connections, plan.seconds) for client in order}
        yield [blocks[client] for client in clients]


def _start(name: str, proxy: Proxy, prove: Callable[[str, Proxy], None]) -> tuple[float, float]:
    with proxy:
        used = sum(sum(process.cpu_times()[:2]) for process in proxy.processes())
        prove(name, proxy)
        return proxy.start_seconds, used


def _report(names: Sequence[str], label: str, rows: Sequence[Sequence[Block]]) -> None:
    for figure in FIGURES:
        _print(names, label, figure, [[getattr(block, figure) for block in row] for row in rows])


def _print(names: Sequence[str], label: str, figure: str, rows: Sequence[Row]) -> None:
    for index, (name, column) in enumerate(zip(names, zip(*rows, strict=True), strict=True)):
        against = ratios([(row[0], row[index]) for row in rows]) if index else ""
        print(f"{label:<15} {figure:<7} {name:<24} {statistics.median(column):9.2f}   {against}", flush=True)
