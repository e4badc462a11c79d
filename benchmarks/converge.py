"""Commit until the last worker process serves the revision, and switch call until the full receipt. No LiteLLM.

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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.ports import Wake
from neuronode_router.control.registry import WorkerIdentity
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake, RedisWake
from neuronode_router.control.worker import Worker
from neuronode_router.domain import Actor, Receipt
from tests.support.control import HOST, MemorySource, RecordingApplier
from tests.support.servers import running_postgres, running_redis

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ("sqlite+file", "sqlite+redis", "postgres+redis")


def make_wake(url: str) -> Wake:
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


@contextmanager
def worker_processes(count: int, state_url: str, wake_url: str) -> Iterator[None]:
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


async def switch_often(state_url: str, wake_url: str, *, workers: int, switches: int) -> list[Receipt]:
    store, wake = ControlStore(state_url), make_wake(wake_url)
    await wake.start(lambda: None)
    manager = ProfileManager(store=store, source=MemorySource(), host=lambda: HOST, wake=wake)
    await manager.reload(actor=FILES, wait="none")
    with worker_processes(workers, state_url, wake_url):
        while sum(status.revision == 1 for status in await manager.workers()) < workers:
            await asyncio.sleep(0.05)
        names = ("premium", "balanced")
        receipts = []
        for number in range(switches + 10):
            receipts.append(await manager.switch(names[number % 2], actor=Actor("bench")))
            await asyncio.sleep(0.02)
    await wake.stop()
    return receipts[10:]  # the first ones warm up


def show(name: str, workers: int, receipts: list[Receipt]) -> None:
    assert all(receipt.complete and len(receipt.workers) == workers for receipt in receipts), (
        "incomplete receipt"
    )
    last = [max(ack.after_ms or 0.0 for ack in receipt.workers) for receipt in receipts]
    whole = [receipt.duration_ms for receipt in receipts]
    print(
        f"{name:15} workers={workers} switches={len(receipts)}  commit->last applied {line(last)}  receipt {line(whole)}"
    )


def line(values: list[float]) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"p50 {cuts[49]:6.2f}  p99 {cuts[98]:6.2f}  max {max(values):6.2f} ms"


def main() -> None:
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
    file_url, wake_url = f"sqlite:///{directory}/control.db", f"{directory}/wake/revision"
    if setting == "sqlite+file":
        receipts = asyncio.run(switch_often(file_url, wake_url, workers=workers, switches=switches))
    else:
        with running_redis(directory) as redis:
            if setting == "sqlite+redis":
                receipts = asyncio.run(switch_often(file_url, redis.url, workers=workers, switches=switches))
            else:
                with running_postgres(directory / "postgres") as postgres:
                    url = postgres.new_database()
                    receipts = asyncio.run(switch_often(url, redis.url, workers=workers, switches=switches))
    show(setting, workers, receipts)


if __name__ == "__main__":
    main()
