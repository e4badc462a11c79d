"""How long a switch takes until every worker serves the new revision: idle, and under 16 busy connections.

    python -m benchmarks.switch [--workers 2 4] [--switches N]

Printed per figure: median, p99 and maximum in milliseconds. `last applied` is from the receipt: commit to the
last worker's swap. `of it ours` is the ProfileManager's own time, from the receipt. `floor` is a GET of the same
API that changes nothing, in turn with the switches: LiteLLM's HTTP and authentication, which a POST cannot beat.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import Client, machine, percentile, warm_up
from tests.support.place import PROFILES, Place
from tests.support.proxy import MASTER_KEY, Proxy, bearer
from tests.support.upstream import Upstream

BUSY_CONNECTIONS = 16
PAUSE_SECONDS = 0.02
"""Between two switches, so that one does not queue behind the other's rendering."""

Times = dict[str, list[float]]


async def timed(call: Any) -> tuple[float, Any]:
    """Await a request of aiohttp and return milliseconds and the JSON body. Raises for an error status."""
    begun = time.perf_counter()
    async with call as answer:
        body = await answer.json()
        answer.raise_for_status()
    return (time.perf_counter() - begun) * 1000, body


async def measure(proxies: Sequence[Proxy], workers: int, switches: int) -> Times:
    """Switch in turn at each proxy and return the milliseconds of each figure."""
    times: Times = {"POST to full receipt": [], "of it ours": [], "last applied": [], "floor": []}
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(_session(proxy)) for proxy in proxies]
        targets = itertools.cycle(PROFILES)
        for number in range(switches):
            session = sessions[number % len(sessions)]
            body = {"profile": next(targets)}
            spent, receipt = await timed(session.post("/admin/profiles/switch", json=body))
            floor, _ = await timed(session.get("/admin/profiles/list"))
            if receipt["changed"]:
                times["POST to full receipt"].append(spent)
                times["of it ours"].append(receipt["duration_ms"])
                times["last applied"].append(_last_applied(receipt, workers))
                times["floor"].append(floor)
            await asyncio.sleep(PAUSE_SECONDS)
    return times


def report(label: str, times: Times) -> None:
    """Print one line per figure."""
    for figure, values in times.items():
        columns = [percentile(values, 50), percentile(values, 99), max(values)]
        print(f"{label:<18} {figure:<21}" + "".join(f"{value:9.1f}" for value in columns), flush=True)


@asynccontextmanager
async def busy(proxy: Proxy) -> AsyncIterator[None]:
    """Keep chat requests in flight meanwhile."""
    async with Client(proxy, BUSY_CONNECTIONS) as client:
        stop = asyncio.Event()

        async def one() -> None:
            while not stop.is_set():
                await client.ask()

        loops = [asyncio.create_task(one()) for _ in range(BUSY_CONNECTIONS)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*loops)


async def one_host(proxy: Proxy, workers: int, switches: int) -> None:
    """Measure and print one proxy, idle and busy."""
    for _ in range(workers):
        async with Client(proxy, BUSY_CONNECTIONS) as client:
            await warm_up(client)
    report(f"{workers} workers", await measure([proxy], workers, switches))
    async with busy(proxy):
        report(f"{workers} workers, busy", await measure([proxy], workers, switches))


def header() -> None:
    """Print the head of the table."""
    print(f"milliseconds ({machine()})\n{'':<18} {'':<21}{'p50':>9}{'p99':>9}{'max':>9}")


@asynccontextmanager
async def _session(proxy: Proxy) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(proxy.url, headers=bearer(MASTER_KEY)) as session:
        yield session


def _last_applied(receipt: Mapping[str, Any], workers: int) -> float:
    found = [worker["after_ms"] for worker in receipt["workers"]]
    if not receipt["complete"] or len(found) != workers:
        raise RuntimeError(f"not a full receipt of {workers} workers: {receipt}")
    return float(max(found))


def main() -> None:
    """Measure each number of workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--switches", type=int, default=200)
    args = parser.parse_args()
    header()
    environ = {"NEURONODE_WRITE_LIMIT": "100000/second"}
    with tempfile.TemporaryDirectory() as name, Upstream() as upstream:
        for workers in args.workers:
            place = Place(directory=Path(name) / str(workers), upstream=upstream.url)
            with Proxy(place, workers=workers, environ=environ) as proxy:
                asyncio.run(one_host(proxy, workers, args.switches))


if __name__ == "__main__":
    main()
