"""Run a task: render, ask, check, ask once more, go one tier up, and tell what happened: `run(order, complete)`.

It must not know who answers, nor how: it is handed `complete`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from neuronode_router.domain.names import AUTO, TIERS, Tier
from neuronode_router.errors import CompletionFailed, NotAllowed
from neuronode_router.tasks.answers import Checked, check
from neuronode_router.tasks.confidence import TokenLogprob, confidence
from neuronode_router.tasks.escalation import (
    Done,
    Escalate,
    EscalationReason,
    Retry,
    Step,
    TaskAttempt,
    best_of,
    plan_next,
)
from neuronode_router.tasks.inputs import Inputs
from neuronode_router.tasks.rendering import Message, render
from neuronode_router.tasks.template import FreeText, JsonShape, Language, TaskTemplate
from neuronode_router.tasks.thoughts import spoken

ROOM = 2048
"""Tokens that an attempt has beyond its task's, after one that a limit ended before it had said a word: models that
think spend them on that. One that rambles would only go on."""
TIER_NAMES: Mapping[Tier, str] = MappingProxyType({tier: f"{AUTO}:{tier.value}" for tier in Tier})
"""The names that ask the tiers of the active profile."""


def tier_names(fast: str | None, medium: str | None, complex_: str | None) -> Mapping[Tier, str]:
    """Return what is sent as `model` to ask each tier: a name that was set, else the active profile's ladder."""
    own = zip(TIERS, (fast, medium, complex_), strict=True)
    return MappingProxyType({tier: name or TIER_NAMES[tier] for tier, name in own})


@dataclass(frozen=True, slots=True)
class Ask:
    """One chat request."""

    name: str
    """What to send as `model`."""
    messages: Sequence[Message]
    max_tokens: int
    temperature: float
    json_schema: Mapping[str, Any] | None = None
    """Of the object that is wanted; None where any text will do."""
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """One chat answer, and how it was routed. Times are milliseconds."""

    text: str
    model_used: str
    """The model group that answered, where the proxy says; else what the answer calls itself."""
    latency_ms: float
    cut: bool = False
    """A limit of length ended it."""
    tokens_generated: int = 0
    tokens: tuple[TokenLogprob, ...] = ()
    tier: Tier | None = None
    """The tier that answered; None where nobody says."""
    wanted: Tier | None = None
    """The tier that was decided on, which overload may have left; None where nobody says."""
    fallback: bool = False
    """Another group or tier answered than was decided on."""
    reason: str = ""
    """`x-neuronode-reason`: the reason and the steps."""
    task: str | None = None
    """What the query was taken for; None where nobody says."""
    confidence: float | None = None
    """Of the classification, 0 to 1; None where nothing was classified."""
    routing_ms: float | None = None
    """What the decision took; None where nobody says."""
    call_id: str | None = None
    """The proxy's id of the request; None where nobody says."""


Complete = Callable[[Ask], Awaitable[TaskAnswer]]
"""Sends a request and returns its answer. Raises `CompletionFailed`, `NotAuthenticated` or `NotAllowed`."""


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """A task, what it is given, and where its first attempt goes."""

    task: TaskTemplate
    inputs: Inputs
    tier: Tier | None = None
    """None: the task's own."""
    name: str | None = None
    """Instead of a tier: `AUTO`, or a model group that alone is asked."""
    highest: Tier = Tier.COMPLEX
    """The caller's cap: no tier above it is asked."""
    names: Mapping[Tier, str] = field(default_factory=lambda: TIER_NAMES)
    language: Language | None = None
    """Of the prompt; None: that of the inputs."""
    system: str | None = None
    """Said instead of the task's own system prompt."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """The best answer there was, and how it came about."""

    checked: Checked
    confidence: float
    """In the answer, 0 to 1."""
    answer: TaskAnswer
    tier: Tier | None
    """Where the answer came from; None where a model group was asked whose tier nobody says."""
    wanted: Tier | None
    """Where the first attempt was sent; None where a model group was asked."""
    first: TaskAnswer
    """The first attempt's: its routing tells what was decided about the request."""
    automatic: bool
    """The tier of the first attempt was left to the proxy."""
    attempts: int
    escalated: bool
    """True when the answer came from a higher tier than the first attempt's."""
    reasons: tuple[EscalationReason, ...]
    """Why each further attempt followed, and how it ended."""
    latency_ms: float
    """Of all attempts together."""


