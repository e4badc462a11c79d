"""COMMIT until the last worker process serves the revision, and switch call until the full receipt. No LiteLLM.

`disk` is COMMIT itself (one fsync); then from its return to the last worker, and the whole call.

Usage: python -m benchmarks.converge [--workers 2 4] [--switches 200] [--only sqlite+file ...]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake, RedisWake, Wake
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.receipts import Receipt
from neuronode_router.profiles.files import ProfileFiles
from tests.support.control import RecordingApplier
from tests.support.place import GROUPS, TIERS, profile_text
from tests.support.servers import running_postgres, running_redis

ROOT = Path(__file__).resolve().parent.parent
Measured = tuple[float, float, float]
SETTINGS = ("sqlite+file", "sqlite+redis", "postgres+redis")
NAMES = ("premium", "balanced")
HOST = HostFacts(
    frozenset(
        {f"tier_{tier}" for tier in TIERS} | {group for name in NAMES for group in GROUPS[name].values()}
    )
)


def make_wake(url: str) -> Wake:
    """Return the wake-up that `url` names: a Redis URL or a path."""
    return RedisWake(url) if url.startswith("redis") else FileWake(Path(url))


async def serve(state_url: str, wake_url: str) -> None:
    """Be one worker process until standard input ends."""
    identity = WorkerIdentity(uuid.uuid4().hex, socket.gethostname(), os.getpid(), "bench", time.time())
    worker = Worker(
        store=ControlStore(state_url), applier=RecordingApplier(), wake=make_wake(wake_url), identity=identity
    )
    await worker.start()
    await asyncio.to_thread(sys.stdin.read)
    await worker.stop()


def write_profiles(folder: Path) -> Path:
    """Write the files of both profiles, and return their folder."""
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.yaml").write_text(profile_text(name))
    return folder


@contextmanager
def worker_processes(count: int, state_url: str, wake_url: str) -> Iterator[None]:
    """Run `count` worker processes."""
    command = [sys.executable, "-m", "benchmarks.converge", "--serve", state_url, wake_url]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        for child in children:
            child.wait(10)


async def switch_often(
    state_url: str, wake_url: str, profiles: Path, *, workers: int, switches: int
) -> list[Measured]:
    """Switch to and fro and return the times of every switch, in milliseconds."""
    stamps: dict[str, float] = {}
    store = ControlStore(state_url, fault=lambda step: stamps.update({step: time.time()}))
    wake = make_wake(wake_url)
    await wake.start(lambda: None)
    source = ProfileFiles(write_profiles(profiles))
    manager = ProfileManager(store=store, source=source, host=lambda: HOST, wake=wake)
    await manager.reload(actor=FILES, wait="none")
    with worker_processes(workers, state_url, wake_url):
        while sum(status.revision == 1 for status in await manager.workers()) < workers:
            await asyncio.sleep(0.05)
        measured = []
        for number in range(switches + 10):
            receipt = await manager.switch(NAMES[number % 2], actor=Actor("bench"))
            measured.append(measure(receipt, stamps, workers))
            await asyncio.sleep(0.02)
    await wake.stop()
    return measured[10:]  # the first ones warm up


def measure(receipt: Receipt, stamps: dict[str, float], workers: int) -> Measured:
    """Return the three times of one switch, in milliseconds."""
    assert receipt.complete, "incomplete receipt"
    assert len(receipt.workers) == workers
    last = max(ack.applied_at or 0.0 for ack in receipt.workers)
    disk = stamps["committed"] - stamps["published"]
    return disk * 1000, (last - stamps["committed"]) * 1000, receipt.duration_ms


def show(name: str, workers: int, measured: list[Measured]) -> None:
    """Print one line of results."""
    disk, last, whole = zip(*measured, strict=True)
    print(f"{name:14} workers={workers}  disk {line(disk)}  last applied {line(last)}  receipt {line(whole)}")


def line(values: Sequence[float]) -> str:
    """Return the percentiles of `values`."""
    cuts = statistics.quantiles(values, n=100)
    return f"p50 {cuts[49]:5.2f} p99 {cuts[98]:6.2f} ms"


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs=2, metavar=("STATE", "WAKE"))
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=SETTINGS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(*options.serve))
        return
    for setting in options.only:
        for workers in options.workers:
            with tempfile.TemporaryDirectory() as directory:
                run(setting, Path(directory), workers=workers, switches=options.switches)


def run(setting: str, directory: Path, *, workers: int, switches: int) -> None:
    """Measure one setting and print its line."""
    state_url, wake_url = f"sqlite:///{directory}/control.db", f"{directory}/wake/revision"
    with ExitStack() as stack:
        if setting != "sqlite+file":
            wake_url = stack.enter_context(running_redis(directory)).url
        if setting == "postgres+redis":
            postgres = running_postgres(directory / "postgres", durable=True)
            state_url = stack.enter_context(postgres).new_database()
        often = switch_often(state_url, wake_url, directory / "profiles", workers=workers, switches=switches)
        show(setting, workers, asyncio.run(often))


if __name__ == "__main__":
    main()
