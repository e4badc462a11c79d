"""A worker for tests that kill it: adds one request per batch and prints how many batches the store has taken.

Usage: python -m tests.contract.usage_process <state URL> <worker>
"""

from __future__ import annotations

import itertools
import sys

from neuronode_router.control.store import ControlStore
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.store import UsageStore
from tests.support.usage import NOW, finished


def main() -> None:
    """Add until killed."""
    url, worker = sys.argv[1:]
    books, buffer = UsageStore(ControlStore(url).database), UsageBuffer()
    for count in itertools.count(1):
        buffer.count(finished())
        batch = buffer.take()
        assert batch is not None
        books.add(worker, batch, at=NOW)
        print(count, flush=True)


if __name__ == "__main__":
    main()
