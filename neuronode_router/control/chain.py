"""The hash chain of the audit log: every row's hash covers all its fields and the hash of the row before.

It must not know SQL. What it cannot show: somebody who may write to the database can compute the whole chain anew;
keep an exported copy, or the newest hash, elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any, NamedTuple

from neuronode_router.domain.audit import AuditEntry

LATER = ("bindings", "canary", "steering")
"""Fields that earlier releases did not have. Where they are empty, rows are hashed without them, as those were."""

GENESIS = ""
"""What stands for the hash before the first row."""


class ChainLink(NamedTuple):
    """A place in the chain: a row, by what the next one says of it."""

    revision: int
    hash: str


START = ChainLink(0, GENESIS)
"""Before the first row of all."""


def entry_hash(entry: AuditEntry) -> str:
    """Return the SHA-256 over the canonical JSON of all fields of `entry` but `hash` itself. Never raises."""
    document: dict[str, Any] = asdict(entry)
    del document["hash"]
    for name in LATER:
        if not document[name]:
            del document[name]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fault(entry: AuditEntry, *, after: ChainLink) -> str:
    """Return what is wrong with `entry` as the successor of the row at `after`, or "". Never raises."""
    expected = after.revision + 1
    if entry.revision != expected:
        return f"row {expected} is missing"
    if entry.hash != entry_hash(entry):
        return f"row {entry.revision} was edited"
    if entry.previous_hash != after.hash:
        return f"row {entry.revision} does not follow the row before it"
    return ""
