"""The course of a rollout: its plan, where it stands, and what is to be done next. Pure; time comes in as a number.

It must not know who acts, how a step is committed or where the facts come from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from neuronode_router.domain.profiles import Profile, ProfileEdit
from neuronode_router.rollouts.guards import DEFAULT_GUARDS, Guard, GuardFinding, GuardVerdict, Metric

WHOLE = 1000
"""Shares are in thousandths."""

DEFAULT_STEPS = (10, 100, 500)
DEFAULT_HOLD_SECONDS = 600.0
DEFAULT_LEAST = 100

FALSE_ALARMS = 0.01
"""Chance that a rollout whose arms are equal is ever called breached: over all steps, guards and tasks together."""

MAX_GAP_SECONDS = 15.0
"""So much at most counts as watched between two looks, whatever a clock jumps, or however long nobody led."""


MOST_STEPS = 20

MOST_NAMED = 5
"""Changes that a sentence names."""


class OnBreach(StrEnum):
    """What a breached guard leads to."""

    ROLLBACK = "rollback"
    PAUSE = "pause"


class OnDone(StrEnum):
    """What follows the last step."""

    PROMOTE = "promote"
    ASK = "ask"


class Phase(StrEnum):
    """Where a rollout stands. The last three are ends."""

    RUNNING = "running"
    PAUSED = "paused"
    """The share stays. Guards are watched."""
    ASKING = "asking"
    """All steps went well; a person must say that it becomes the active profile. Guards are watched."""
    PROMOTED = "promoted"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    """Somebody switched, rolled back, or edited one of its profiles: that goes before."""

    @property
    def over(self) -> bool:
        """Whether it is an end."""
        return self in (Phase.PROMOTED, Phase.ABORTED, Phase.SUPERSEDED)


class Act(StrEnum):
    """What is done to a rollout, by a person or by itself. Each is one committed revision."""

    START = "start"
    STEP = "step"
    ASK = "ask"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    SUPERSEDE = "supersede"


LEADS_TO = {
    Act.START: Phase.RUNNING,
    Act.STEP: Phase.RUNNING,
    Act.ASK: Phase.ASKING,
    Act.PAUSE: Phase.PAUSED,
    Act.RESUME: Phase.RUNNING,
    Act.PROMOTE: Phase.PROMOTED,
    Act.ABORT: Phase.ABORTED,
    Act.SUPERSEDE: Phase.SUPERSEDED,
}

ALLOWED = {
    Phase.RUNNING: frozenset({Act.STEP, Act.ASK, Act.PAUSE, Act.PROMOTE, Act.ABORT, Act.SUPERSEDE}),
    Phase.PAUSED: frozenset({Act.RESUME, Act.PROMOTE, Act.ABORT, Act.SUPERSEDE}),
    Phase.ASKING: frozenset({Act.PAUSE, Act.PROMOTE, Act.ABORT, Act.SUPERSEDE}),
}
"""What can be done where. Nothing can be done to a rollout that is over."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What somebody has ordered."""

    profile: str
    """Which is tried, and becomes the active one; `edited_name` of the active one where an edit of that is tried."""
    steps: tuple[int, ...] = DEFAULT_STEPS
    """Shares in thousandths, growing, below the whole: with that nobody is left to compare. It is the promotion."""
    hold_seconds: float = DEFAULT_HOLD_SECONDS
    """How long each step is watched before the next."""
    guards: tuple[Guard, ...] = DEFAULT_GUARDS
    on_breach: OnBreach = OnBreach.ROLLBACK
    on_done: OnDone = OnDone.ASK
    least: int = DEFAULT_LEAST
    """Requests of each arm without which no step is left behind; so many of the canary's must be decided by what is
    changed.
    """
    edit: ProfileEdit | None = None
    """What is tried of the active profile, and written into its file in the end; None: another profile is tried."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout, as it stands."""

    id: str
    plan: RolloutPlan
    control: str
    """The profile that was active when it began."""
    salt: str
    """Hexadecimal; keys the hash that chooses arms."""
    tests: int
    """Bounds, times tasks, times steps: among so many the chance of false alarms is shared."""
    started_at: float
    phase: Phase = Phase.RUNNING
    step: int = 0
    """Index in `plan.steps`."""
    since: float = 0.0
    """Unix time of the beginning of the step."""
    since_revision: int = 0
    """The revision that began the step; 0 before it is committed."""
    held: float = 0.0
    """Seconds of this step in which it was watched."""
    watched_at: float = 0.0
    """When it was looked at last, by the database's clock; 0 for never."""
    ended_at: float | None = None
    changes: ProfileEdit = field(default_factory=ProfileEdit)
    """What the tried profile maps otherwise than the control; empty where nobody has written it down."""

    @property
    def share(self) -> int:
        """Thousandths of the requests that try the profile; none and all of them when it is over."""
        if self.phase.over:
            return WHOLE if self.phase is Phase.PROMOTED else 0
        return self.plan.steps[self.step]

    @property
    def alpha(self) -> float:
        """The chance of a false alarm that each test may have."""
        return FALSE_ALARMS / max(1, self.tests)


