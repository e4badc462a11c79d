"""The books of the worker that the admin API's tests look at: real, over the worker's own store.

It must not know HTTP.
"""

from __future__ import annotations

import time

from neuronode_router.control.store import ControlStore
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.prices import Price
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.targets import GroupNote
from neuronode_router.usage.writer import UsageWriter
from tests.support.place import GROUPS


def open_books(store: ControlStore, buffer: UsageBuffer) -> UsageService:
    """Return books in which every group of `balanced` is listed at half the price of `premium`'s, and no other."""
    books = UsageStore(store.database)
    cheap = Price(0.5e-6, 1e-6, cached=0.1e-6)
    notes = {group: GroupNote() for tasks in GROUPS.values() for group in tasks.values()}
    return UsageService(
        writer=UsageWriter(buffer=buffer, store=books, worker="worker-1", clock=time.time, days=90),
        store=books,
        clock=time.time,
        listed=lambda group: cheap if group.endswith("balanced") else None,
        notes=lambda: notes,
        profiles=list,
    )
