"""What a change answers with: who applied it, what it cost, which models were warmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from neuronode_router.domain.audit import Action
from neuronode_router.domain.profiles import TaskChange
from neuronode_router.domain.rules import ConversationRule

AckState = Literal["applied", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class WorkerAck:
    """How one worker process stands to a revision."""

    instance: str
    host: str
    pid: int
    state: AckState
    revision: int
    """The revision this worker serves now."""
    applied_at: float | None = None
    """Unix time in seconds at which it began to serve that revision, by its own clock."""
    after_ms: float | None = None
    """Milliseconds from the commit to `applied_at`."""
    detail: str = ""
    """Why it refused, or that it is late."""
    held: int = 0
    """Conversations that stay with the group they began on."""
    drained: int = 0
    """Those of them that have ended, or have moved, since the revision."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process as the store knows it."""

    instance: str
    host: str
    pid: int
    version: str
    started_at: float
    heartbeat_at: float
    live: bool
    revision: int
    applied_at: float | None
    detail: str
    report: Mapping[str, Any]
    """What the worker says of itself: drift count, wake mode, warnings. JSON-ready, no secrets."""


@dataclass(frozen=True, slots=True)
class CacheLoss:
    """What providers' caches have done for the requests that leave their group: a move loses it at first."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompts' tokens, those that caches answered."""
    usd: float | None = 0.0
    """What the caches have saved; None where the price of a cached token is unknown for some of them."""
    share: float | None = None
    """Of the prompts' tokens that caches answered, 0 to 1; None without tokens."""


WarmMode = Literal["wait", "background", "off"]
"""Whether a change waits until the local models of what it puts in force are in memory, has them loaded afterwards, or
leaves that to the first request."""


class WarmOrder(StrEnum):
    """In which order local models are loaded and let go."""

    READY = "ready"
    """Nothing is to be loaded."""
    MAKE_BEFORE_BREAK = "make_before_break"
    """There is room for what comes beside what is there."""
    ORDERED_SWAP = "ordered_swap"
    """Something that nobody needs any more goes first."""
    UNKNOWN = "unknown"
    """Nobody said how much room there is: it is loaded, and the server makes room as it sees fit."""


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """The weights of a local model on one server."""

    server: str
    """Host and port, no more."""
    model: str
    bytes: int | None = None
    """What they are taken to need in memory; None where unknown."""
    seconds: float | None = None
    """How long loading or pulling took."""
    why: str = ""
    """Why that failed."""


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What became of the local models of what a change puts in force."""

    mode: WarmMode
    order: WarmOrder | None
    """None where the servers have not answered yet."""
    to_load: tuple[LocalWeights, ...] = ()
    """What is still to be loaded: on a dry run, and in the background."""
    loaded: tuple[LocalWeights, ...] = ()
    unloaded: tuple[LocalWeights, ...] = ()
    missing: tuple[LocalWeights, ...] = ()
    """What a server does not have; `pull` fetches it."""
    failed: tuple[LocalWeights, ...] = ()
    waited_s: float = 0.0
    """How long the change waited."""
    said: tuple[str, ...] = ()
    """All of it as sentences for people."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof of a switch, edit, rollback or reload."""

    revision: int
    changed: bool
    dry_run: bool
    action: Action
    profile: str
    previous_profile: str | None
    changes: tuple[TaskChange, ...]
    committed_at: float | None
    workers: tuple[WorkerAck, ...]
    complete: bool
    """True when every worker that was waited for has applied the revision."""
    duration_ms: float
    warnings: tuple[str, ...] = ()
    awaited: bool = True
    """Whether every live worker was waited for: where nobody or one was, others may be but a moment behind."""
    replayed: bool = False
    """True when an Idempotency-Key came back: nothing was done now, this is what its first request did."""
    conversations: ConversationRule = ConversationRule.KEEP
    """What becomes of conversations that have begun."""
    held: int = 0
    """Conversations that stay with the group they began on, in the workers that have applied the revision."""
    drained: int = 0
    """Those of them that have ended, or have moved, since."""
    caches: CacheLoss | None = None
    """Of the requests of the last ten minutes that would go to another group now: what moving their conversations
    costs at most. None where nothing changes its group, or it is not known.
    """
    warm: WarmReport | None = None
    """None where no Ollama answers for what comes into force, or warmth is off."""
