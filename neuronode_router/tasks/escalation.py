"""What to do after an attempt: `plan_next(attempts)`, a pure state machine.

Three attempts at most: the first, one retry, one on the next tier. It must not know who answers, nor send anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.domain.names import TIERS, Tier


class EscalationReason(StrEnum):
    """Why a step follows: the closed vocabulary of a task's routing."""

    ACCEPTED = "accepted"
    INVALID = "invalid"
    CUT = "cut"
    """Not valid because a limit of length ended it: that says nothing of who answered."""
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    """A further attempt could not be made: nobody answered, or the caller may not ask that tier."""


@dataclass(frozen=True, slots=True)
class TaskAttempt:
    """One answer: where it came from and what it was worth."""

    tier: Tier
    valid: bool
    confidence: float
    """0 to 1; of no account when not valid."""
    cut: bool = False
    """A limit of length ended it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Ask again on the same tier, showing what was wrong."""

    why: EscalationReason = EscalationReason.INVALID


@dataclass(frozen=True, slots=True)
class Escalate:
    """Ask on the next tier."""

    tier: Tier
    why: EscalationReason


@dataclass(frozen=True, slots=True)
class Done:
    """Answer with attempt number `chosen` (from 0), which is the best there is."""

    chosen: int
    why: EscalationReason
    """`accepted`; otherwise what is still wrong with it."""


Step = Retry | Escalate | Done


def plan_next(attempts: Sequence[TaskAttempt], *, threshold: float, highest: Tier = Tier.COMPLEX) -> Step:
    """Return what follows the last of `attempts`.

    An invalid first answer is asked for once more; after that, or when a valid answer has less confidence than
    `threshold`, one attempt goes one tier up, never above `highest`. Then, or without a tier above, it is done with
    the valid answer of most confidence, of equals the latest. Raises `ValueError` without an attempt.
    """
    if not attempts:
        raise ValueError("there must have been an attempt before the next is planned")
    last = attempts[-1]
    why = _judge(last, threshold)
    if why is EscalationReason.ACCEPTED:
        return Done(len(attempts) - 1, why)
    if not last.valid and len(attempts) == 1:
        return Retry(why)
    above = TIERS[TIERS.index(last.tier) + 1 : TIERS.index(highest) + 1]
    if above and last.tier is attempts[0].tier:
        return Escalate(above[0], why)
    best = best_of(attempts)
    return Done(best, _judge(attempts[best], threshold))


def best_of(attempts: Sequence[TaskAttempt]) -> int:
    """Return the number of the valid attempt of most confidence, of equals the latest. Raises `ValueError` for none."""
    return max(range(len(attempts)), key=lambda n: (_worth(attempts[n]), n))


def _worth(attempt: TaskAttempt) -> float:
    return attempt.confidence if attempt.valid else -1.0


def _judge(attempt: TaskAttempt, threshold: float) -> EscalationReason:
    if not attempt.valid:
        return EscalationReason.CUT if attempt.cut else EscalationReason.INVALID
    return EscalationReason.ACCEPTED if attempt.confidence >= threshold else EscalationReason.UNCERTAIN
