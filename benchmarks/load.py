"""A closed-loop load generator and the figures of what it saw.

It must not know what is compared: it sends chat requests to an address and times them. It costs 0.15 ms
of CPU a request, LiteLLM about 10 ms, so it is not what is measured.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil

from tests.support.proxy import MASTER_KEY, Proxy, bearer

PROMPT = "Sort this letter into one of the classes invoice, complaint, order: the parcel came late and open."


@dataclass(frozen=True, slots=True)
class Block:
    """What one stretch of load measured."""

    seconds: Sequence[float]
    """Latency of each answered request."""
    wall: float
    cpu: float
    """CPU seconds that the proxy took meanwhile."""

    @property
    def p50(self) -> float:
        """Median latency in milliseconds."""
        return percentile(self.seconds, 50) * 1000

    @property
    def p95(self) -> float:
        """95th percentile of latency in milliseconds."""
        return percentile(self.seconds, 95) * 1000

    @property
    def p99(self) -> float:
        """99th percentile of latency in milliseconds."""
        return percentile(self.seconds, 99) * 1000

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.seconds) / self.wall

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the proxy's CPU per request."""
        return self.cpu / len(self.seconds) * 1000


class Client:
    """Sends requests to one proxy over kept-alive connections."""

    def __init__(self, proxy: Proxy, connections: int) -> None:
        self._processes: list[psutil.Process] = proxy.processes()
        self._url = f"{proxy.url}/v1/chat/completions"
        connector = aiohttp.TCPConnector(limit=connections)
        self._session = aiohttp.ClientSession(connector=connector, headers=bearer(MASTER_KEY))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, **fields: Any) -> float:
        """Send one request, read the whole answer and return its seconds. Raises when it failed."""
        body = {"model": "classification", "messages": [{"role": "user", "content": PROMPT}], **fields}
        begun = time.perf_counter()
        async with self._session.post(self._url, json=body) as answer:
            text = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {text[:300]!r}")
        return time.perf_counter() - begun

    async def load(self, connections: int, seconds: float) -> Block:
        """Keep `connections` requests in flight for a while."""
        latencies: list[float] = []
        begun, cpu = time.perf_counter(), self.cpu()
        end = begun + seconds

        async def one() -> None:
            while time.perf_counter() < end:
                latencies.append(await self.ask())

        await asyncio.gather(*[one() for _ in range(connections)])
        return Block(latencies, time.perf_counter() - begun, self.cpu() - cpu)

    def cpu(self) -> float:
        """Return the CPU seconds that the proxy's processes have taken so far, to the nanosecond."""
        return sum(time.clock_gettime(_cpu_clock(process.pid)) for process in self._processes)

    def memory_mb(self) -> float:
        """Return the resident set of its largest process, which is a worker, in MB."""
        return max(self._resident()) / 1e6

    def whole_memory_mb(self) -> float:
        """Return the resident sets of all its processes in MB."""
        return sum(self._resident()) / 1e6

    def _resident(self) -> list[int]:
        return [process.memory_info().rss for process in self._processes]


def _cpu_clock(pid: int) -> int:
    """Return Linux's clock of another process's CPU time, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


async def warm_up(client: Client, requests: int = 150) -> None:
    """Let lazy imports and caches happen before anything is timed."""
    for _ in range(requests):
        await client.ask()


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of `values`, which must not be empty."""
    ordered = sorted(values)
    rank = round(percent / 100 * (len(ordered) - 1))
    return ordered[rank]


def ratios(pairs: Sequence[tuple[float, float]]) -> str:
    """Return second/first of pairs measured side by side: the median, and between which quartiles it lies."""
    found = [second / first for first, second in pairs]
    low, high = percentile(found, 25), percentile(found, 75)
    return f"ratio {statistics.median(found):.3f} [{low:.3f} .. {high:.3f}]"


def machine() -> str:
    """Return one line about where this was measured."""
    load = psutil.getloadavg()[0]
    return f"{psutil.cpu_count()} CPUs, {psutil.virtual_memory().total / 1e9:.0f} GB, load average {load:.1f}"
