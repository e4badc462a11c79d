"""Leases as tests need them: one that has passed on.

It must not know what its holder does.
"""

from __future__ import annotations

from neuronode_router.storage.database import Database
from neuronode_router.storage.lease import Fence, Lease


def passed_on(database: Database, name: str) -> tuple[Fence, Fence]:
    """Return what the holder of before shows with what it writes, and what the present one does."""
    first, second = (Lease(database, name, holder=holder, ttl=3600) for holder in ("before", "now"))
    old, _ = first.take()
    first.release()
    new, _ = second.take()
    assert old is not None
    assert new is not None
    return old, new