async def run(
    order: TaskOrder, complete: Complete, *, clock: Callable[[], float] = time.perf_counter
) -> TaskOutcome:
    """Return the outcome of a task: three attempts at most (see `plan_next`). `clock` is seconds.

    When a further attempt fails, a valid earlier answer is given and the reasons end with `failed`; so is one that is
    not valid when the caller may not ask the next tier, or when more room was refused. Raises `BadTaskInput`, and what
    `complete` raises otherwise.
    """
    course, began = _Course(order), clock()
    step: Step | None = None
    while not isinstance(step, Done):
        step = await course.advance(step, complete)
    return course.outcome(step.chosen, latency_ms=1000 * (clock() - began))


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt that was answered."""

    asked: Tier | None
    """None where a model group was asked."""
    answer: TaskAnswer
    checked: Checked
    confidence: float

    @property
    def tier(self) -> Tier | None:
        """Where the answer came from, as far as anybody says."""
        return self.answer.tier or self.asked


class _Course:
    """One task under way."""

    def __init__(self, order: TaskOrder) -> None:
        self._order = order
        self._asked = None if order.name is not None else _lower(order.tier or order.task.tier, order.highest)
        """The tier to ask; None while it is the order's name."""
        self._tries: list[_Try] = []
        self._reasons: list[EscalationReason] = []

    async def advance(self, step: Step | None, complete: Complete) -> Step:
        """Make the attempt that `step` asks for (None: the first) and return what follows."""
        if isinstance(step, Escalate):
            self._asked = step.tier
        ask = self._ask(refused=self._tries[-1].answer.text if isinstance(step, Retry) else None)
        try:
            answer = await complete(ask)
        except (CompletionFailed, NotAllowed) as error:
            if not self._tries or not self._gives_an_earlier(error, ask):
                raise
            step = Done(best_of(self._attempts()), EscalationReason.FAILED)
        else:
            self._note(answer)
            step = self._plan()
        self._reasons.append(step.why)
        return step

    def outcome(self, chosen: int, *, latency_ms: float) -> TaskOutcome:
        """Return what came of it."""
        first, given = self._tries[0], self._tries[chosen]
        return TaskOutcome(
            checked=given.checked,
            confidence=given.confidence,
            answer=given.answer,
            tier=given.tier,
            wanted=first.asked,
            first=first.answer,
            automatic=self._order.name == AUTO,
            attempts=len(self._tries),
            escalated=_above(given.tier, first.tier),
            reasons=tuple(self._reasons),
            latency_ms=latency_ms,
        )

    def _ask(self, *, refused: str | None) -> Ask:
        order = self._order
        task = order.task
        thinks = any(one.answer.cut and not spoken(one.answer.text, prose=False) for one in self._tries)
        messages = render(task, order.inputs, language=order.language, refused=refused)
        if order.system is not None:
            messages[0] = {"role": "system", "content": order.system}
        return Ask(
            name=order.name or AUTO if self._asked is None else order.names[self._asked],
            messages=messages,
            max_tokens=task.max_tokens + (ROOM if thinks else 0),
            temperature=task.temperature,
            json_schema=task.output.schema if isinstance(task.output, JsonShape) else None,
            logprobs=not isinstance(task.output, JsonShape | FreeText),
        )

    def _gives_an_earlier(self, error: CompletionFailed | NotAllowed, ask: Ask) -> bool:
        """Return whether an earlier answer is given, where a further attempt fails.

        One that is not valid is, too, when the caller may not ask the next tier, or when the room beyond the task's may
        have been what was refused: nobody here knows how long a model's answers can be.
        """
        widened = ask.max_tokens > self._order.task.max_tokens
        refused = isinstance(error, CompletionFailed) and error.code == "completion_refused"
        return (
            isinstance(error, NotAllowed)
            or (widened and refused)
            or any(one.checked.valid for one in self._tries)
        )

    def _note(self, answer: TaskAnswer) -> None:
        order = self._order
        if order.name == AUTO and self._asked is None:
            self._asked = answer.wanted or answer.tier or order.task.tier
        checked = check(order.task, answer.text, order.inputs, cut=answer.cut)
        earlier = [one.checked for one in self._tries]
        worth = confidence(order.task, checked, tokens=answer.tokens, earlier=earlier)
        self._tries.append(_Try(self._asked, answer, checked, worth))

    def _plan(self) -> Step:
        task = self._order.task
        # There is nothing above a model group that alone is asked.
        highest = self._order.highest if self._asked else task.tier
        return plan_next(self._attempts(), threshold=task.confidence_threshold, highest=highest)

    def _attempts(self) -> list[TaskAttempt]:
        tier = self._order.task.tier
        return [
            TaskAttempt(one.asked or tier, one.checked.valid, one.confidence, cut=one.answer.cut)
            for one in self._tries
        ]


def _lower(tier: Tier, other: Tier) -> Tier:
    return min(tier, other, key=TIERS.index)


def _above(tier: Tier | None, other: Tier | None) -> bool:
    return tier is not None and other is not None and TIERS.index(tier) > TIERS.index(other)