@dataclass(frozen=True, slots=True)
class NextAct:
    """What is to be done now, None for nothing, and why."""

    act: Act | None
    why: str
    findings: tuple[GuardFinding, ...] = field(default=())
    """The figures of both arms by which it is done."""


def watched(rollout: Rollout, now: float) -> Rollout:
    """Return the rollout after somebody has looked at it; `now` is the database's clock.

    A clock that was set back counts nothing, one that jumps ahead a little at most. Only a running one is held.
    """
    if rollout.phase is not Phase.RUNNING:
        return replace(rollout, watched_at=now)
    gap = now - rollout.watched_at if rollout.watched_at else 0.0
    return replace(rollout, held=rollout.held + min(max(gap, 0.0), MAX_GAP_SECONDS), watched_at=now)


def changes_of(control: Profile, tried: Profile) -> ProfileEdit:
    """Return what `tried` maps otherwise than `control`. Never raises."""
    return ProfileEdit(
        {task: group for task, group in tried.tasks.items() if control.tasks.get(task) != group},
        {tier: tuple(groups) for tier, groups in tried.tiers.items() if control.tiers.get(tier) != groups},
    )


def next_act(rollout: Rollout, findings: Sequence[GuardFinding], *, decided: int = 0) -> NextAct:
    """Return what a rollout itself does, and why it does nothing. Never raises.

    It may go back at any time. It goes on only while it runs, when its hold is over, every bound has its data and
    nothing that was seen for all tasks together is beyond its bound. `decided` are the requests of the canary that what
    is changed has decided: of all others both arms are alike, and however many there are they say nothing.
    """
    if rollout.phase.over:
        return NextAct(None, f"it is {rollout.phase}")
    if breached := _breached(findings):
        return replace(_on_breach(rollout, breached), findings=tuple(findings))
    if rollout.phase is not Phase.RUNNING:
        return NextAct(None, "a person must say how it goes on")
    if rollout.held < rollout.plan.hold_seconds:
        left = rollout.plan.hold_seconds - rollout.held
        return NextAct(None, f"the step is watched for another {left:.0f} s")
    waiting = [one for one in findings if one.task == "" and one.verdict is not GuardVerdict.GOOD]
    if waiting or not findings:
        return NextAct(None, _what_lacks(waiting, rollout.plan.least))
    if rollout.changes != ProfileEdit() and decided < rollout.plan.least:
        return NextAct(None, _untried(rollout, decided))
    if rollout.step + 1 < len(rollout.plan.steps):
        return NextAct(Act.STEP, "every guard is kept", tuple(findings))
    done = Act.PROMOTE if rollout.plan.on_done is OnDone.PROMOTE else Act.ASK
    return NextAct(done, "every guard is kept in every step", tuple(findings))


