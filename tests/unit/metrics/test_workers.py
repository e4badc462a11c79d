"""Several workers of one host: whichever is asked, it tells the sum, also of those that are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuronode_router.metrics.catalogue import DIRECTORY_VARIABLE
from tests.support.metering import value

COUNTING = """
import sys
from prometheus_client import Counter
from neuronode_router.metrics import Catalogue
catalogue = Catalogue()
Counter("litellm_requests", "The host's own.").inc()
print("ready", flush=True)
for line in sys.stdin:
    catalogue.faults.labels("store").inc(int(line))
    catalogue.in_flight.labels("chat").set(int(line))
    catalogue.switches.labels("switch", "true").observe(int(line) / 1000)
    print("done", flush=True)
"""

ASKED = """
from neuronode_router.metrics import Catalogue, gauge, render
print(render(Catalogue(), [gauge("revision", "", (), {(): 7})]).decode(), end="")
"""


class Workers:
    """Processes that count into one directory."""

    def __init__(self, directory: Path) -> None:
        self._environ = {**os.environ, DIRECTORY_VARIABLE: str(directory)}
        self._running: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        """Start one and wait until it counts."""
        worker = subprocess.Popen(
            [sys.executable, "-c", COUNTING],
            env=self._environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        return worker

    def count(self, worker: subprocess.Popen[str], number: int) -> None:
        """Let one count, and wait until it has."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{number}\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "done\n"

    def ask(self) -> bytes:
        """Return what a worker tells."""
        return subprocess.run(
            [sys.executable, "-c", ASKED], env=self._environ, check=True, capture_output=True
        ).stdout

    def end(self) -> None:
        """End all."""
        for worker in self._running:
            worker.kill()
            worker.communicate()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Workers whose directory nobody has made yet."""
    found = Workers(tmp_path / "metrics")
    yield found
    found.end()


def test_counts_of_all_workers_are_added_up(workers: Workers) -> None:
    """Counters, histograms and what runs now; not the host's own metrics, which stand in the same files."""
    first, second = workers.start(), workers.start()

    workers.count(first, 3)
    workers.count(second, 40)
    text = workers.ask()

    assert value(text, "faults_total", kind="store") == 43
    assert value(text, "attempts_in_flight", group="chat") == 43
    assert value(text, "switch_seconds_count", action="switch", complete="true") == 2
    assert value(text, "switch_seconds_bucket", action="switch", complete="true", le="0.005") == 1
    assert value(text, "revision") == 7
    assert b"litellm" not in text


def test_what_a_killed_worker_counted_stays(workers: Workers) -> None:
    """A counter that fell would look like a restart, and its rate would be wrong."""
    first, second = workers.start(), workers.start()
    workers.count(first, 3)
    workers.count(second, 40)

    first.send_signal(signal.SIGKILL)
    first.wait()
    workers.count(workers.start(), 5)

    assert value(workers.ask(), "faults_total", kind="store") == 48
