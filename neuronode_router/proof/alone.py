"""One run of probes at a time among all workers of all hosts: each costs real requests.

It must not know what a run asks, nor who wants it. A worker that dies takes its run with it, and lets the next begin
after `LEASE_SECONDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from neuronode_router.errors import ProbesRunning, StoreUnavailable
from neuronode_router.storage.database import Database
from neuronode_router.storage.lease import Lease
from neuronode_router.threads import in_thread

LEASE = "proof_run"
LEASE_SECONDS = 30.0
KEEP_SECONDS = 10.0


@asynccontextmanager
async def alone(database: Database, *, clock: Callable[[], float]) -> AsyncIterator[None]:
    """Hold the turn for as long as the block lasts; `clock` is Unix time in seconds.

    Raises `ProbesRunning` where a run is under way somewhere, and `StoreUnavailable`.
    """
    lease = Lease(database, LEASE, holder=uuid4().hex, ttl=LEASE_SECONDS, clock=clock)
    fence, _ = await in_thread(lease.take)
    if fence is None:
        raise ProbesRunning("The groups are being asked already.")
    ended = asyncio.Event()
    kept = asyncio.create_task(_keep(lease, ended))
    try:
        yield
    finally:
        ended.set()
        await kept
        with suppress(StoreUnavailable):
            await in_thread(lease.release)


async def _keep(lease: Lease, ended: asyncio.Event) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), KEEP_SECONDS)
            return
        with suppress(StoreUnavailable):
            await in_thread(lease.take)
