"""Runs the real LiteLLM proxy as a child process on a free port, with the plugin or without.

It must not know what is asked of the proxy. A start takes 3 to 6 s of CPU, `afresh` 20 to 40 s: tests share proxies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from tests.support import preloaded
from tests.support.place import Place
from tests.support.preloaded import Forked
from tests.support.servers import free_port, runs, wait_until

MASTER_KEY = "sk-test-e2e-master-3f9c1d7a5b8e4f60"
START_SECONDS = 150.0
STOP_SECONDS = 20.0
STARTUP_HOOK = "neuronode_router.plugin:start"
_ROOT = Path(__file__).resolve().parents[2]
_READY = "Application startup complete."
_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "CI")


@dataclass(slots=True)
class Proxy:
    """One proxy. A context manager: starts on entry, stops every process of it on exit."""

    place: Place
    workers: int = 1
    plugin: bool = True
    master_key: str | None = MASTER_KEY
    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    """More of LiteLLM's command line."""
    afresh: bool = field(default_factory=lambda: not preloaded.is_offered())
    """Start as users do, in an interpreter of its own; otherwise, in tests, LiteLLM is imported already."""
    port: int = field(default_factory=free_port)
    start_seconds: float = field(init=False, default=0.0)
    _process: Forked | subprocess.Popen[bytes] | None = field(init=False, default=None)
    _log_start: int = field(init=False, default=0)

    @property
    def url(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the proxy printed, over all its starts."""
        return self.place.directory / "proxy.log"

    def __enter__(self) -> Self:
        self.place.write()
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until every worker serves. Raises `RuntimeError` with the log's end otherwise."""
        self.log_file.touch()
        self._log_start = self.log_file.stat().st_size
        begun = time.monotonic()
        self._process = self._opened() if self.afresh else self._forked()
        try:
            wait_until(self._ready, seconds=START_SECONDS, what="the proxy's start")
        except (TimeoutError, ChildProcessError) as error:
            raise RuntimeError(f"{error}\n{self.log()[-6000:]}") from error
        self.start_seconds = time.monotonic() - begun

    def stop(self) -> None:
        """SIGTERM, then SIGKILL what is left after a while."""
        if self._process is None:
            return
        children = self._children()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
            wait_until(lambda: not any(map(runs, children)), seconds=STOP_SECONDS, what="the workers' end")
        except (subprocess.TimeoutExpired, TimeoutError):
            for process in filter(runs, children):
                process.kill()
        self.kill()

    def kill(self) -> None:
        """SIGKILL every process at once, as when the machine dies."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def worker_processes(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        assert self._process is not None
        if self.workers == 1:
            return [psutil.Process(self._process.pid)]
        children = self._children()
        spawned = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return spawned or [worker for forker in children for worker in forker.children()]

    def processes(self) -> list[psutil.Process]:
        """Return every process that serving takes: workers and who started them."""
        assert self._process is not None
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def log(self) -> str:
        """Return what was printed since the last start."""
        return self.log_file.read_bytes()[self._log_start :].decode(errors="replace")

    def client(self, key: str | None = MASTER_KEY, **headers: str) -> httpx.Client:
        """Return a client that sends `key` as bearer."""
        return httpx.Client(base_url=self.url, headers=bearer(key) | headers, timeout=30)

    def _opened(self) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                self._command(), env=self._environment(), cwd=self.place.directory,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def _command(self) -> list[str]:
        return [str(Path(sys.executable).parent / "litellm"), *self._arguments()]

    def _forked(self) -> Forked:
        return preloaded.start(
            self._arguments(), environ=self._environment(), folder=self.place.directory, log=self.log_file
        )

    def _children(self) -> list[psutil.Process]:
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self._process.pid).children())
        return []

    def _ready(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise ChildProcessError(f"the proxy ended with {code}")
        if self.log().count(_READY) < self.workers:
            return False
        with contextlib.suppress(httpx.TransportError):  # a single worker listens a moment after it is ready
            return httpx.get(f"{self.url}/health/liveliness").status_code == 200
        return False

    def _arguments(self) -> list[str]:
        command = ["--config", str(self.place.config), "--host", "127.0.0.1"]
        # Clients that pause must not race with a proxy that hangs up on idle connections after 5 s.
        command += ["--port", str(self.port), "--keepalive_timeout", "600"]
        if self.workers > 1:
            # A worker that is killed while it is asked whether it lives is missed at the end of this time only. Who has
            # everything to import may not answer for long.
            patience = 120 if self.afresh else 30
            command += [preloaded.WORKERS, str(self.workers), "--timeout_worker_healthcheck", str(patience)]
        return [*command, *self.arguments]

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment = {
            **inherited,
            "HOME": str(self.place.directory),
            "PYTHONPATH": str(_ROOT),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "PYTHONFAULTHANDLER": "1",
        }
        if self.master_key:
            environment["LITELLM_MASTER_KEY"] = self.master_key
        if self.plugin:
            environment["LITELLM_WORKER_STARTUP_HOOKS"] = STARTUP_HOOK
            if self.place.access_file:
                environment["NEURONODE_ACCESS_FILE"] = str(self.place.access_file)
        return environment | dict(self.environ)


def bearer(key: str | None) -> dict[str, str]:
    """Return the authorization header of a key; without one, none."""
    return {"authorization": f"Bearer {key}"} if key else {}
