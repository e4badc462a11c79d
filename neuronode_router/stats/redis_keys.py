"""Statistics in Redis: which keys there are, and what of their content is believed.

  neuronode:{stats}:v1:epoch                    16 hex digits; new after a flush or a loss, and part of other keys
  neuronode:{stats}:v1:<epoch>:slot:<number>    hash "<field>:<deployment id>" -> count, only ever incremented;
                                                number = Unix time // 10; field = one of tally.FIELDS
  neuronode:{stats}:v1:<epoch>:added:<instance> how many times this process has added to slots
  neuronode:{stats}:v1:instances                set of instance ids (16 hex digits)
  neuronode:{stats}:v1:depth:<instance>         hash "<deployment id>" -> attempts that run, and "" -> 1 (alive)

Slots, and what was added, live as long as the window and a minute; a depth lives 5 s unless its process says so again.
The braces keep all keys on one node of a Redis Cluster. Other content means another version: never change a meaning
under v1.
It must not know when anything is read or written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from neuronode_router.stats.tally import FIELDS, Tally, believable
from neuronode_router.stats.window import MAX_DEPLOYMENTS, SLOT_SECONDS, WINDOW_SLOTS

PREFIX = "neuronode:{stats}:v1"
EPOCH = f"{PREFIX}:epoch"
INSTANCES = f"{PREFIX}:instances"
SLOT_TTL = SLOT_SECONDS * WINDOW_SLOTS + 60
DEPTH_TTL = 5
ALIVE = ""
"""Field of a depth that is always there: without it the process has died."""
MAX_INSTANCES = 256
MAX_FIELDS = 50_000
MAX_ID_LENGTH = 256
MOST_DEPTH = 1000
"""Attempts that one process has in flight at one deployment: what goes beyond is not believed."""

_IDENTITY = re.compile(rb"[0-9a-f]{16}")
_COUNT = re.compile(rb"[0-9]{1,9}")
_DEPTH = re.compile(rb"[0-9]{1,5}")


def slot_key(epoch: str, number: int) -> str:
    """Return the key of one slot."""
    return f"{PREFIX}:{epoch}:slot:{number}"


def added_key(epoch: str, instance: str) -> str:
    """Return the key of how many times a process has added to slots."""
    return f"{PREFIX}:{epoch}:added:{instance}"


def depth_key(instance: str) -> str:
    """Return the key of what one process has in flight."""
    return f"{PREFIX}:depth:{instance}"


def field_key(name: str, deployment_id: str) -> str:
    """Return the field of one count in a slot's hash."""
    return f"{name}:{deployment_id}"


def read_identity(answer: object) -> str | None:
    """Return an epoch or instance id, None for anything else. Never raises."""
    return answer.decode() if isinstance(answer, bytes) and _IDENTITY.fullmatch(answer) else None


def read_instances(answer: object) -> list[str]:
    """Return the instance ids that can be ours, sorted, at most 256. Never raises."""
    if not isinstance(answer, set | list | tuple):
        return []
    return sorted(found for item in answer if (found := read_identity(item)))[:MAX_INSTANCES]


def read_slot(answer: object) -> dict[str, Tally]:
    """Return tallies by deployment id, as far as they can be believed; what is no known field with a plain count is
    left out. Never raises.
    """
    slot: dict[str, Tally] = {}
    for key, count in _pairs(answer):
        name, _, deployment_id = key.partition(":")
        if name in FIELDS and deployment_id and _COUNT.fullmatch(count):
            if deployment_id not in slot and len(slot) >= MAX_DEPLOYMENTS:
                continue
            slot.setdefault(deployment_id, Counter())[name] = int(count)
    return {deployment_id: believable(tally) for deployment_id, tally in slot.items()}


def read_added(answer: object) -> int:
    """Return how many times a process has added to slots; 0 where nothing is known of it. Never raises."""
    return int(answer) if isinstance(answer, bytes) and _COUNT.fullmatch(answer) else 0


def read_depth(answer: object) -> Mapping[str, int] | None:
    """Return attempts that run by deployment id; None when the process is dead or this is not ours. Never raises."""
    found = {key: min(int(count), MOST_DEPTH) for key, count in _pairs(answer) if _DEPTH.fullmatch(count)}
    return found if found.pop(ALIVE, None) is not None else None


def _pairs(answer: object) -> Iterator[tuple[str, bytes]]:
    if not isinstance(answer, Mapping):
        return
    for number, (key, count) in enumerate(answer.items()):
        if number >= MAX_FIELDS:
            return
        if isinstance(key, bytes) and isinstance(count, bytes) and len(key) <= MAX_ID_LENGTH:
            yield key.decode(errors="replace"), count
