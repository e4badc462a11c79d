"""What a broken Redis costs `auto` requests: two proxies in turn, each with a Redis of its own, one of them broken.

    python -m benchmarks.redis_faults [--turns N] [--method-check]

For each fault the ratios of latencies, broken to healthy; both proxies are asked ten requests in turn, so that whatever
else the machine does meets both. `--method-check` breaks neither: what differs from 1.00 then is the method's error.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import Client, machine, percentile, warm_up
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer, running_redis
from tests.support.upstream import Upstream

TURN = 10
TARGET_RATIO = 1.1
"""Of p99 to p99."""
FAULTS: dict[str, Callable[[RedisServer], object]] = {
    "frozen": RedisServer.freeze,
    "thawed": RedisServer.thaw,
    "emptied": lambda server: server.command("FLUSHALL"),
    "killed": RedisServer.kill,
    "restarted": RedisServer.start,
}
"""In this order, each on top of the one before."""


async def measure(healthy: Client, broken: Client, turns: int) -> tuple[list[float], list[float]]:
    """Return the seconds of requests to both, asked in turn. Raises when a request failed."""
    seconds: dict[Client, list[float]] = {healthy: [], broken: []}
    for number in range(turns // TURN):
        for client in (healthy, broken) if number % 2 else (broken, healthy):
            seconds[client] += [await client.ask(model="auto") for _ in range(TURN)]
    return seconds[healthy], seconds[broken]


async def compare(proxies: tuple[Proxy, Proxy], server: RedisServer, turns: int, *, check: bool) -> None:
    """Print a line for each fault."""
    async with Client(proxies[0], 1) as healthy, Client(proxies[1], 1) as broken:
        await warm_up(healthy)
        await warm_up(broken)
        await measure(healthy, broken, turns // 4)
        for fault, happen in itertools.chain([("healthy", None)], FAULTS.items()):
            if happen is not None and not check:
                happen(server)
            well, ill = await measure(healthy, broken, turns)
            figures = [(percentile(well, percent), percentile(ill, percent)) for percent in (50, 99)]
            shown = "".join(f"{a * 1000:10.2f}{b * 1000:10.2f}{b / a:8.3f}" for a, b in figures)
            print(f"{fault:10}{shown}", flush=True)


def main() -> None:
    """Start both proxies and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=1000, help="requests to each proxy and fault")
    parser.add_argument("--method-check", action="store_true")
    args = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        proxies, servers = [], []
        for name in ("healthy", "broken"):
            (directory / name).mkdir()
            servers.append(stack.enter_context(running_redis(directory / name)))
            place = Place(directory=directory / f"{name}-proxy", upstream=upstream.url)
            environ = {"NEURONODE_REDIS_URL": servers[-1].url}
            proxies.append(stack.enter_context(Proxy(place, environ=environ)))
        stack.callback(servers[1].thaw)
        print(
            f"milliseconds of `auto` requests, healthy and broken Redis ({machine()}), target p99 {TARGET_RATIO}"
        )
        print(f"{'':10}{'p50':>10}{'broken':>10}{'ratio':>8}{'p99':>10}{'broken':>10}{'ratio':>8}")
        asyncio.run(compare((proxies[0], proxies[1]), servers[1], args.turns, check=args.method_check))


if __name__ == "__main__":
    main()
