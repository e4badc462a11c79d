"""Bodies and answers of rollouts, as the OpenAPI page shows them. Shares are percent here, thousandths inside.

It must not know how arms are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self, TypeVar

from pydantic import ConfigDict, Field, model_validator

from admin_api.http.schemas import Body, Document, GatedOptions, GroupName, Name, TierWord, Word
from neuronode_router.control.rollout_store import RolloutEvent
from neuronode_router.control.rollouts import RolloutView
from neuronode_router.domain.profiles import ProfileEdit
from neuronode_router.profiles.schema import MAX_LADDER, MAX_TASKS
from neuronode_router.rollouts.course import (
    DEFAULT_HOLD_SECONDS,
    DEFAULT_LEAST,
    MOST_STEPS,
    WHOLE,
    Act,
    OnBreach,
    OnDone,
    Phase,
    Rollout,
    RolloutPlan,
)
from neuronode_router.rollouts.guards import DEFAULT_GUARDS, RATES, Guard, GuardFinding, Metric
from neuronode_router.wrong_value import WrongValue

PERCENT = WHOLE / 100
WORST = 1e9

Bound = Annotated[float | None, Field(ge=0, le=WORST, allow_inf_nan=False)]


class GuardBody(Body):
    """The bounds of one metric, at least one. Rates are 0 to 1, latencies milliseconds, costs US dollars a request."""

    metric: Annotated[Metric, Word]
    at_most: Bound = None
    """What the canary may reach, whatever the control does."""
    worse_by: Bound = None
    """How far the canary may be above the control."""
    times: Bound = None
    """How many times the control's figure the canary may reach."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_most is None and self.worse_by is None and self.times is None:
            raise WrongValue("the guard has no bound", "Add at_most, worse_by or times.")
        if self.metric in RATES and max(self.at_most or 0, self.worse_by or 0) > 1:
            key = "at_most" if (self.at_most or 0) > 1 else "worse_by"
            raise WrongValue("a rate is 0 to 1", "Write 1 or less.", key=key)
        return self

    def guard(self) -> Guard:
        """Return the guard."""
        return Guard(**self.model_dump())


class EditBody(Body):
    """Mappings of the active profile that are to be others, with the keys of its file. What is not named stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"tasks": {"chat": "tier_complex"}}})

    tasks: Annotated[dict[Name, GroupName], Field(max_length=MAX_TASKS)] = {}
    """The model group of a task, or `auto`."""
    tiers: dict[TierWord, Annotated[list[GroupName], Field(min_length=1, max_length=MAX_LADDER)]] = {}
    """The ladder of a tier, as a whole."""

    @model_validator(mode="after")
    def _changing(self) -> Self:
        if not self.tasks and not self.tiers:
            raise WrongValue("the edit changes nothing", "Add tasks or tiers.")
        return self

    def edit(self) -> ProfileEdit:
        """Return what is ordered."""
        return ProfileEdit(self.tasks, {tier: tuple(groups) for tier, groups in self.tiers.items()})


class RolloutBody(GatedOptions):
    """What is to be tried, step by step: another profile, or an edit of the active one. One of them is needed."""

    profile: Name | None = None
    """It becomes the active one in the end."""
    edit: EditBody | None = None
    """It is written into the active profile's file in the end."""
    steps: Annotated[
        list[Annotated[float, Field(ge=0.1, le=100, allow_inf_nan=False)]],
        Field(min_length=1, max_length=MOST_STEPS),
    ] = [1, 10, 50, 100]
    """Percent of the conversations, growing, in tenths. 100 is the promotion: then nobody is left to compare with."""
    hold: Annotated[float, Field(ge=0, le=7 * 86_400, allow_inf_nan=False)] = DEFAULT_HOLD_SECONDS
    """For how many seconds each step is watched before the next."""
    guards: Annotated[list[GuardBody] | None, Field(min_length=1, max_length=20)] = None
    """How much worse it may be. Default: errors 2 and fallbacks 5 of 100 requests more, p95 latency 1.5 times."""
    on_breach: Annotated[OnBreach, Word] = OnBreach.ROLLBACK
    on_done: Annotated[OnDone, Word] = OnDone.ASK
    least: Annotated[int, Field(ge=1, le=1_000_000)] = DEFAULT_LEAST
    """Requests of each arm without which no step is left behind."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.profile is None) is (self.edit is None):
            raise WrongValue("a rollout needs either profile or edit", "Send exactly one of them.")
        metrics = [one.metric for one in self.guards or ()]
        if len(set(metrics)) < len(metrics):
            raise WrongValue(
                "a metric is named twice", "Write one guard for it, with all of its bounds.", key="guards"
            )
        shares = [*map(_thousandths, self.steps)]
        if any(after <= before for before, after in pairwise(shares)) or shares[0] >= WHOLE:
            raise WrongValue(
                "must grow, and begin below 100", "Write percentages such as 1, 10, 50, 100.", key="steps"
            )
        return self

    def plan(self) -> RolloutPlan:
        """Return what is ordered."""
        shares = tuple(share for share in map(_thousandths, self.steps) if share < WHOLE)
        guards = tuple(one.guard() for one in self.guards) if self.guards else DEFAULT_GUARDS
        return RolloutPlan(
            profile=self.profile or "",
            steps=shares,
            hold_seconds=self.hold,
            guards=guards,
            on_breach=self.on_breach,
            on_done=self.on_done,
            least=self.least,
            edit=self.edit.edit() if self.edit else None,
        )


class EditDocument(Document):
    """Mappings that are tried, with the keys of a profile's file."""

    tasks: dict[str, str]
    tiers: dict[str, list[str]]


