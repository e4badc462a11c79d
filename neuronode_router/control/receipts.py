"""Receipts: who has taken up a revision, waited for within a bound.

It must not know how a revision came about, and never undoes one: after the commit, trouble becomes a warning.
"""

from __future__ import annotations

import threading
import time

from neuronode_router.backoff import Backoff
from neuronode_router.control.change import ChangeResult, Wait
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.receipts import Receipt, WorkerAck
from neuronode_router.domain.rules import ConversationRule
from neuronode_router.errors import StoreUnavailable

FIRST_PAUSE, LONGEST_PAUSE, PAUSE_GROWTH = 0.001, 0.05, 1.25
"""Seconds between two looks at the acknowledgements: a switch is applied within a few milliseconds."""


def write_receipt(store: ControlStore, outcome: ChangeResult, *, end: float) -> Receipt:
    """Return the receipt of `outcome`, by `time.monotonic()` at about `end` at the latest, or after one look.

    Blocks: call it in a thread. `duration_ms` is left 0. Never raises: a store that does not answer any more is a
    warning, because what was committed is committed.
    """
    revision, committed_at = _reference(outcome)
    warnings: tuple[str, ...] = ()
    acks: tuple[WorkerAck, ...] = ()
    wait = outcome.order.waits_for
    try:
        acks = _acknowledgements(store, revision, committed_at=committed_at, wait=wait, end=end)
    except StoreUnavailable as error:
        warnings = (f"The acknowledgements could not be read: {error.message}",)
    entry, before, target = outcome.entry, outcome.before, outcome.target
    active = entry.profile_after if entry else target.active if target else ""
    previous = entry.profile_before if entry else before.active if before else None
    return Receipt(
        revision=revision,
        changed=outcome.changed,
        dry_run=outcome.order.dry_run,
        action=entry.action if entry else outcome.order.action,
        profile=active,
        previous_profile=previous,
        changes=outcome.changes,
        committed_at=entry.at if entry else None,
        workers=acks,
        complete=_is_full(acks) and not warnings and not outcome.order.dry_run,
        duration_ms=0.0,
        warnings=(*((*target.warnings, *target.gate_result.warnings) if target else ()), *warnings),
        awaited=wait == "all",
        replayed=outcome.replayed,
        conversations=_rule(outcome),
        held=sum(ack.held for ack in acks),
        drained=sum(ack.drained for ack in acks),
    )


def _rule(outcome: ChangeResult) -> ConversationRule:
    """Return what becomes of conversations. Of a replay only the order is known."""
    target = outcome.target
    if outcome.order.moves:
        return ConversationRule.MOVE
    return target.profiles.profiles[target.active].conversations if target else ConversationRule.KEEP


def _reference(outcome: ChangeResult) -> tuple[int, float]:
    """Return the revision that workers are compared with, and when it was committed."""
    if outcome.entry is not None:
        return outcome.entry.revision, outcome.entry.at
    if outcome.before is not None:
        return outcome.before.revision, outcome.before.committed_at
    return 0, 0.0


def _acknowledgements(
    store: ControlStore, revision: int, *, committed_at: float, wait: Wait, end: float
) -> tuple[WorkerAck, ...]:
    # In one thread from the first look to the last: on a busy event loop each hand-over costs whole requests.
    pause_over = threading.Event()
    pauses = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE, factor=PAUSE_GROWTH)
    while True:
        acks = store.registry.acknowledgements(revision, committed_at=committed_at)
        left = end - time.monotonic()
        if left <= 0 or _enough(acks, wait):
            return acks
        pause_over.wait(min(pauses.next(), left))


def _is_full(acks: tuple[WorkerAck, ...]) -> bool:
    """Return whether every worker applied it; where none is known, the one that writes this is not either."""
    return bool(acks) and all(ack.state == "applied" for ack in acks)


def _enough(acks: tuple[WorkerAck, ...], wait: Wait) -> bool:
    if wait == "none" or all(ack.state != "waiting" for ack in acks):
        return True
    return wait == "one" and any(ack.state == "applied" for ack in acks)
