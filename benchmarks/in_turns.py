"""One proxy in which something is switched on and off in turns, so that nothing else differs between the two.

It must not know what is switched: a route of the proxy does it, and answers whether it is on.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from benchmarks.load import Client, ratios, warm_up
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

TURN = 20
"""Requests before it is switched again."""


def counted_in_turns(
    directory: Path, turns: int, *, route: str, switch: str, environ: Mapping[str, str] | None = None
) -> None:
    """Print CPU per request with the counting and without.

    `switch` is the LiteLLM callback that serves `route`/on and `route`/off.
    """
    with Upstream() as upstream:
        place = Place(directory=directory, upstream=upstream.url, callbacks=(switch,))
        with Proxy(place, environ=environ or {}) as proxy:
            asyncio.run(_alternate(proxy, turns, route))


async def _alternate(proxy: Proxy, turns: int, route: str) -> None:
    pairs: list[tuple[float, float]] = []
    async with Client(proxy, 1) as client, aiohttp.ClientSession(proxy.url) as session:
        await warm_up(client, 300)
        for number in range(turns):
            cpu = {}
            for state in ("off", "on") if number % 2 else ("on", "off"):
                async with session.post(f"{route}/{state}") as answer:
                    assert await answer.json() is (state == "on")
                used = client.cpu()
                for _ in range(TURN):
                    await client.ask()
                cpu[state] = (client.cpu() - used) / TURN * 1000
            pairs.append((cpu["off"], cpu["on"]))
    off, on = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"CPU per request, not counted {off:9.3f} ms, counted {on:.3f} ms   {ratios(pairs)}")
