"""Simulated rollouts: false alarms of equal arms, requests until a worse arm goes back, and requests it harms.

Usage: python -m benchmarks.rollouts.run [--rollouts 1000] [--answers]. Writes benchmarks/rollouts/results.md, and with
`--answers` benchmarks/rollouts/answers.md: the same of how answers turned out. The engine is the
real one (`judge`, `next_act`); only requests are drawn. Nothing is timed, so other load does not matter.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuronode_router.histogram import BUCKETS, GROWTH
from neuronode_router.rollouts.course import Act, Phase, Rollout, RolloutPlan, after, next_act
from neuronode_router.rollouts.facts import MICRO_USD, AnswerOutcome, ArmFacts, BothArms
from neuronode_router.rollouts.guards import DEFAULT_GUARDS, Guard, Metric, judge

STEPS = (10, 100, 500)
RATE = 50
"""Requests a second."""
LOOK_SECONDS = 4
"""From a request's end until somebody has looked at it: its worker's flush, then the leader's look."""
TASKS = {"chat": 0.8, "summary": 0.2}
GUARDS = (
    *DEFAULT_GUARDS,
    Guard(Metric.FIRST_TOKEN_P95_MS, times=1.5),
    Guard(Metric.COST_USD, times=1.2),
)
ANSWERS = (
    Guard(Metric.LABEL_FAILURE_RATE, worse_by=0.02),
    Guard(Metric.SCHEMA_FAILURE_RATE, worse_by=0.02),
    Guard(Metric.ESCALATION_RATE, worse_by=0.05),
    Guard(Metric.NEGATIVE_FEEDBACK_RATE, worse_by=0.01),
)
RUNS, LABELS = 0.3, 0.5
"""Shares: of requests that are runs of the task API, and of these that want a label; the others want a schema."""
PERSON_SECONDS = 600
"""When a person who was called looks at a dashboard, and switches back."""
RESULTS = Path(__file__).with_name("results.md")


@dataclass(frozen=True, slots=True)
class ArmNature:
    """What an arm is like. Latency, first token (milliseconds) and cost (dollars) are lognormal, by their medians."""

    errors: float = 0.01
    fallbacks: float = 0.01
    latency: float = 900.0
    first_token: float = 300.0
    cost: float = 0.002
    spread: float = 0.8
    formless: float = 0.02
    """Of answers that should have a form, those that have not."""
    escalated: float = 0.05
    """Of runs of the task API."""
    blamed: float = 0.005
    """Of all requests, those that somebody calls wrong."""


class Traffic:
    """Draws requests of one arm and adds them up by task, as usage does."""

    def __init__(self, nature: ArmNature, generator: np.random.Generator, *, answers: bool) -> None:
        self._nature = nature
        self._facts = self._turned_out if answers else self._asked
        self._generator = generator
        self.facts = dict.fromkeys(TASKS, ArmFacts())
        self.harmed = 0

    def ask(self, requests: int) -> None:
        """Draw so many requests."""
        by_task = self._generator.multinomial(requests, list(TASKS.values()))
        for task, count in zip(TASKS, by_task, strict=True):
            self.facts[task] = self.facts[task].plus(self._facts(int(count)))

    def _turned_out(self, count: int) -> ArmFacts:
        nature, drawn = self._nature, self._generator.binomial
        runs = int(drawn(count, RUNS))
        labels = int(drawn(runs, LABELS))
        found = {
            AnswerOutcome.RUN: runs,
            AnswerOutcome.ESCALATED: int(drawn(runs, nature.escalated)),
            AnswerOutcome.LABEL: labels,
            AnswerOutcome.NO_LABEL: int(drawn(labels, nature.formless)),
            AnswerOutcome.SCHEMA: runs - labels,
            AnswerOutcome.NO_SCHEMA: int(drawn(runs - labels, nature.formless)),
            AnswerOutcome.NEGATIVE: int(drawn(count, nature.blamed)),
        }
        self.harmed += found[AnswerOutcome.NO_LABEL] + found[AnswerOutcome.NO_SCHEMA]
        return ArmFacts(count, outcomes=found)

    def _asked(self, count: int) -> ArmFacts:
        nature, generator = self._nature, self._generator
        errors = int(generator.binomial(count, nature.errors))
        self.harmed += errors
        answered = count - errors
        return ArmFacts(
            count,
            errors,
            int(generator.binomial(answered, nature.fallbacks)),
            _buckets(self._drawn(nature.latency, answered)),
            _buckets(self._drawn(nature.first_token, answered)),
            _buckets(costs := self._drawn(nature.cost / MICRO_USD, answered)),
            float(np.exp(costs).sum()) * MICRO_USD,
        )

    def _drawn(self, median: float, count: int) -> NDArray[np.float64]:
        """Return logarithms of so many values."""
        return self._generator.normal(math.log(median), self._nature.spread, count)


