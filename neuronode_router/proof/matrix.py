"""Cells and what is known of them: profile x task, each answered by a group, each proven or not.

It must not know how a proof is made or kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.domain.profiles import Profile
from neuronode_router.proof.probes import ProbeReason, Shape, shape_of

LEEWAY_SECONDS = 60.0
"""How far in the future what another process has found may lie: what is later was found by a clock that was wrong."""


class State(StrEnum):
    """How a cell stands."""

    GREEN = "green"
    RED = "red"
    NOT_LOADED = "not_loaded"
    """Nobody asked, because that would have loaded weights into memory."""
    TOO_OLD = "too_old"
    UNKNOWN = "unknown"
    """Not probed, or not for so long that it is forgotten."""


@dataclass(frozen=True, slots=True, order=True)
class ProbeTarget:
    """What one probe tells about: cells with the same group and shape share it."""

    group: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class ProbeEvidence:
    """What a probe found."""

    target: ProbeTarget
    why: ProbeReason
    checked_at: float
    """Unix time in seconds."""
    latency_ms: float | None = None
    cost_usd: float | None = None
    """None where the group has no price, or nobody answered."""

    @property
    def state(self) -> State:
        """How the cells stood when it was found."""
        if self.why is ProbeReason.NOT_LOADED:
            return State.NOT_LOADED
        return State.GREEN if self.why is ProbeReason.ANSWERED else State.RED


@dataclass(frozen=True, slots=True)
class Cell:
    """One profile and task."""

    profile: str
    task: str
    target: ProbeTarget
    state: State
    evidence: ProbeEvidence | None
    """The newest there is, also where it is too old."""
    age_seconds: float | None


Known = Mapping[ProbeTarget, ProbeEvidence]


def target_of(profile: Profile, task: str, tool_tasks: Collection[str] = ()) -> ProbeTarget:
    """Return what answers a task; of `auto` that is what LiteLLM alone would serve. Raises `KeyError`."""
    return ProbeTarget(profile.group_of(task), shape_of(task, tool_tasks))


@dataclass(frozen=True, slots=True)
class Matrix:
    """How cells are read: from what is known, at a moment."""

    max_age: float
    """Seconds after which evidence proves nothing any more."""
    tool_tasks: frozenset[str] = frozenset()

    def cells(self, profiles: Iterable[Profile], known: Known, *, now: float) -> tuple[Cell, ...]:
        """Return the cells of `profiles`, in the order of these and of their tasks. Never raises."""
        return tuple(
            self._cell(profile, task, known, now=now) for profile in profiles for task in profile.tasks
        )

    def fresh(self, evidence: ProbeEvidence | None, *, now: float) -> bool:
        """Return whether evidence still proves something."""
        return evidence is not None and -LEEWAY_SECONDS <= now - evidence.checked_at <= self.max_age

    def _cell(self, profile: Profile, task: str, known: Known, *, now: float) -> Cell:
        target = target_of(profile, task, self.tool_tasks)
        evidence = known.get(target)
        age = None if evidence is None else max(0.0, now - evidence.checked_at)
        if evidence is None:
            state = State.UNKNOWN
        else:
            state = evidence.state if self.fresh(evidence, now=now) else State.TOO_OLD
        return Cell(profile.name, task, target, state, evidence, age)


def oldest_first(targets: Iterable[ProbeTarget], known: Known) -> list[ProbeTarget]:
    """Return each target once, those never probed first: a cap then never starves the same ones."""

    def key(target: ProbeTarget) -> tuple[float, ProbeTarget]:
        evidence = known.get(target)
        return (evidence.checked_at if evidence else 0.0, target)

    return sorted(set(targets), key=key)
