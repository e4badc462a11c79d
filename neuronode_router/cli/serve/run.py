"""`neuronode serve`: LiteLLM with the plugin, and the embedded model where needed, as child processes.

It must not know LiteLLM from the inside: it never imports it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from neuronode_router.backoff import Backoff
from neuronode_router.cli.serve import embedded, launch
from neuronode_router.cli.serve.banner import QUESTION, InForce, Progress, ready_banner
from neuronode_router.cli.serve.embedded import EmbeddedAddress
from neuronode_router.cli.serve.litellm_start import WORKER_HEALTH_SECONDS
from neuronode_router.cli.serve.prepare import Listen, Prepared, prepared
from neuronode_router.cli.serve.supervise import Child, Relay
from neuronode_router.errors import HostError, SettingsError
from neuronode_router.foreign import described
from neuronode_router.settings import Settings, process_environment

EMBEDDED_ENVIRON = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH")
GRACE_SECONDS = 10.0
"""How long running requests may take to end after SIGTERM."""
START_SECONDS = 300.0
FIRST_ANSWER_SECONDS = 60.0
HEALTHY_SECONDS = 60.0
"""An embedded server that ran for so long is started again without delay."""
POLL_SECONDS = 0.1
STATUS_PATH = "/neuronode/profiles/status"
"""Not below `/admin`, which LiteLLM can be told to take for itself."""
WORKER_FAILED = re.compile(rb'Application startup failed|multiprocessing/(?:spawn|process)\.py", line')
"""What uvicorn prints then, or a traceback from the very first frame of a worker, which died while importing."""


class Service:
    """The child processes of one `neuronode serve`, from their start to their end."""

    def __init__(self, prepared: Prepared, listen: Listen, progress: Progress) -> None:
        self._prepared = prepared
        self._listen = listen
        self._progress = progress
        self._relay = Relay(_write_out)
        self._proxy: Child | None = None
        self._embedded: Child | None = None
        self._stop = asyncio.Event()

    async def run(self, settings: Settings) -> int:
        """Serve until a signal (returns 0) or until a child fails (returns 1)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        failures: set[asyncio.Task[str]] = set()
        try:
            self._proxy = await Child.start(
                litellm_command(self._prepared.effective, self._listen),
                environ=self._prepared.environ,
                captured=True,
            )
            failures.add(asyncio.create_task(self._keep_proxy(self._proxy)))
            if self._prepared.embedded is not None:
                failures.add(asyncio.create_task(self._keep_embedded(self._prepared.embedded)))
            return await self._watch(failures, settings)
        finally:
            for task in failures:
                task.cancel()
            await self._stop_children()

    async def _watch(self, failures: set[asyncio.Task[str]], settings: Settings) -> int:
        """Wait for the signal or a failure; before the banner, also for whether the start succeeds."""
        ready = asyncio.create_task(self._become_ready(settings))
        watched = {asyncio.create_task(self._stop.wait()), *failures}
        await asyncio.wait({ready, *watched}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and ready.exception() is None:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._stop.is_set():
            return 0
        if not self._relay.open:
            _write_out(self._relay.tail)  # nothing of it was shown yet
        failure = next((task.result() for task in failures if task.done()), None)
        if failure is None:
            ready.result()  # raises what went wrong
        _say(f"neuronode: {failure}")
        return 1

    async def _keep_proxy(self, proxy: Child) -> str:
        """Relay LiteLLM's output. Returns how it ended."""
        relay = asyncio.create_task(self._relay.run(proxy))
        code = await proxy.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(relay, 1)  # a worker may still hold the pipe
        return f"LiteLLM ended {_how(code)}; its last lines are above."

    async def _keep_embedded(self, address: EmbeddedAddress) -> str:
        """Run the embedded server, restarting it with a growing delay. Returns only when that cannot help."""
        backoff = Backoff(first=0.5, longest=30.0, jitter=0.0)
        while True:
            began = time.monotonic()
            self._embedded = await Child.start(
                [sys.executable, "-m", embedded.__name__],
                environ={k: v for k, v in self._prepared.environ.items() if k in EMBEDDED_ENVIRON},
            )
            await self._embedded.write(address.to_line())
            code = await self._embedded.wait()
            await self._embedded.release()
            if code == embedded.REFUSED:
                return "The embedded model cannot be used; the line above says why."
            if time.monotonic() - began >= HEALTHY_SECONDS:
                backoff.reset()
            delay = backoff.next()
            _say(f"neuronode: the embedded model ended {_how(code)}; it is started again in {delay:.1f} s")
            await asyncio.sleep(delay)

    async def _become_ready(self, settings: Settings) -> None:
        await asyncio.gather(self._litellm_accepts(), self._embedded_accepts())
        headers = {"Authorization": f"Bearer {self._prepared.key.secret}"}
        async with httpx.AsyncClient(
            base_url=self._listen.url, headers=headers, timeout=FIRST_ANSWER_SECONDS, trust_env=False
        ) as client:
            if self._prepared.embedded is not None:
                with self._progress.step(f"first answer, to {self._first_question()!r}"):
                    await self._ask(client)
            found = await _in_force(client)
        profiles = tuple(sorted(path.stem for path in settings.profiles.glob("*.yaml")))
        _say(
            ready_banner(
                self._listen.url,
                plan=self._prepared.plan,
                key=self._prepared.key,
                found=found,
                profiles=profiles,
                seconds=self._progress.seconds,
            )
        )
        self._relay.open = True

    async def _litellm_accepts(self) -> None:
        workers = f"{self._listen.workers} worker{'s' if self._listen.workers > 1 else ''}"
        with self._progress.step(f"LiteLLM started, {workers}"):
            await until_ok(f"{self._listen.url}/health/liveliness", unless=self._worker_failed)

    async def _embedded_accepts(self) -> None:
        if self._prepared.embedded is not None:
            with self._progress.step("embedded model started, its weights verified (meanwhile)"):
                await until_ok(f"{self._prepared.embedded.url}/health")

    def _worker_failed(self) -> None:
        """Raise `HostError` when a worker cannot start: of several, LiteLLM would try again without end."""
        if worker_failed(self._relay.tail):
            raise HostError("A worker of LiteLLM cannot start.", fix="LiteLLM's lines above say why.")

    def _first_question(self) -> str:
        """Return what is asked: a name that is surely embedded, so that the question costs nothing."""
        plan = self._prepared.plan
        return "classification" if len(plan.embedded) == len(plan.groups) else min(plan.embedded)

    async def _ask(self, client: httpx.AsyncClient) -> None:
        body = {
            "model": self._first_question(),
            "max_tokens": 8,
            "messages": [{"role": "user", "content": QUESTION}],
        }
        answer = await client.post("/v1/chat/completions", json=body)
        if answer.status_code != httpx.codes.OK:
            raise HostError(
                f"The first question was answered with {answer.status_code}: {answer.text[:300]}",
                fix="Look into LiteLLM's lines above.",
            )

    async def _stop_children(self) -> None:
        if self._proxy is not None and not await self._proxy.stop(grace=GRACE_SECONDS):
            _say(f"neuronode: LiteLLM had not ended after {GRACE_SECONDS:.0f} s and was killed")
        if self._embedded is not None:  # last, so that running answers can end
            await self._embedded.stop(grace=1)


async def serve(settings: Settings, listen: Listen) -> int:
    """Run everything in the foreground. Returns the exit code. Raises `SettingsError`, `HostError`."""
    progress = Progress(_say)
    async with AsyncExitStack() as stack:
        with progress.step(f"configuration {settings.config.name} read, backends looked for"):
            ready_made = await stack.enter_async_context(prepared(settings, process_environment(), listen))
        for line in ready_made.warnings:
            progress.note(line)
        try:
            return await Service(ready_made, listen, progress).run(settings)
        except (httpx.HTTPError, TimeoutError) as error:
            raise HostError(
                f"The proxy did not answer ({described(error)}).",
                fix="Look into LiteLLM's lines above; a busy machine may need a second try.",
            ) from error


def worker_failed(output: bytes) -> bool:
    """Return whether LiteLLM's first output says that a worker is dead or will never serve. Never raises."""
    return WORKER_FAILED.search(output) is not None


def litellm_command(effective: Path, listen: Listen) -> list[str]:
    """Return LiteLLM's command line. Raises `SettingsError` when it is not installed beside this Python."""
    program = Path(sysconfig.get_path("scripts")) / launch.COMMAND
    if not program.exists():
        raise SettingsError(f"{program} is missing.", fix="Run scripts/install.")
    command = [sys.executable, "-m", launch.__name__, "--config", str(effective)]
    command += ["--host", listen.host, "--port", str(listen.port), "--num_workers", str(listen.workers)]
    if listen.workers > 1:
        command += ["--timeout_worker_healthcheck", str(WORKER_HEALTH_SECONDS)]
    return command


async def until_ok(
    url: str, *, unless: Callable[[], None] = lambda: None, seconds: float = START_SECONDS
) -> None:
    """Ask again and again until the answer is 200. Raises `TimeoutError`, and what `unless` raises."""
    async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False) as client:
        while True:
            unless()
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url, timeout=5)).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(POLL_SECONDS)


async def _in_force(client: httpx.AsyncClient) -> InForce:
    """Return what the plugin says is in force; where it says nothing, the banner says nothing either."""
    try:
        return InForce.told((await client.get(STATUS_PATH)).json())
    except (httpx.HTTPError, ValueError):
        return InForce(None)


def _how(code: int) -> str:
    return f"with exit code {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"


def _say(text: str) -> None:
    print(text, flush=True)


def _write_out(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
