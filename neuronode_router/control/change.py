"""The words of a change on its way: what was ordered, what it leads to, what became of it.

It must not know how any of it is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Required, TypeAlias, TypedDict

from sqlalchemy import Connection

from neuronode_router.control.idempotency import Idempotency
from neuronode_router.domain.audit import Action, Actor, AuditEntry, GateResult
from neuronode_router.domain.bindings import NO_BINDINGS, Bindings
from neuronode_router.domain.profiles import Profile, ProfileSet, TaskChange
from neuronode_router.domain.receipts import WarmMode
from neuronode_router.domain.rollouts import Canary, answering
from neuronode_router.domain.state import ControlState
from neuronode_router.domain.steering import Steering
from neuronode_router.profiles.edits import StagedFiles

Wait = Literal["none", "one", "all"]
"""Whose acknowledgement a receipt waits for: nobody's, the first worker's, or that of all live workers."""

When = Literal["always", "unless_stale", "if_empty"]
"""When the profile files are put in force: always; unless they say what only an earlier revision said; or only where
nothing was ever committed.
"""

Along: TypeAlias = Callable[[Connection, AuditEntry], None]
"""What a change writes beside its revision, in the same transaction. Whatever it raises undoes both."""

REASON_LIMIT = 500
"""Characters of a reason that are kept."""

ACTOR_LIMIT = 200
"""Characters of an actor's name and kind that are kept."""


class Options(TypedDict, total=False):
    """What every change may be told."""

    actor: Required[Actor]
    reason: str
    if_match: int | None
    """Only when this is the current revision; None: whatever that is."""
    dry_run: bool
    """Prepare everything, change nothing."""
    force: bool
    """Past the gate, which the audit log then shows."""
    moves: bool
    """Keep no conversation where it is, whatever the profiles say. It is a change even where nothing else is."""
    until: float | None
    """A switch is held until this Unix time, and then given back to the policy, or to what was active before."""
    hold: bool
    """A switch is held until it is released, also where no policy is in force."""
    wait: Wait
    idempotency: Idempotency | None
    warm: WarmMode | None
    """Whether it waits for local models; None: as the host's settings say."""
    warm_timeout: float | None
    """Seconds that they may take; None: as the settings say."""
    pull: bool
    """Fetch models that their server does not have."""
    gone: Callable[[], Awaitable[object]] | None
    """Returns once nobody waits for the receipt any more: then it does not wait for models either, and changes
    nothing."""


ChangeRule = Callable[[ControlState], None]
"""Raises where what is in force does not allow a change to whoever orders it."""


def naming(act: str, reason: str) -> str:
    """Return the reason that the audit log keeps of an act: what was done, and what its actor said."""
    return "; ".join(text for text in (act, reason) if text)[:REASON_LIMIT]


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """An action with its `Options`, defaults filled in and texts from outside made fit for a database."""

    action: Action
    actor: Actor
    reason: str = ""
    if_match: int | None = None
    dry_run: bool = False
    force: bool = False
    moves: bool = False
    until: float | None = None
    hold: bool = False
    wait: Wait = "all"
    idempotency: Idempotency | None = None
    warm: WarmMode | None = None
    warm_timeout: float | None = None
    pull: bool = False
    gone: Callable[[], Awaitable[object]] | None = None

    def __post_init__(self) -> None:
        actor = Actor(storable(self.actor.name, ACTOR_LIMIT), storable(self.actor.kind, ACTOR_LIMIT))
        object.__setattr__(self, "actor", actor)
        object.__setattr__(self, "reason", storable(self.reason, REASON_LIMIT))

    @property
    def waits_for(self) -> Wait:
        """Whose acknowledgement its receipt waits for: a dry run has none to wait for."""
        return "none" if self.dry_run else self.wait


@dataclass(frozen=True, slots=True)
class ChangeTarget:
    """What a change leads to. Everything that can fail before the commit has been done."""

    active: str
    profiles: ProfileSet
    bindings: Bindings = field(default_factory=lambda: NO_BINDINGS)
    edit: StagedFiles | None = None
    gate_result: GateResult = field(default_factory=GateResult)
    warnings: tuple[str, ...] = ()
    """For the receipt: what is amiss and no reason to refuse the change."""
    canary: Canary | None = None
    """Whatever does not say that the rollout goes on ends it."""
    along: Along | None = None
    """It is a change even where nothing else is."""
    steering: Steering | None = None
    """None: what the policy makes of it stays as it is."""
    remark: str = ""
    """What the audit log says of it before the reason given."""

    @property
    def answering(self) -> Mapping[str, Profile]:
        """The profiles that can answer requests; see `rollouts.answering`."""
        return answering(self.profiles, self.active, self.canary)


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What became of an order. `entry` is its audit row; None when nothing was to be done, or on a dry run."""

    order: ChangeOrder
    before: ControlState | None
    target: ChangeTarget | None
    changes: tuple[TaskChange, ...]
    changed: bool
    entry: AuditEntry | None
    replayed: bool = False


def going_on(state: ControlState, profiles: ProfileSet) -> Canary | None:
    """Return the rollout that goes on when the profiles become these.

    None where one of its two profiles changes: it would be compared with what it was.
    """
    canary = state.canary
    if canary is None:
        return None
    # An edit is one of the active profile.
    arms = {state.active} if canary.edit else {state.active, canary.profile}
    same = all(profiles.profiles.get(name) == state.profiles.profiles[name] for name in arms)
    return canary if same else None


def as_it_is(state: ControlState) -> ChangeTarget:
    """Return a change that changes nothing."""
    return ChangeTarget(state.active, state.profiles, state.bindings, canary=state.canary)


def with_profiles(state: ControlState, profiles: ProfileSet) -> ChangeTarget:
    """Return the same with other profiles: a rollout goes on beside that unless it is one of its own."""
    return replace(as_it_is(state), profiles=profiles, canary=going_on(state, profiles))


def is_dropped(state: ControlState | None, target: ChangeTarget) -> bool:
    """Return whether a change takes everybody off a profile that was tried: no conversation may stay with it."""
    if state is None or state.canary is None:
        return False
    canary = state.canary
    if target.canary is not None and target.canary.profile == canary.profile:
        return False
    if canary.edit is None:
        return target.active != canary.profile
    edited = canary.edit.of(state.profiles.profiles[state.active])
    return target.profiles.profiles[target.active] != edited


def storable(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text` without what no database takes: NUL and lone surrogates.

    Line breaks and escape sequences stay: they are data, and JSON-encoded wherever a line-based log could be forged.
    """
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
