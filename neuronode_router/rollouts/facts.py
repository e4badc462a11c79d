"""What was recorded of the requests of the two arms, by task: counts that add up.

It must not know who counted them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

ALL_TASKS = ""
"""The name under which all tasks are looked at together. No task is called so."""

Counted = TypeVar("Counted")

MICRO_USD = 1e-6
"""Costs are counted in open buckets of `histogram`, in millionths of a US dollar."""


class AnswerOutcome(StrEnum):
    """How an answer turned out, as somebody has said who looked at it."""

    LABEL = "label"
    """A task wanted a label of it."""
    NO_LABEL = "no_label"
    """It had none, or two."""
    SCHEMA = "schema"
    """A task wanted JSON of a schema."""
    NO_SCHEMA = "no_schema"
    """It was none."""
    RUN = "run"
    """It was the first answer to a task."""
    ESCALATED = "escalated"
    """The answer that was given came from a higher tier."""
    NEGATIVE = "negative"
    """Somebody has called the decision wrong."""


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """What was recorded of one arm. `latency`, `first_token` (milliseconds) and `cost` are buckets of `histogram`."""

    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    """Answered requests only."""
    first_token: Mapping[int, int] = field(default_factory=dict)
    """Streams only."""
    cost: Mapping[int, int] = field(default_factory=dict)
    """Requests whose cost is known only."""
    cost_usd: float = 0.0
    """What those cost together."""
    outcomes: Mapping[AnswerOutcome, int] = field(default_factory=dict)
    decided: int = 0
    """Requests whose group comes from a mapping that is changed."""

    def plus(self, other: ArmFacts) -> ArmFacts:
        """Return the facts of both. Never raises."""
        return ArmFacts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.fallbacks + other.fallbacks,
            _added(self.latency, other.latency),
            _added(self.first_token, other.first_token),
            _added(self.cost, other.cost),
            self.cost_usd + other.cost_usd,
            _added(self.outcomes, other.outcomes),
            self.decided + other.decided,
        )


@dataclass(frozen=True, slots=True)
class BothArms:
    """What was recorded at the same time of those who stayed and of those who try."""

    control: ArmFacts = field(default_factory=ArmFacts)
    canary: ArmFacts = field(default_factory=ArmFacts)


def with_all(by_task: Mapping[str, BothArms]) -> dict[str, BothArms]:
    """Return the facts by task, with those of all tasks together before them."""
    arms = by_task.values()
    together = BothArms(_sum(one.control for one in arms), _sum(one.canary for one in arms))
    return {ALL_TASKS: together, **by_task}


def _sum(facts: Iterable[ArmFacts]) -> ArmFacts:
    total = ArmFacts()
    for one in facts:
        total = total.plus(one)
    return total


def _added(one: Mapping[Counted, int], other: Mapping[Counted, int]) -> Mapping[Counted, int]:
    total = Counter(one)
    total.update(other)
    return total
