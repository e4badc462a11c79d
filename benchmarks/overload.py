"""Genuine overload: more requests than a real language model can answer, at a bare LiteLLM and with the plugin.

    python -m benchmarks.overload [--quick] [--requests N]

A tiny language model generates real tokens, one request at a time, behind an Ollama server of our own. Requests arrive
at random, more than it can answer, whether or not earlier ones have been answered. The bare proxy lets them queue;
the plugin sends those that would wait to the next group of the ladder, a fake cloud provider. Printed is p95 by
quarters of the crowd: it must not grow, and stay within twice that of a request alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import machine, percentile
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import OnOverload
from tests.support.ollama import Served, running_ollama
from tests.support.place import FIRST_PROFILE, Place, profile_text
from tests.support.proxy import MASTER_KEY, Proxy, bearer
from tests.support.upstream import Upstream

LOCAL, CLOUD = "tiny", "cloud-slow-400"
TOKENS = 96
OVERLOAD = 2.5
"""Requests that arrive while one is answered."""
ALONE = 8
QUARTERS = 4
TARGET_RATIO = 2.0
PROMPT = "Count from one to one hundred in words, and do not stop before the end."


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlace(Place):
    """The tier fast is a local Ollama with one slot; the medium one is the cloud."""

    ollama: str
    expected_ms: float | None = None
    """What the operator says of the local one."""

    def write(self) -> None:
        """Write everything, and where the overloaded tier leads."""
        Place.write(self)
        file = self.profiles / f"{FIRST_PROFILE}.yaml"
        file.write_text(f"{profile_text(FIRST_PROFILE)}on_overload: {OnOverload.UP}\n")

    def _deployment(self, group: str) -> dict[str, Any]:
        entry = Place._deployment(self, group)
        if group == f"tier_{Tier.FAST}":
            params = {"model": f"ollama_chat/{LOCAL}", "api_base": self.ollama, "keep_alive": "1h"}
            note = {"parallel": 1} | ({"avg_latency_ms": self.expected_ms} if self.expected_ms else {})
            return {**entry, "litellm_params": params, "model_info": {"neuronode": note}}
        if group == f"tier_{Tier.MEDIUM}":
            return {**entry, "litellm_params": {**entry["litellm_params"], "model": f"openai/{CLOUD}"}}
        return entry


@dataclass(frozen=True, slots=True)
class Seen:
    """One answered request."""

    seconds: float
    local: bool


class Visitor:
    """Asks one proxy under one name."""

    def __init__(self, session: aiohttp.ClientSession, name: str) -> None:
        self._session = session
        self._body = {
            "model": name,
            "max_tokens": TOKENS,
            "messages": [{"role": "user", "content": PROMPT}],
        }

    async def ask(self) -> Seen:
        """Send one request and read the answer. Raises when it failed."""
        began = time.perf_counter()
        async with self._session.post("/v1/chat/completions", json=self._body) as response:
            document = await response.json()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {document}")
        text = str(document["choices"][0]["message"]["content"])
        return Seen(time.perf_counter() - began, local=CLOUD not in text)

    async def alone(self) -> list[float]:
        """Return the seconds of requests one after the other, the first two left out."""
        return [(await self.ask()).seconds for _ in range(ALONE + 2)][2:]

    async def crowd(self, arrivals: Sequence[float]) -> list[Seen]:
        """Send a request at each of the times, and wait for all answers."""
        began, sent = time.perf_counter(), []
        for arrival in arrivals:
            await asyncio.sleep(max(0.0, began + arrival - time.perf_counter()))
            sent.append(asyncio.create_task(self.ask()))
        return list(await asyncio.gather(*sent))


def arrivals(rate: float, requests: int) -> list[float]:
    """Return random times of arrival, `rate` a second on average."""
    chance = random.Random(3)
    return list(itertools.accumulate(chance.expovariate(rate) for _ in range(requests)))


async def measure(proxy: Proxy, name: str, requests: int) -> tuple[list[float], list[Seen]]:
    """Return the seconds of requests alone, and what a crowd saw that is too large for the local one."""
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        proxy.url, headers=bearer(MASTER_KEY), timeout=timeout, connector=connector
    ) as session:
        visitor = Visitor(session, name)
        alone = await visitor.alone()
        rate = OVERLOAD / percentile(alone, 50)
        return alone, await visitor.crowd(arrivals(rate, requests))


def report(label: str, alone: Sequence[float], seen: Sequence[Seen]) -> None:
    """Print a line: p95 alone, by quarters of the crowd and overall, and how many the local one answered."""
    unloaded, size = percentile(alone, 95), len(seen) / QUARTERS
    seconds = [each.seconds for each in seen]
    parts = [seconds[round(number * size) : round((number + 1) * size)] for number in range(QUARTERS)]
    by_quarter = "".join(f"{percentile(part, 95):8.2f}" for part in parts)
    overall = percentile(seconds, 95)
    print(
        f"{label:14}{unloaded:8.2f}{by_quarter}{overall:9.2f}{overall / unloaded:8.1f}"
        f"{sum(each.local for each in seen):7} of {len(seen)}",
        flush=True,
    )


def main() -> None:
    """Measure the bare proxy, then the one with the plugin, against servers of their own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a crowd of 24 instead of 80")
    parser.add_argument("--requests", type=int)
    args = parser.parse_args()
    requests = max(QUARTERS, args.requests or (24 if args.quick else 80))
    print(f"p95 in seconds; {requests} requests, {OVERLOAD} times as fast as they are answered ({machine()})")
    print(
        f"{'':14}{'alone':>8}{'1st':>8}{'2nd':>8}{'3rd':>8}{'4th':>8}{'all':>9}{'ratio':>8}   answered locally"
    )
    expected_ms: float | None = None
    for label, plugin, name in (
        ("bare LiteLLM", False, f"tier_{Tier.FAST}"),
        ("with plugin", True, "auto:fast"),
    ):
        with ExitStack() as stack:
            place = LocalPlace(
                directory=Path(stack.enter_context(tempfile.TemporaryDirectory())),
                upstream=stack.enter_context(Upstream()).url,
                ollama=stack.enter_context(running_ollama(Served(LOCAL))).url,
                expected_ms=expected_ms,
            )
            proxy = stack.enter_context(Proxy(place, plugin=plugin))
            alone, seen = asyncio.run(measure(proxy, name, requests))
            report(label, alone, seen)
            expected_ms = round(percentile(alone, 50) * 1000)
    print(
        f"target: all / alone <= {TARGET_RATIO} with the plugin; without it p95 grows for as long as the crowd comes"
    )


if __name__ == "__main__":
    main()
