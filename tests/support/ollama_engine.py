"""Behind the Ollama wire: one real engine (xllamacpp, SmolLM2), and named residents that load, queue and unload.

It must not know HTTP as Ollama speaks it. The engine is the embedded server of `neuronode serve`, as a child process:
one thread, real tokens, real durations. All residents share its weights.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from neuronode_router.cli.serve.embedded import EmbeddedAddress
from tests.support.servers import free_port

START_SECONDS = 60.0
FOREVER = 292 * 365.25 * 86_400
"""Seconds that Ollama says of what stays: the longest that it can count."""


class Busy(Exception):
    """The queue is full."""


class LoadFault(Exception):
    """The weights could not be loaded."""


class EngineRefused(Exception):
    """The engine does not take the request, such as a prompt longer than its context."""


class Engine:
    """The child process that generates. It ends with this process, because its standard input does."""

    def __init__(self) -> None:
        self._address = EmbeddedAddress(free_port(), secrets.token_hex(16))
        self._client = httpx.AsyncClient(
            base_url=self._address.url,
            headers={"Authorization": f"Bearer {self._address.key}"},
            timeout=httpx.Timeout(None, connect=5),
            trust_env=False,
        )
        self.facts: Mapping[str, Any] = {}
        """What the engine says of its weights: n_params, n_embd, n_ctx_train, size, ftype."""

    async def start(self) -> None:
        """Start it and wait until it answers. Raises `TimeoutError` or `RuntimeError`."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "neuronode_router.cli.serve.embedded", stdin=asyncio.subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self._address.to_line())
        async with asyncio.timeout(START_SECONDS):
            while not await self._answers():
                if self._process.returncode is not None:
                    raise RuntimeError(f"the engine ended with code {self._process.returncode}")
                await asyncio.sleep(0.02)
        self.facts = (await self._client.get("/v1/models")).json()["data"][0]["meta"]

    async def stop(self) -> None:
        """End it and wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._client.aclose()

    async def generate(self, path: str, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the engine's chunks; closing the iterator ends the generation. Raises `EngineRefused`."""
        async with self._client.stream("POST", path, json=dict(request)) as response:
            if response.status_code != 200:
                raise EngineRefused(json.loads(await response.aread())["error"]["message"])
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    async def _answers(self) -> bool:
        try:
            return (await self._client.get("/health")).status_code == 200
        except httpx.HTTPError:
            return False


@dataclass(frozen=True, slots=True)
class Served:
    """One name that is served, and how it behaves."""

    name: str
    load_seconds: float = 0.0
    """How long the first request after start or unloading waits, beside the engine's own work."""
    delay_seconds: float = 0.0
    """How long each request holds its slot before the engine begins: a heavier model than the real one."""
    slots: int = 1
    queue: int = 512
    """Requests that may wait for a slot; one more is refused."""
    context_length: int = 8192
    size: int | None = None
    """Bytes that it says it has; None: those of the weights that really answer."""
    present: bool = True
    """Whether it is there from the start; a pull brings it."""
    pull_seconds: float = 0.0
    embeds: bool = False
    """Whether it only embeds."""
    fault: str = ""
    """What loading it is answered with, if it fails."""

    @property
    def tag(self) -> str:
        """The name with its tag, as Ollama lists it."""
        return self.name if ":" in self.name else f"{self.name}:latest"


@dataclass(slots=True)
class Counts:
    """What happened to one name since the start."""

    admitted: int = 0
    refused: int = 0
    abandoned: int = 0
    """Requests whose client went away before the answer was complete."""
    loads: int = 0
    unloads: int = 0
    pulls: int = 0
    peak: int = 0
    """The most requests that held a slot at the same time."""


@dataclass(slots=True)
class Resident:
    """One served name: loaded or not, with slots and a queue."""

    served: Served
    counts: Counts = field(default_factory=Counts)
    loaded: bool = False
    present: bool = True
    num_ctx: int = 0
    """The window that it is loaded with."""
    expires_at: float = 0.0
    """Unix time at which it unloads when nothing asks for it; far off when it stays."""
    make_room: Callable[[Resident], None] = lambda _: None
    """Has others go, if they must, before this one is loaded."""
    _waiting: int = 0
    _running: int = 0
    _slots: asyncio.Semaphore = field(init=False)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.served.slots)
        self.present = self.served.present

    @asynccontextmanager
    async def turn(self, keep_alive: float, num_ctx: int | None = None) -> AsyncIterator[int]:
        """Hold a slot, loaded, and yield how many nanoseconds loading took. Raises `Busy` when the queue is full.

        Another window than it is loaded with has it loaded anew, as with Ollama.
        """
        if self._slots.locked() and self._waiting >= self.served.queue:
            self.counts.refused += 1
            raise Busy
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        self.counts.admitted += 1
        self.counts.peak = max(self.counts.peak, self._running)
        try:
            yield await self._load(num_ctx or self.served.context_length)
        except (asyncio.CancelledError, GeneratorExit):
            self.counts.abandoned += 1
            raise
        finally:
            self._running -= 1
            self._slots.release()
            self._keep(keep_alive)

    def status(self) -> dict[str, Any]:
        """Return what `GET /counts` says of it."""
        return asdict(self.counts) | {"running": self._running, "waiting": self._waiting}

    def go(self) -> None:
        """Unload, unless it is answering."""
        self._unload()

    async def pull(self) -> None:
        """Be there, after as long as that takes."""
        await asyncio.sleep(self.served.pull_seconds)
        self.present = True
        self.counts.pulls += 1

    async def _load(self, num_ctx: int) -> int:
        began = time.perf_counter_ns()
        if self._timer is not None:
            self._timer.cancel()
        async with self._loading:
            if self.served.fault:
                raise LoadFault(self.served.fault)
            if not self.loaded or self.num_ctx != num_ctx:
                self.make_room(self)
                await asyncio.sleep(self.served.load_seconds)
                self.loaded, self.num_ctx = True, num_ctx
                self.counts.loads += 1
        return time.perf_counter_ns() - began

    def _keep(self, seconds: float) -> None:
        """Unload after `seconds` without a request."""
        if self._timer is not None:
            self._timer.cancel()
        self.expires_at = time.time() + min(seconds, FOREVER)
        if seconds <= 0:
            self._unload()
        elif seconds != float("inf"):
            self._timer = asyncio.get_running_loop().call_later(seconds, self._unload)

    def _unload(self) -> None:
        if self.loaded and not self._running:
            self.loaded = False
            self.counts.unloads += 1
