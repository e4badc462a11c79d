"""The small trained decisions over scores: whose instruction counts, which tier is likely, what a model gets right.

It must not know texts, cues or the weight table; each decision is a logistic line over a handful of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import mul
from typing import Any, Self

CLIP = 10.0
"""Log odds beyond this say no more: one loud word must not decide alone."""
SHORT_TURN = 40.0
"""Characters: about where turns that lean on earlier ones end."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """A chance from some numbers: a weight for each, and the log odds where all are 0."""

    slopes: tuple[float, ...]
    level: float

    def __call__(self, numbers: Sequence[float]) -> float:
        """Return the chance, 0 to 1. Raises `ValueError` for another count of numbers."""
        if len(numbers) != len(self.slopes):
            raise ValueError(f"It goes by {len(self.slopes)} numbers, not by {len(numbers)}.")
        return chance(self.level + sum(map(mul, self.slopes, numbers)))


@dataclass(frozen=True, slots=True)
class Decisions:
    """All of them, as the manifest of the weights keeps them."""

    system: Logistic
    """That the system prompt's task counts, not the turn's: over `of_system`."""
    follows: Logistic
    """That the turn leans on the one before: over `of_turn`."""
    medium: Logistic
    """That a request needs more than a light answer: over `of_work`."""
    complex: Logistic
    """That it needs a heavy one: over `of_work`."""
    small: Logistic
    """That a small language model answers it right: over its one score."""
    large: Logistic

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Return the decisions of a manifest. Raises `KeyError`, `TypeError` or `ValueError` where they are none."""
        return cls(
            **{
                field.name: Logistic(
                    tuple(map(float, written[field.name]["slopes"])), float(written[field.name]["level"])
                )
                for field in fields(cls)
            }
        )

    def written(self) -> dict[str, Any]:
        """Return what `read` reads."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PartNumbers:
    """What the scores say of a turn or a system prompt."""

    share: float
    """Of its likeliest task."""
    chat: float
    """Share of small talk."""
    document: float
    """How much its window is mere text, 0 to 1."""
    asks: float
    """The most that any of its pieces is anything but mere text, 0 to 1."""
    standing: float
    """Log odds that it sets a task for whatever comes."""
    follows: float
    """Log odds that it leans on what was said before."""
    length: int
    """Characters."""


def of_turn(turn: PartNumbers) -> tuple[float, ...]:
    """Return what tells whether a turn leans on the one before."""
    long, material = _long(turn), 1 - turn.asks
    return (
        clipped(turn.follows),
        turn.document,
        turn.asks,
        turn.share,
        turn.chat,
        long,
        turn.document * long,
        material * long,
        turn.share * (1 - turn.document),
    )


def of_system(system: PartNumbers, turn: PartNumbers) -> tuple[float, ...]:
    """Return what tells whether a system prompt's task counts for a turn."""
    standing, material = chance(clipped(system.standing)), 1 - turn.asks
    return (
        clipped(system.standing),
        system.share * standing,
        turn.document,
        material * standing,
        turn.share,
        turn.chat,
        clipped(turn.follows),
        _long(turn),
    )


def of_work(tiers: Sequence[float], difficulty: float, *, harder: bool, easier: bool) -> tuple[float, ...]:
    """Return what tells how much work is asked for.

    `tiers` are the shares of tasks that the plan calls medium and complex, and of those it leaves out.
    """
    medium, heavy, other = tiers
    planned = 1 - other
    work = clipped(difficulty)
    return (
        medium,
        heavy,
        other,
        other * work,
        planned * work,
        planned * harder,
        other * harder,
        planned * easier,
        other * easier,
    )


def chance(odds: float) -> float:
    """Return the chance of log odds, 0 to 1. Never raises."""
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0


def clipped(odds: float) -> float:
    """Return log odds within `CLIP`."""
    return min(max(odds, -CLIP), CLIP)


def _long(part: PartNumbers) -> float:
    return math.log1p(part.length / SHORT_TURN)
