"""The bodies of the routes about automatic routing, as the OpenAPI page shows them.

It must not know how they are computed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from admin_api.http.schemas import Body, Document, GroupName, Long, TierWord, storable
from neuronode_router.classifier import Layer, Task
from neuronode_router.classifier.classification import LABELS
from neuronode_router.domain.decisions import Reason, Step
from neuronode_router.domain.names import AUTO, Tier
from neuronode_router.errors import Problem
from neuronode_router.routing.fit import Misfit
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health, HealthReason
from neuronode_router.stats.summary import Times
from neuronode_router.wrong_value import WrongValue

MAX_MESSAGES = 10_000

Label = Literal[LABELS]  # type: ignore[valid-type]  # the classifier's own table of tasks and kinds of `other`


class DryRunBody(Body):
    """A request that is only thought of. Its text is neither kept nor repeated."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"text": "Fasse den Vertrag in drei Sätzen zusammen."}}
    )

    text: str | None = None
    """A prompt. Either this or `messages`."""
    messages: Annotated[Long[dict[str, JsonValue]], Field(min_length=1, max_length=MAX_MESSAGES)] | None = (
        None
    )
    """A conversation, as a client would send it."""
    profile: GroupName | None = None
    """Decide under this profile, not the active one."""
    task: GroupName = AUTO
    """The name that a client would send as `model`."""
    explain: bool = False
    """Also tell how the deployments of the groups stand; null for members."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) is (self.messages is None):
            raise WrongValue("either text or messages is needed", "Send exactly one of them.")
        return self

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The conversation."""
        return self.messages or [{"role": "user", "content": self.text}]


class FeedbackBody(Body):
    """What somebody says of one decision."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"call_id": "8f0c...", "verdict": "wrong", "task": "summary"}}
    )

    call_id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(storable)]
    """The `x-litellm-call-id` of the answer."""
    verdict: Literal["right", "wrong"]
    """Of the task, and of the tier."""
    task: Label | None = None
    """With `wrong`: what it was: a task, or a kind of `other`."""
    tier: TierWord | None = None
    """The tier that would have been right."""

    @model_validator(mode="after")
    def _right_needs_no_task(self) -> Self:
        if self.verdict == "right" and self.task is not None:
            raise WrongValue("a right decision needs no other task", "Leave it out.", key="task")
        return self


class FeedbackDocument(Document):
    """What was judged."""

    call_id: str
    decided_at: float
    """Unix time in seconds."""
    task: str
    """What the classifier said: a task, or a kind of `other`."""
    tier: Tier
    confidence: float
    group: str
    """Where the request was sent."""


class ClassificationDocument(Document):
    """What a prompt asks for, and how sure that is."""

    task: Task
    detail: str
    """The kind of an `other`, else empty."""
    tier: Tier
    confidence: float
    """Chance that `task` is right, 0 to 1."""
    confident: bool
    """False: the profile's `uncertain` tier decides."""
    calibrated: bool
    """Whether `confidence` was measured; not so for the length rules."""
    source: Layer
    """Which layer answered."""
    evidence: tuple[str, ...]
    """Cues of our lexicon that were found, as `task: cue`."""
    difficulty: float
    """Rises with how hard the request looks, 0 to 1."""


class LeftOutDocument(Document):
    """A group that cannot hold the request."""

    group: str
    why: Misfit


class DecisionDocument(Document):
    """What would be decided now."""

    original_model: str
    reason: Reason
    steps: tuple[Step, ...]
    """How tier and ladder came about; empty for a name with one group."""
    revision: int
    profile: str | None
    task: str | None
    wanted: Tier | None
    """The tier that was wanted."""
    tier: Tier | None
    """The tier of `group`."""
    group: str
    """The model group that would be asked first."""
    ladder: tuple[str, ...]
    """The groups that would be tried after it, in order."""
    left_out: list[LeftOutDocument]


class DeploymentStatusDocument(Document):
    """How a deployment stands, and which value met which limit."""

    id: str
    group: str
    tier: Tier | None
    health: Health
    why: HealthReason
    value: float
    limit: float
    unit: Literal["ms", "attempts", "share"] | None
    """Of `value` and `limit`; null: they mean nothing."""
    since: float | None
    """Unix time in seconds; null while it has always been so."""
    baseline_ms: float | None
    """Expected latency of a short answer."""


