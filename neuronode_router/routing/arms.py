"""Which arm of a rollout a request belongs to: a keyed hash of its conversation against the share.

The share only grows, so nobody who tries is sent back by that. Who has been placed once stays there, as far as it is
known. It knows no callers, and remembers nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from neuronode_router.domain.decisions import Decision
from neuronode_router.domain.rollouts import Canary
from neuronode_router.routing.conversations import FOLLOWING, Standing, is_tried
from neuronode_router.routing.snapshot import Snapshot

WHOLE = 1000
"""Shares are in thousandths."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The arm of a request."""

    tries: bool
    """Whether the profile that is tried answers it."""
    compared: bool
    """Whether it counts: who was placed under another share would speak for conversations of another age."""


def place(canary: Canary, snapshot: Snapshot, unit: bytes, standing: Standing | None) -> Placement:
    """Return where a request belongs while a rollout runs. Never raises.

    `unit` names its conversation, or its caller where it has none; `standing` is what is known of the conversation.
    """
    if standing is None or standing.reason not in FOLLOWING or standing.revision < snapshot.state.moved:
        return Placement(tries(canary, unit), compared=True)
    compared = standing.placed_at >= canary.since
    if is_tried(standing, snapshot):
        return Placement(True, compared)
    if standing.profile == snapshot.state.active:
        return Placement(False, compared)
    return Placement(tries(canary, unit), compared)


def tries(canary: Canary, unit: bytes) -> bool:
    """Return whether `unit`, which names a conversation or a caller, belongs to those who try. Never raises."""
    digest = hashlib.blake2b(unit, key=bytes.fromhex(canary.salt), digest_size=8).digest()
    return int.from_bytes(digest) % WHOLE < canary.share


def only_in_one(snapshot: Snapshot, name: str, group: str) -> bool | None:
    """Return whether only the profile that is tried asks a group for `name`; None where both do, or neither does.

    That tells the arm of a conversation of which a client sends nothing but the id of the last answer.
    """
    tried, stays = (
        _asks(snapshot, meant.get(name), group) for meant in (snapshot.canary, snapshot.decisions)
    )
    return None if tried is stays else tried


def _asks(snapshot: Snapshot, decision: Decision | None, group: str) -> bool:
    if decision is None:
        return False
    if not decision.auto:
        return decision.group == group
    return any(group in groups for groups in snapshot.ladders[decision.profile or ""].values())
