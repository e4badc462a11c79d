"""What a shadow comparison costs clients: their p50 with half of the requests answered once more and without, in turns
on one proxy; and the CPU of choosing alone.

    python -m benchmarks.shadow [--turns 20]

The provider takes 40 ms. At each place of the load the other profile's answers run beside the next requests.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.load import Client, machine, percentile, ratios, warm_up
from neuronode_router.domain import Shadow
from neuronode_router.shadows.pairs import is_chosen
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

TURN = 60
"""Requests before it is switched again."""
CONNECTIONS = (1, 4)
SLOW = "Which label? slow-40 words-1"
CALLS = 100_000


def choosing_us() -> float:
    """Return the thread CPU of one choice, in microseconds."""
    shadow = Shadow("s", "p", "ab" * 16, share=500, until=9e9, budget_usd=1, concurrency=2)
    begun = time.thread_time_ns()
    for _ in range(CALLS):
        is_chosen(shadow, "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
    return (time.thread_time_ns() - begun) / CALLS / 1000


async def p50_ms(client: Client, connections: int) -> float:
    """Return the median latency of a turn."""
    seconds: list[float] = []

    async def one() -> None:
        for _ in range(TURN // connections):
            took = await client.ask(messages=[{"role": "user", "content": SLOW}])
            seconds.append(took)

    await asyncio.gather(*[one() for _ in range(connections)])
    return percentile(seconds, 50) * 1000


async def in_turns(proxy: Proxy, connections: int, turns: int) -> tuple[list[tuple[float, float]], int]:
    """Return p50 without and with of each turn, and how many requests were answered once more."""
    pairs, answered = [], 0
    admin = proxy.client()
    async with Client(proxy, connections) as client:
        await warm_up(client)
        for number in range(turns):
            found = {}
            for on in (False, True) if number % 2 else (True, False):
                path = begin(admin) if on else None
                found[on] = await p50_ms(client, connections)
                if path:
                    answered += await end(admin, path)
            pairs.append((found[False], found[True]))
    admin.close()
    return pairs, answered


def begin(admin: httpx.Client) -> str:
    """Begin a comparison and return its address."""
    plan = {"profile": "cost_effective", "share": 50, "budget_usd": 100, "max_concurrency": 4}
    return str(admin.post("/admin/shadows", json=plan).raise_for_status().headers["location"])


async def end(admin: httpx.Client, path: str) -> int:
    """End it, and return how many requests it has answered once more."""
    admin.post(f"{path}/stop").raise_for_status()
    await asyncio.sleep(1.5)  # what runs ends, and is shared
    return int(admin.get(path).raise_for_status().json()["findings"][0]["answered"])


def main() -> None:
    """Print one line for each number of connections."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=20)
    turns = arguments.parse_args().turns
    print(machine())
    print(f"choosing: {choosing_us():.2f} us")
    with (
        tempfile.TemporaryDirectory() as directory,
        Upstream() as upstream,
        Proxy(Place(directory=Path(directory), upstream=upstream.url), afresh=True) as proxy,
    ):
        for connections in CONNECTIONS:
            pairs, answered = asyncio.run(in_turns(proxy, connections, turns))
            off, on = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(
                f"{connections} connections: p50 {off:.1f} ms without, {on:.1f} ms with, {ratios(pairs)}; "
                f"{answered} of {turns * TURN} answered once more"
            )


if __name__ == "__main__":
    main()
