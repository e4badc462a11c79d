"""What a frozen PostgreSQL costs requests while the admin API is asked: the same proxy, well and frozen in turn.

    python -m benchmarks.frozen_database [--turns N] [--readers N]

Readers ask for the audit log one time after the other; each of their calls waits for the database, up to its time-out.
Requests go to a provider that answers at once, one after the other: the ratios are of frozen to well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.load import Client, machine, percentile, warm_up
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, running_postgres
from tests.support.upstream import Upstream

TURN_SECONDS = 5.0
SETTLE_SECONDS = 1.0
"""From a change of the database's state until readers and workers have met it."""


async def read_on(proxy: Proxy) -> None:
    """Ask for the audit log until cancelled, whatever is answered."""
    told = proxy.client()
    async with httpx.AsyncClient(base_url=told.base_url, headers=told.headers, timeout=30) as reader:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await reader.get("/admin/audit")


async def measure(client: Client, seconds: float) -> list[float]:
    """Return the seconds of requests, one after the other. Raises when one failed."""
    end, found = time.perf_counter() + seconds, []
    while time.perf_counter() < end:
        found.append(await client.ask())
    return found


async def compare(proxy: Proxy, postgres: PostgresServer, *, turns: int, readers: int) -> None:
    """Print a line for each state of the database."""
    well: list[float] = []
    frozen: list[float] = []
    async with Client(proxy, 1) as client:
        await warm_up(client)
        reading = [asyncio.create_task(read_on(proxy)) for _ in range(readers)]
        for _ in range(turns):
            for found, change in ((well, postgres.thaw), (frozen, postgres.freeze)):
                change()
                await asyncio.sleep(SETTLE_SECONDS)
                found += await measure(client, TURN_SECONDS)
        postgres.thaw()
        for each in reading:
            each.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    for name, percent in (("p50", 50.0), ("p99", 99.0), ("longest", 100.0)):
        a, b = percentile(well, percent), percentile(frozen, percent)
        print(f"{name:10}{a * 1000:10.1f}{b * 1000:10.1f}{b / a:8.2f}")
    print(f"{'requests':10}{len(well):10}{len(frozen):10}")


def main() -> None:
    """Start the proxy and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=4, help="of each state")
    parser.add_argument("--readers", type=int, default=10)
    args = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(running_postgres(directory / "postgres"))
        stack.callback(postgres.thaw)
        upstream = stack.enter_context(Upstream())
        place = Place(directory=directory / "proxy", upstream=upstream.url)
        environ = {"NEURONODE_STATE_URL": postgres.new_database()}
        proxy = stack.enter_context(Proxy(place, environ=environ))
        print(f"milliseconds of requests, database well and frozen, {args.readers} readers ({machine()})")
        print(f"{'':10}{'well':>10}{'frozen':>10}{'ratio':>8}")
        asyncio.run(compare(proxy, postgres, turns=args.turns, readers=args.readers))


if __name__ == "__main__":
    main()
