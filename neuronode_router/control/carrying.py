"""An order carried out from thread to thread: committed, the workers woken, their acknowledgements waited for.

The event loop of a busy proxy has no turn for any of that. It must not know what an order changes.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from neuronode_router.control.change import ChangeOrder, ChangeResult
from neuronode_router.control.receipts import write_receipt
from neuronode_router.control.store import ControlStore
from neuronode_router.control.transition import Prepare, carry_out
from neuronode_router.control.wake import Wake
from neuronode_router.domain.receipts import Receipt

WITNESSES = 8
"""Receipts of one process that wait for acknowledgements at the same time; more of them queue, and look once when
their time is over by then."""

Carried: TypeAlias = tuple[ChangeResult, Future[Receipt]]
"""What became of an order, and the receipt that is being written of it."""


class OrderCarrier:
    """Carries orders out. A receipt comes about `receipt_timeout` seconds after the commit at the latest."""

    def __init__(self, store: ControlStore, wake: Wake, *, receipt_timeout: float) -> None:
        self._store = store
        self._wake = wake
        self._receipt_timeout = receipt_timeout
        # Apart from all other threads: waiting for a frozen worker must not keep others from theirs.
        self._witnesses = ThreadPoolExecutor(WITNESSES, thread_name_prefix="neuronode-receipt")

    def foresee(self, order: ChangeOrder, prepare: Prepare) -> ChangeResult:
        """Return what becomes of a dry run, without a receipt. It blocks, and raises what that raises."""
        return carry_out(self._store, order, prepare)

    def carry_out(self, order: ChangeOrder, prepare: Prepare) -> Carried:
        """Return what became of an order while its receipt is being written. It blocks, and raises what that raises."""
        outcome = carry_out(self._store, order, prepare)
        if outcome.entry is not None and not outcome.replayed:
            self._wake.signal(outcome.entry.revision)
        end = time.monotonic() + self._receipt_timeout
        if outcome.order.waits_for != "none":
            return outcome, self._witnesses.submit(write_receipt, self._store, outcome, end=end)
        # One look, at once: it must not queue behind those who wait for a frozen worker.
        witnessed: Future[Receipt] = Future()
        witnessed.set_result(write_receipt(self._store, outcome, end=end))
        return outcome, witnessed
