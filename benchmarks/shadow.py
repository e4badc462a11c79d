"""What a shadow comparison costs clients: their p50 with half of the requests answered once more and without, in turns
on one proxy of one worker; and the CPU of choosing alone.

    python -m benchmarks.shadow [--turns 15]

The other profile's answers run beside the next requests. Where the provider is slow the worker has time for them; where
it is quick the worker is as busy as it can be, and half more requests cost what they cost.
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
from neuronode_router.domain.shadows import Shadow
from neuronode_router.shadows.pairs import is_chosen
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

TURN = 60
"""Requests before it is switched again."""
CONNECTIONS = 4
PROVIDER_MS = (400, 40)
CALLS = 100_000


def choosing_us() -> float:
    """Return the thread CPU of one choice, in microseconds."""
    shadow = Shadow("s", "p", "ab" * 16, share=500, until=9e9, budget_usd=1, concurrency=2)
    begun = time.thread_time_ns()
    for _ in range(CALLS):
        is_chosen(shadow, "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
    return (time.thread_time_ns() - begun) / CALLS / 1000


async def p50_ms(client: Client, provider_ms: int) -> float:
    """Return the median latency of a turn."""
    seconds: list[float] = []
    said = [{"role": "user", "content": f"Which label? slow-{provider_ms} words-1"}]

    async def one() -> None:
        for _ in range(TURN // CONNECTIONS):
            took = await client.ask(messages=said)
            seconds.append(took)

    await asyncio.gather(*[one() for _ in range(CONNECTIONS)])
    return percentile(seconds, 50) * 1000


async def in_turns(proxy: Proxy, provider_ms: int, turns: int) -> tuple[list[tuple[float, float]], int]:
    """Return p50 without and with of each turn, and how many requests were answered once more."""
    pairs, answered = [], 0
    admin = proxy.client()
    async with Client(proxy, CONNECTIONS) as client:
        await warm_up(client)
        for number in range(turns):
            found = {}
            for on in (False, True) if number % 2 else (True, False):
                path = begin(admin) if on else None
                found[on] = await p50_ms(client, provider_ms)
                if path:
                    answered += await end(admin, path)
            pairs.append((found[False], found[True]))
    admin.close()
    return pairs, answered


def begin(admin: httpx.Client) -> str:
    """Begin a comparison and return its address."""
    plan = {"profile": "cost_effective", "share": 50, "budget_usd": 100, "max_concurrency": 2}
    return str(admin.post("/admin/shadows", json=plan).raise_for_status().headers["location"])


async def end(admin: httpx.Client, path: str) -> int:
    """End it, and return how many requests it has answered once more."""
    admin.post(f"{path}/stop").raise_for_status()
    await asyncio.sleep(1.5)  # what runs ends, and is shared
    return int(admin.get(path).raise_for_status().json()["findings"][0]["answered"])


def main() -> None:
    """Print one line for each provider."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=15)
    turns = arguments.parse_args().turns
    print(machine())
    print(f"choosing: {choosing_us():.2f} us")
    with (
        tempfile.TemporaryDirectory() as directory,
        Upstream() as upstream,
        Proxy(Place(directory=Path(directory), upstream=upstream.url)) as proxy,
    ):
        for provider_ms in PROVIDER_MS:
            pairs, answered = asyncio.run(in_turns(proxy, provider_ms, turns))
            off, on = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(
                f"provider {provider_ms} ms, {CONNECTIONS} connections: p50 {off:.1f} ms without, "
                f"{on:.1f} ms with, {ratios(pairs)}; {answered} of {turns * TURN} answered once more"
            )


if __name__ == "__main__":
    main()
