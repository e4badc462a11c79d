"""Guards: how much worse the canary may be than the control, and what the recorded facts say of it now.

They must not know what follows from it: `course` decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.histogram import Histogram
from neuronode_router.rollouts.confidence import Interval, mean_interval, quantile_interval, rate_interval
from neuronode_router.rollouts.facts import ALL_TASKS, MICRO_USD, ArmFacts, BothArms, with_all
from neuronode_router.rollouts.facts import AnswerOutcome as _Of

HIGH_SHARE = 0.95
"""Of which requests a latency is guarded: 95 of 100 are as fast or faster."""


class Metric(StrEnum):
    """What can be guarded: rates from 0 to 1, milliseconds, US dollars. Less is better of each."""

    ERROR_RATE = "error_rate"
    FALLBACK_RATE = "fallback_rate"
    LATENCY_P95_MS = "latency_p95_ms"
    FIRST_TOKEN_P95_MS = "first_token_p95_ms"  # noqa: S105  no password
    COST_USD = "cost_usd"
    """The mean of requests whose cost is known."""
    LABEL_FAILURE_RATE = "label_failure_rate"
    """Of first answers of the task API that should have been labels."""
    SCHEMA_FAILURE_RATE = "schema_failure_rate"
    """Of those that should have been JSON of a schema."""
    ESCALATION_RATE = "escalation_rate"
    """Runs of the task API that a higher tier had to answer."""
    NEGATIVE_FEEDBACK_RATE = "negative_feedback_rate"
    """Requests whose decision somebody has called wrong, of all."""


RATES = frozenset(metric for metric in Metric if metric.value.endswith("_rate"))


class Limit(StrEnum):
    """In which way a bound is meant."""

    AT_MOST = "at_most"
    WORSE_BY = "worse_by"
    TIMES = "times"


@dataclass(frozen=True, slots=True)
class Guard:
    """The bounds of one metric; each that is not None is watched."""

    metric: Metric
    at_most: float | None = None
    """What the canary may reach, whatever the control does."""
    worse_by: float | None = None
    """How far the canary may be above the control."""
    times: float | None = None
    """How many times the control's figure the canary may reach."""

    def limits(self) -> Iterator[tuple[Limit, float]]:
        """Yield the bounds that are set."""
        for limit in Limit:
            bound = getattr(self, limit.value)
            if bound is not None:
                yield limit, bound


DEFAULT_GUARDS = (
    Guard(Metric.ERROR_RATE, worse_by=0.02),
    Guard(Metric.FALLBACK_RATE, worse_by=0.05),
    Guard(Metric.LATENCY_P95_MS, times=1.5),
)
"""What every deployment records. Cost needs prices and first tokens need streams: who has them, guards them."""


class GuardVerdict(StrEnum):
    """What the facts say of one bound."""

    GOOD = "good"
    UNSURE = "unsure"
    """What was seen so far is beyond the bound, and may be chance."""
    NO_DATA = "no_data"
    BREACHED = "breached"