class RolloutDocument(Document):
    """A rollout as it stands."""

    id: str
    profile: str
    """Which is tried. An edited one is called `<profile>+edit` for as long."""
    edit: EditDocument | None
    """What is tried of the active profile; null where another profile is tried."""
    control: str
    """Which was active when it began."""
    phase: Phase
    share: float
    """Percent of the conversations that try it now."""
    step: int
    """Index in `steps`."""
    steps: list[float]
    hold: float
    """Seconds."""
    held: float
    """Seconds of this step in which it was watched."""
    guards: list[Guard]
    on_breach: OnBreach
    on_done: OnDone
    least: int
    started_at: float
    """Unix time in seconds, as all times."""
    since: float
    """When this step began: only what began later is compared."""
    ended_at: float | None


class LiveRolloutDocument(RolloutDocument):
    """A rollout, and what its guards say now."""

    findings: Sequence[GuardFinding]
    """Of each bound, for all tasks together and for each task, the figures of both arms. Empty when it is over."""
    next: Act | None
    """What it would do by itself now; null for nothing."""
    why: str
    """Why that, or why nothing."""


class RolloutListDocument(Document):
    """The newest rollouts."""

    running: LiveRolloutDocument | None
    """The one that is not over."""
    rollouts: list[RolloutDocument]
    """Newest first."""


class RolloutHistoryDocument(Document):
    """What was done to a rollout, newest first, each with the evidence of its moment."""

    rollout: str
    events: Sequence[RolloutEvent]


Shown = TypeVar("Shown", bound=RolloutDocument)


def shown(rollout: Rollout) -> RolloutDocument:
    """Return a rollout as it is answered."""
    return _shown(RolloutDocument, rollout)


def shown_live(view: RolloutView) -> LiveRolloutDocument:
    """Return a rollout and what its guards say."""
    return _shown(LiveRolloutDocument, view.rollout, view, next=view.next.act, why=view.next.why)


def _shown(kind: type[Shown], rollout: Rollout, *sources: object, **known: object) -> Shown:
    plan = rollout.plan
    return kind.of(
        *sources,
        rollout,
        plan,
        share=rollout.share / PERCENT,
        steps=[share / PERCENT for share in plan.steps],
        hold=plan.hold_seconds,
        edit=plan.edit and EditDocument(**plan.edit.to_document()),
        **known,
    )


def _thousandths(percent: float) -> int:
    return round(percent * PERCENT)
