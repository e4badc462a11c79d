"""What the plugin costs a request: the same proxy with and without it, side by side in one run.

    python -m benchmarks.plugin_overhead [--method-check] [--rounds N] [--seconds S] [--starts N]

`--method-check` compares the bare proxy with itself: what differs from 1.00 then is the method's error.
With one connection the proxies take turns request by request; with more, block by block, ABBA.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Block, Client, machine, ratios, warm_up
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

CONNECTIONS = (16, 64)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two blocks measured side by side."""

    bare: Block
    plugin: Block


@contextlib.contextmanager
def two_proxies(directory: Path, upstream: str, *, second_has_plugin: bool) -> Iterator[tuple[Proxy, Proxy]]:
    """Run the bare proxy and the one under test, one worker each."""
    bare = Proxy(Place(directory=directory / "bare", upstream=upstream), plugin=False)
    other = Proxy(Place(directory=directory / "other", upstream=upstream), plugin=second_has_plugin)
    with bare, other:
        yield bare, other


async def turn_by_turn(bare: Client, plugin: Client, requests: int, *, stream: bool) -> Pair:
    """Alternate single requests between the proxies, changing who goes first each time."""
    seconds: dict[Client, list[float]] = {bare: [], plugin: []}
    cpu = {client: -client.cpu() for client in seconds}
    for number in range(requests):
        for client in (bare, plugin) if number % 2 else (plugin, bare):
            seconds[client].append(await client.ask(stream=stream))
    for client in cpu:
        cpu[client] += client.cpu()
    bare_block, plugin_block = (Block(seconds[c], sum(seconds[c]), cpu[c]) for c in (bare, plugin))
    return Pair(bare_block, plugin_block)


async def block_by_block(
    bare: Client, plugin: Client, connections: int, args: argparse.Namespace
) -> list[Pair]:
    """Load the proxies in turn, in the order ABBA ABBA."""
    pairs = []
    for number in range(args.rounds):
        first, second = (bare, plugin) if number % 2 else (plugin, bare)
        blocks = {first: await first.load(connections, args.seconds)}
        blocks[second] = await second.load(connections, args.seconds)
        pairs.append(Pair(blocks[bare], blocks[plugin]))
    return pairs


def report(label: str, pairs: Sequence[Pair]) -> None:
    """Print the medians of each figure and the median ratio of the pairs."""
    for figure in ("p50", "p95", "rate", "cpu_ms"):
        both = [(getattr(pair.bare, figure), getattr(pair.plugin, figure)) for pair in pairs]
        bare, plugin = (statistics.median(column) for column in zip(*both, strict=True))
        print(f"{label:<22} {figure:<7} {bare:9.2f} {plugin:9.2f}   {ratios(both)}")


async def compare(bare: Proxy, plugin: Proxy, args: argparse.Namespace) -> None:
    """Measure and print everything that needs both proxies up."""
    async with Client(bare, 64) as a, Client(plugin, 64) as b:
        await warm_up(a)
        await warm_up(b)
        turns = [await turn_by_turn(a, b, args.turns // 5, stream=False) for _ in range(5)]
        report("1 connection", turns)
        streams = [await turn_by_turn(a, b, args.turns // 10, stream=True) for _ in range(5)]
        report("1 connection, stream", streams)
        for connections in CONNECTIONS:
            report(f"{connections} connections", await block_by_block(a, b, connections, args))
        print(f"memory MB              rss     {a.memory_mb():9.1f} {b.memory_mb():9.1f}"
              f"   difference {b.memory_mb() - a.memory_mb():+.1f}")  # fmt: skip


def start_times(upstream: str, directory: Path, args: argparse.Namespace) -> None:
    """Start both in turn and print CPU and wall seconds until they serve."""
    wall: list[tuple[float, float]] = []
    cpu: list[tuple[float, float]] = []
    for number in range(args.starts):
        times = {}
        for plugin in (False, True) if number % 2 else (True, False):
            place = Place(directory=directory / f"start-{number}-{plugin}", upstream=upstream)
            with Proxy(place, plugin=plugin and not args.method_check) as proxy:
                used = sum(sum(p.cpu_times()[:2]) for p in proxy.worker_processes())
                times[plugin] = (proxy.start_seconds, used)
        wall.append((times[False][0], times[True][0]))
        cpu.append((times[False][1], times[True][1]))
    for label, pairs in (("wall s", wall), ("CPU s", cpu)):
        bare, plugin = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"start                  {label:<7} {bare:9.2f} {plugin:9.2f}   {ratios(pairs)}")


def main() -> None:
    """Run the comparison and print a table: bare, with plugin, ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method-check", action="store_true")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--starts", type=int, default=3)
    args = parser.parse_args()
    print(f"plugin on vs off ({machine()}){', METHOD CHECK: both bare' if args.method_check else ''}")
    with tempfile.TemporaryDirectory() as name, Upstream() as upstream:
        directory = Path(name)
        with two_proxies(directory, upstream.url, second_has_plugin=not args.method_check) as proxies:
            asyncio.run(compare(*proxies, args))
        if args.starts:
            start_times(upstream.url, directory, args)


if __name__ == "__main__":
    main()