def _buckets(logarithms: NDArray[np.float64]) -> Counter[int]:
    found = np.clip(logarithms / math.log(GROWTH), 0, BUCKETS - 1).astype(int)
    numbers, counts = np.unique(found, return_counts=True)
    return Counter(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class Course:
    """How one rollout went."""

    phase: Phase
    step: int
    requests: int
    """Of both arms, from its beginning."""
    tried: int
    """Of the canary."""
    failed: int
    """Requests that failed in the canary."""
    looks: int


def roll(
    canary: ArmNature, control: ArmNature, seed: int, *, hold: float, guards: Sequence[Guard] = GUARDS
) -> Course:
    """Run one rollout to its end, or until it asks."""
    generator = np.random.default_rng(seed)
    plan = RolloutPlan("canary", steps=STEPS, hold_seconds=hold, guards=tuple(guards))
    tests = sum(len(list(guard.limits())) for guard in guards) * (len(TASKS) + 2) * len(STEPS)
    rollout = Rollout("r", plan, "control", "00", tests=tests, started_at=0.0)
    traffic = partial(Traffic, generator=generator, answers=guards is ANSWERS)
    stays, tries = traffic(control), traffic(canary)
    requests = tried = failed = looks = 0
    while rollout.phase is Phase.RUNNING:
        count = RATE * LOOK_SECONDS
        trying = int(generator.binomial(count, rollout.share / 1000))
        stays.ask(count - trying)
        tries.ask(trying)
        requests, tried, looks = requests + count, tried + trying, looks + 1
        rollout = replace(rollout, held=rollout.held + LOOK_SECONDS)
        facts = {task: BothArms(stays.facts[task], tries.facts[task]) for task in TASKS}
        done = next_act(rollout, judge(guards, facts, alpha=rollout.alpha, least=plan.least))
        if done.act is not None:
            rollout = after(rollout, done.act, now=0.0)
            if done.act is Act.STEP:
                failed += tries.harmed
                stays, tries = traffic(control), traffic(canary)
    return Course(rollout.phase, rollout.step, requests, tried, failed + tries.harmed, looks)


def _quantile(values: Sequence[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


NATURES = (
    "1 % errors, 1 % fallbacks",
    "30 % runs of the task API: 2 % of their answers without their form, 5 % escalated; 0.5 % of all called wrong",
)


def equal_arms(rollouts: int, guards: Sequence[Guard] = GUARDS) -> str:
    """Return how often equal arms are aborted, looked at after every 200 requests."""
    arms = ArmNature()
    found = [roll(arms, arms, seed, hold=120, guards=guards) for seed in range(rollouts)]
    false = sum(one.phase is Phase.ABORTED for one in found)
    looks = sum(one.looks for one in found)
    return (
        f"{rollouts} rollouts of equal arms ({NATURES[guards is ANSWERS]}; steps of 1, 10 and 50 % for two minutes at "
        f"{RATE} requests a second; {len(TASKS)} tasks, {len(guards)} guards; {looks} looks): "
        f"**{false} aborted ({false / rollouts:.2%})**.\n"
    )


def worse_arms(rollouts: int) -> str:
    """Return a table: what a worse arm costs until it goes back, and what it would have cost otherwise."""
    rows = {
        "5 of 100 requests more fail": ArmNature(errors=0.06),
        "20 of 100 more fail": ArmNature(errors=0.21),
        "every request fails": ArmNature(errors=1.0),
        "twice as slow": ArmNature(latency=1800.0, first_token=600.0),
        "1.5 times as dear": ArmNature(cost=0.003),
    }
    text = [
        "| canary | aborted | in the first step | requests until then, p50 and p95 | of these tried | failed for it |"
        " all at once, a person after 10 minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, nature in rows.items():
        found = [roll(nature, ArmNature(), seed, hold=3600) for seed in range(rollouts)]
        aborted = [one for one in found if one.phase is Phase.ABORTED]
        first = sum(one.step == 0 for one in aborted)
        asked = [one.requests for one in aborted] or [0]
        tried = [one.tried for one in aborted] or [0]
        more = nature.errors - ArmNature().errors
        failed = sum(one.failed for one in found) / rollouts * more / nature.errors
        text.append(
            f"| {name} | {len(aborted)} of {rollouts} | {first} | {_quantile(asked, 0.5)}, {_quantile(asked, 0.95)} "
            f"| {_quantile(tried, 0.5)}, {_quantile(tried, 0.95)} | {failed:.0f} | {RATE * PERSON_SECONDS * more:.0f} |"
        )
    return "\n".join(text) + "\n"


def worse_answers(rollouts: int) -> str:
    """Return a table: what it takes until a canary goes back that answers worse."""
    rows = {
        "10 of 100 labels and schemas more are missed": ArmNature(formless=0.12),
        "20 of 100 runs more escalate": ArmNature(escalated=0.25),
        "5 of 100 requests more are called wrong": ArmNature(blamed=0.055),
    }
    text = [
        "| canary | aborted | in the first step | requests until then, p50 and p95 | of these tried |",
        "|---|---|---|---|---|",
    ]
    for name, nature in rows.items():
        found = [roll(nature, ArmNature(), seed, hold=3600, guards=ANSWERS) for seed in range(rollouts)]
        aborted = [one for one in found if one.phase is Phase.ABORTED]
        asked, tried = [one.requests for one in aborted] or [0], [one.tried for one in aborted] or [0]
        text.append(
            f"| {name} | {len(aborted)} of {rollouts} | {sum(one.step == 0 for one in aborted)} "
            f"| {_quantile(asked, 0.5)}, {_quantile(asked, 0.95)} | {_quantile(tried, 0.5)}, {_quantile(tried, 0.95)} |"
        )
    return "\n".join(text) + "\n"


def write_answers(rollouts: int) -> None:
    """Write the results of guards on how answers turned out."""
    few = max(1, rollouts // 40)
    RESULTS.with_name("answers.md").write_text(
        "# Guards on how answers turned out, simulated\n\n"
        f"`python -m benchmarks.rollouts.run --answers --rollouts {rollouts}`, otherwise as in "
        "[results.md](results.md).\n\n"
        f"{equal_arms(rollouts, ANSWERS)}\n"
        f"Worse arms, {few} rollouts each, steps of 1, 10 and 50 % for an hour each, {RATE} requests a second:\n\n"
        f"{worse_answers(few)}"
    )


def main() -> None:
    """Write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--answers", action="store_true", help="Guards on how answers turned out instead.")
    options = parser.parse_args()
    if options.answers:
        write_answers(options.rollouts)
        return
    few = max(1, options.rollouts // 40)
    RESULTS.write_text(
        "# Rollouts, simulated\n\n"
        f"`python -m benchmarks.rollouts.run --rollouts {options.rollouts}`: the real guards and course, drawn "
        f"requests; {LOOK_SECONDS} s from a request to the look at it.\n\n"
        f"{equal_arms(options.rollouts)}\n"
        f"Worse arms, {few} rollouts each, steps of 1, 10 and 50 % for an hour each, {RATE} requests a second; the "
        f"last two columns are requests that fail and would not have, on average:\n\n{worse_arms(few)}"
    )


if __name__ == "__main__":
    main()