@dataclass(frozen=True, slots=True)
class ArmFigure:
    """One metric of one arm: what was seen, and where the truth lies. None is unknown or unbounded."""

    value: float | None
    low: float | None
    high: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What the facts say of one bound for one task."""

    metric: Metric
    task: str
    """Empty for all tasks together."""
    limit: Limit
    bound: float
    control: ArmFigure
    canary: ArmFigure
    verdict: GuardVerdict

    def __str__(self) -> str:
        """Return it as a phrase for people, with the figures of both arms."""
        of = f" of {self.task}" if self.task else ""
        canary, control = (_told(self.metric, one) for one in (self.canary, self.control))
        return f"{self.metric}{of}: canary {canary}, control {control} ({self.limit} {self.bound:g})"


def judge(
    guards: Sequence[Guard], facts: Mapping[str, BothArms], *, alpha: float, least: int
) -> tuple[GuardFinding, ...]:
    """Return what the facts say of each bound, for all tasks together and for each. Never raises.

    `alpha` is the chance of one bound of one task to be called breached, at any time, though it is kept. Below `least`
    samples of an arm nothing is good, but it may be breached.
    """
    return tuple(
        _finding(guard, limit, bound, task, arms, alpha=alpha / 2, least=least)
        for guard in guards
        for limit, bound in guard.limits()
        for task, arms in with_all(facts).items()
        if task == ALL_TASKS or arms.canary.requests
    )


def _finding(  # noqa: PLR0913  what one bound of one task is judged by
    guard: Guard, limit: Limit, bound: float, task: str, arms: BothArms, *, alpha: float, least: int
) -> GuardFinding:
    control, canary = (figure(guard.metric, one, alpha) for one in (arms.control, arms.canary))
    verdict = _verdict(limit, bound, control, canary, least=least)
    return GuardFinding(guard.metric, task, limit, bound, control, canary, verdict)


def figure(metric: Metric, facts: ArmFacts, alpha: float) -> ArmFigure:
    """Return what was seen of a metric, with its confidence sequence. Never raises."""
    return _READ[metric](facts, alpha)


def _verdict(
    limit: Limit, bound: float, control: ArmFigure, canary: ArmFigure, *, least: int
) -> GuardVerdict:
    ceiling = _ceiling(limit, bound, control.high)
    if canary.low is not None and ceiling is not None and canary.low > ceiling:
        return GuardVerdict.BREACHED
    needed = (canary,) if limit is Limit.AT_MOST else (canary, control)
    if any(one.samples < least or one.value is None for one in needed):
        return GuardVerdict.NO_DATA
    seen = _ceiling(limit, bound, control.value)
    assert canary.value is not None
    assert seen is not None
    return GuardVerdict.GOOD if canary.value <= seen else GuardVerdict.UNSURE


def _ceiling(limit: Limit, bound: float, control: float | None) -> float | None:
    """Return what the canary may reach beside a figure of the control, None where that is unknown."""
    if limit is Limit.AT_MOST:
        return bound
    if control is None:
        return None
    return control + bound if limit is Limit.WORSE_BY else control * bound


def _rate(hits: int, trials: int, alpha: float) -> ArmFigure:
    found = rate_interval(hits, trials, alpha)
    return ArmFigure(hits / trials if trials else None, found.low, found.high, trials)


def _turned(facts: ArmFacts, hit: _Of, trial: _Of, alpha: float) -> ArmFigure:
    return _rate(facts.outcomes.get(hit, 0), facts.outcomes.get(trial, 0), alpha)


def _high(counts: Mapping[int, int], alpha: float) -> ArmFigure:
    histogram = Histogram(counts)
    return _bounded(
        histogram.quantile(HIGH_SHARE), quantile_interval(counts, HIGH_SHARE, alpha), histogram.samples
    )


def _cost(facts: ArmFacts, alpha: float) -> ArmFigure:
    samples = sum(facts.cost.values())
    found = mean_interval(facts.cost, facts.cost_usd / MICRO_USD, alpha)
    in_usd = Interval(found.low * MICRO_USD, found.high * MICRO_USD)
    return _bounded(facts.cost_usd / samples if samples else None, in_usd, samples)


def _bounded(value: float | None, found: Interval, samples: int) -> ArmFigure:
    return ArmFigure(value, found.low, None if math.isinf(found.high) else found.high, samples)


_READ: Mapping[Metric, Callable[[ArmFacts, float], ArmFigure]] = {
    Metric.ERROR_RATE: lambda facts, alpha: _rate(facts.errors, facts.requests, alpha),
    Metric.FALLBACK_RATE: lambda facts, alpha: _rate(facts.fallbacks, facts.requests, alpha),
    Metric.LATENCY_P95_MS: lambda facts, alpha: _high(facts.latency, alpha),
    Metric.FIRST_TOKEN_P95_MS: lambda facts, alpha: _high(facts.first_token, alpha),
    Metric.COST_USD: _cost,
    Metric.LABEL_FAILURE_RATE: lambda facts, alpha: _turned(facts, _Of.NO_LABEL, _Of.LABEL, alpha),
    Metric.SCHEMA_FAILURE_RATE: lambda facts, alpha: _turned(facts, _Of.NO_SCHEMA, _Of.SCHEMA, alpha),
    Metric.ESCALATION_RATE: lambda facts, alpha: _turned(facts, _Of.ESCALATED, _Of.RUN, alpha),
    Metric.NEGATIVE_FEEDBACK_RATE: lambda facts, alpha: _rate(
        # Requests are counted by another table, which a reader may see a moment later.
        min(facts.outcomes.get(_Of.NEGATIVE, 0), facts.requests),
        facts.requests,
        alpha,
    ),
}


def _told(metric: Metric, seen: ArmFigure) -> str:
    if seen.value is None:
        return "unknown"
    told = f"{seen.value:.2%}" if metric in RATES else f"{seen.value:.4g}"
    return f"{told} in {seen.samples} requests"
