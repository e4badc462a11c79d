"""From an order to a committed revision: recall, If-Match, prepare, commit; again when somebody was faster.

It must not know workers, wake-ups or receipts. It blocks: the ProfileManager calls it in a thread.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace

from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.change import (
    ChangeOrder,
    ChangeResult,
    ChangeTarget,
    is_dropped,
)
from neuronode_router.control.store import ControlStore
from neuronode_router.control.told import told_changes
from neuronode_router.domain.audit import AuditEntry
from neuronode_router.domain.bindings import bindings_text
from neuronode_router.domain.rollouts import canary_text
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import NOT_STEERED, Hold, Steering, steering_text
from neuronode_router.errors import NotReady, RevisionConflict, UnknownRevision

logger = logging.getLogger(__name__)

ATTEMPTS = 100
"""How often a change without If-Match is prepared anew because another process committed in between."""

Prepare = Callable[[ControlState | None], ChangeTarget]
"""From the current state to where the change leads. Raises `NeuronodeError` when it cannot lead there."""


def carry_out(store: ControlStore, order: ChangeOrder, prepare: Prepare) -> ChangeResult:
    """Commit `order`, or find that nothing is to be done.

    `prepare` runs without a lock, so it may read files; the commit then insists on the revision it was given. Raises
    `RevisionConflict` (If-Match), `StoreUnavailable`, `IdempotencyMismatch` and whatever `prepare` raises.
    """
    for _ in range(ATTEMPTS):
        # In this order: the same request on another worker is either recalled, or what it commits is a conflict below.
        before = store.read()
        replay = _recall(store, order)
        if replay is not None:
            return replay
        revision = 0 if before is None else before.revision
        if order.if_match not in (None, revision):
            raise RevisionConflict(expected=order.if_match or 0, actual=revision)
        target = prepare(before)
        target = replace(target, steering=_steered(order, before, target))
        outcome = _compare(replace(order, moves=order.moves or is_dropped(before, target)), before, target)
        if order.dry_run:
            return outcome
        try:
            if not outcome.changed:
                if order.idempotency is not None:
                    store.claim(order.idempotency, actor=order.actor.name, revision=revision)
                return outcome
            entry = store.commit(outcome.order, target, outcome.changes, expected=revision)
        except RevisionConflict as conflict:
            latest = conflict
            continue  # also with If-Match: who was faster may have been this very request
        _log(entry)
        return replace(outcome, entry=entry)
    raise latest


def require_state(state: ControlState | None) -> ControlState:
    """Return `state`. Raises `NotReady` when nothing was ever committed."""
    if state is None:
        raise NotReady("No profiles have been committed yet.")
    return state


def _recall(store: ControlStore, order: ChangeOrder) -> ChangeResult | None:
    if order.idempotency is None:
        return None
    found = store.keys.recall(order.idempotency, actor=order.actor.name)
    if found is None:
        return None
    entries = store.audit.page(AuditQuery(limit=1, before=found.revision + 1))
    if not entries:
        message = f"What this Idempotency-Key led to, revision {found.revision}, has been archived."
        raise UnknownRevision(message, fix="Nothing is done again. The archive has the row; use a fresh key.")
    entry = entries[0]
    if not found.changed:
        there = store.read_at(found.revision)
        target = ChangeTarget(there.active, there.profiles, there.bindings)
        return ChangeResult(order, there, target, (), changed=False, entry=None, replayed=True)
    return ChangeResult(order, None, None, entry.changes, changed=True, entry=entry, replayed=True)


def _compare(order: ChangeOrder, before: ControlState | None, target: ChangeTarget) -> ChangeResult:
    changes = told_changes(before, target)
    same = before is not None and _content(before) == _content(target) and target.along is None
    changed = order.moves or not same
    return ChangeResult(order, before, target, changes, changed=changed, entry=None)


def _steered(order: ChangeOrder, before: ControlState | None, target: ChangeTarget) -> Steering:
    """Return what becomes of the steering: while a policy is in force, whoever switches holds what they switched to."""
    steering = before.steering if before else NOT_STEERED
    if target.steering is not None or before is None:
        return target.steering or steering
    promoted = order.action == "rollout" and target.active != before.active
    by_hand = order.action in ("switch", "rollback") or promoted
    if not by_hand:
        return steering
    if not (steering.policy or order.hold or order.until is not None):
        return replace(steering, hold=None)
    emergencies = tuple(bend for bend in steering.bends if bend.emergency)
    return replace(steering, hold=_hold(order, before, target), bends=emergencies)


def _hold(order: ChangeOrder, before: ControlState, target: ChangeTarget) -> Hold:
    held = before.steering.hold
    if held is not None and (held.profile, held.until) == (target.active, order.until):
        return held  # said again: no change
    earlier = held.before if held is not None and held.until is not None else before.active
    return Hold(
        profile=target.active,
        by=order.actor.name,
        until=order.until,
        before=None if order.until is None else earlier,
    )


def _content(state: ControlState | ChangeTarget) -> tuple[str, ...]:
    return (
        state.active,
        state.profiles.digest,
        bindings_text(state.bindings),
        canary_text(state.canary),
        steering_text(state.steering or NOT_STEERED),
    )


def _log(entry: AuditEntry) -> None:
    # JSON, because names and reasons come from outside: no newline or escape sequence reaches the log as such.
    line = {
        "revision": entry.revision,
        "action": entry.action,
        "profile": entry.profile_after,
        "from": entry.profile_before,
        "actor": entry.actor.name,
        "reason": entry.reason,
        "changes": len(entry.changes),
    }
    logger.info("neuronode revision committed %s", json.dumps(line, ensure_ascii=True))
