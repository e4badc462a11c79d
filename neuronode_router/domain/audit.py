"""Who did what, and what the gate said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neuronode_router.domain.profiles import TaskChange

Action = Literal["bootstrap", "switch", "rollback", "edit", "reload", "bind", "rollout", "policy", "shadow"]


def profile_path(profile: str, path: str = "") -> str:
    """Return what changes call a place in a profile (`premium.tasks.chat`): neither tasks nor profiles have dots."""
    return f"{profile}.{path}"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `name` is a key alias, a user id or a process name: never a key."""

    name: str
    kind: str = "operator"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the audit log. There is exactly one for every committed revision."""

    revision: int
    at: float
    action: Action
    actor: Actor
    reason: str
    profile_before: str | None
    profile_after: str
    digest_before: str | None
    digest_after: str
    changes: tuple[TaskChange, ...]
    previous_hash: str
    hash: str
    bindings: str = ""
    """All bindings after the change, as `bindings_text` writes them."""
    canary: str = ""
    """The second arm after the change, as `canary_text` writes it."""
    steering: str = ""
    """What a policy and holds make of it after the change, as `steering_text` writes it."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says of a change that it lets pass."""

    warnings: tuple[str, ...] = ()
    """For the receipt."""
    remark: str = ""
    """For the audit log, before the reason given."""