class DryRunDocument(Document):
    """A dry run: nothing was sent, counted or remembered."""

    classification: ClassificationDocument
    decision: DecisionDocument
    deployments: list[DeploymentStatusDocument] | None
    """With `explain`, for admins and viewers."""


class PeriodDocument(Document):
    """What was seen of a deployment in a period."""

    answers: int
    errors: int
    error_rate: float
    """Errors per request, 0 to 1."""
    total: Times
    """Until the end of the answer."""
    first_token: Times
    """Streams only."""
    short_answer: Times
    """As if no answer had been longer than 16 tokens."""
    tokens_per_second: float | None


class MeasuredDocument(DeploymentStatusDocument):
    """A deployment: how it stands and what was measured of it."""

    in_flight: int
    """Requests that run now, in all processes that share statistics."""
    window: PeriodDocument | None
    """The last `window_seconds`; null: never used."""
    recent: PeriodDocument | None
    """The last `recent_seconds`, by which it is judged."""


class RouterStatsDocument(Document):
    """How every deployment stands."""

    routing: str
    """Automatic routing: on, shadow or off."""
    statistics: str
    """Where figures come from: memory, redis, or "redis (down)"."""
    window_seconds: int
    recent_seconds: int
    deployments: list[MeasuredDocument]


class RegistryDocument(Document):
    """Every deployment as it is known beforehand (null where nobody said), and what is wrong in their notes."""

    deployments: list[Deployment]
    problems: list[Problem]


class OutcomeDocument(Document):
    """How requests of one kind turned out that one tier answered: the newest 300 verdicts and the newest 300 hints,
    as far back as they agree.
    """

    profile: str
    label: str
    """The classifier's task, or the detail of an `other`."""
    tier: Tier
    good: float
    bad: float
    share: float
    """The share of good ones that their text made expect, 0 to 1."""
    shift: float
    """By how much the log odds move that the tier suffices: above 0 it is chosen more often."""
    tried: bool
    """Whether too few were seen to know, so that one in twenty requests for a heavier tier is tried here; if not,
    one in a hundred of those that outcomes alone keep off it.
    """


class JudgeDocument(Document):
    """Light answers that a judge compares with the next tier's."""

    group: str
    """The judge's model group."""
    share: float
    """Of the light answers that are compared, 0 to 1."""
    budget_usd: float
    """US dollars that comparisons may cost a day (UTC), in all workers."""
    cost_usd: float
    """Today, in all workers; of comparisons that run, what they may cost at most."""
    enough: int
    """Comparisons of today by which the light answer would have done."""
    short: int
    """Those by which it would not."""
    failed: int
    """Those in which nobody could tell, or a group did not answer."""
    waiting: int
    """In the worker that answers."""
    dropped: int
    """Of that worker since its start: too many waited."""
    over_budget: int
    """Of that worker since its start: the day's budget did not allow them."""


class OutcomesDocument(Document):
    """What was learned."""

    counted: bool
    """Whether outcomes are counted here: NEURONODE_HISTORY=on and NEURONODE_OUTCOMES=on."""
    kinds: list[OutcomeDocument]
    judge: JudgeDocument | None
    """Null: no judge is on."""


class EstimateDocument(Document):
    """A sum over some requests, with its 95 % interval."""

    value: float
    low: float
    high: float
    requests: int
    """Those of which it is known."""


class DivertedDocument(Document):
    """Requests of a profile that went from one tier to another for one reason."""

    profile: str
    step: Step
    """`learned`: outcomes spoke for it; `tried`: to learn whether the lighter tier suffices."""
    instead: Tier
    """What the text alone would have chosen."""
    tier: Tier
    """What answered."""
    requests: int
    """Answered ones of the last 90 days, or since everything was forgotten."""
    saved_usd: EstimateDocument | None
    """At listed prices for the same tokens; below zero, more was spent. Null: no two prices are known."""
    failures: EstimateDocument | None
    """By how many more answers were not good, inferred from outcomes of the same kinds on both tiers. Null: too few."""


class OutcomesReportDocument(Document):
    """What learning changed."""

    counted: bool
    """Whether outcomes are counted here."""
    diverted: list[DivertedDocument]


class ForgottenDocument(Document):
    """What was forgotten."""

    forgotten: int
    """Outcomes."""