def after(rollout: Rollout, act: Act, *, now: float, findings: Sequence[GuardFinding] = ()) -> Rollout:
    """Return the rollout after an act; `now` is Unix time. Raises `ValueError` where it cannot be done.

    It does not go on while one of the `findings` is a breach: it would be stopped again at the next look.
    """
    if act not in ALLOWED.get(rollout.phase, frozenset()):
        raise ValueError(f"A rollout that is {rollout.phase} cannot {act}.")
    if act is Act.RESUME and (breached := _breached(findings)):
        raise ValueError(f"A guard is breached, so it cannot go on: {_in_words(breached)}.")
    changed = replace(rollout, phase=LEADS_TO[act])
    if act is Act.STEP:
        return replace(changed, step=rollout.step + 1, since=now, since_revision=0, held=0.0, watched_at=0.0)
    return replace(changed, ended_at=now) if changed.phase.over else changed


def to_text(rollout: Rollout) -> str:
    """Return a rollout as JSON."""
    plan = {**_fields(rollout.plan), "guards": [asdict(guard) for guard in rollout.plan.guards]}
    plan["edit"] = rollout.plan.edit.to_document() if rollout.plan.edit else None
    changed = {"plan": plan, "changes": rollout.changes.to_document()}
    return json.dumps(_fields(rollout) | changed, sort_keys=True, separators=(",", ":"))


def from_text(text: str) -> Rollout:
    """Rebuild a rollout from `to_text`'s form."""
    fields: dict[str, Any] = json.loads(text)
    plan = fields.pop("plan")
    guards = tuple(Guard(**{**one, "metric": Metric(one["metric"])}) for one in plan.pop("guards"))
    plan |= {
        "guards": guards,
        "steps": tuple(plan["steps"]),
        "on_breach": OnBreach(plan["on_breach"]),
        "on_done": OnDone(plan["on_done"]),
        # Rollouts that were stored before there were edits do not say so.
        "edit": ProfileEdit.from_document(plan["edit"]) if plan.get("edit") else None,
    }
    changes = ProfileEdit.from_document(fields.pop("changes", {"tasks": {}, "tiers": {}}))
    return Rollout(**{**fields, "phase": Phase(fields["phase"])}, plan=RolloutPlan(**plan), changes=changes)


def _fields(one: Rollout | RolloutPlan) -> dict[str, Any]:
    return {each.name: getattr(one, each.name) for each in fields(one)}


def _breached(findings: Sequence[GuardFinding]) -> tuple[GuardFinding, ...]:
    return tuple(one for one in findings if one.verdict is GuardVerdict.BREACHED)


def _in_words(findings: Sequence[GuardFinding]) -> str:
    return "; ".join(map(str, findings))


def _on_breach(rollout: Rollout, breached: tuple[GuardFinding, ...]) -> NextAct:
    why = _in_words(breached)
    if rollout.plan.on_breach is OnBreach.ROLLBACK:
        return NextAct(Act.ABORT, why)
    return NextAct(None if rollout.phase is Phase.PAUSED else Act.PAUSE, why)


def _what_lacks(waiting: Sequence[GuardFinding], least: int) -> str:
    """Return in words why no step is left behind."""
    lacking = sorted({str(one.metric) for one in waiting if one.verdict is GuardVerdict.NO_DATA})
    if lacking or not waiting:
        return f"fewer than {least} samples of an arm for {', '.join(lacking) or 'any guard'}"
    return f"seen beyond its bound, which may be chance: {_in_words(waiting)}"


def _untried(rollout: Rollout, decided: int) -> str:
    """Return in words that too little was tried of what is to be changed."""
    names = sorted([*rollout.changes.tasks, *(f"tiers.{tier}" for tier in rollout.changes.tiers)])
    more = ", ..." if len(names) > MOST_NAMED else ""
    return (
        f"what is changed ({', '.join(names[:MOST_NAMED])}{more}) has decided {decided} of the {rollout.plan.least} "
        "requests of the canary that it needs; those that the policy or a binding decides do not count"
    )
