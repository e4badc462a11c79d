"""Choose the tier: the task's default, moved by signs of a harder or simpler request; `other` by its difficulty.

It must not know profiles, model groups or load.
"""

from __future__ import annotations

from collections.abc import Collection

from neuronode_router.classifier.classification import DEFAULT_TIER, Task
from neuronode_router.domain import Tier

LADDER = (Tier.FAST, Tier.MEDIUM, Tier.COMPLEX)
HARD, SIMPLE = 0.62, 0.38
"""Difficulty above which an `other` is complex, and below which it is fast."""


def choose(task: Task, *, difficulty: float, harder: Collection[str], easier: Collection[str]) -> Tier:
    """Return the tier of a request, given its difficulty (0 to 1) and the plan's complexity cues. Never raises."""
    base = LADDER.index(_base(task, difficulty))
    return LADDER[min(max(base + bool(harder) - bool(easier), 0), len(LADDER) - 1)]


def _base(task: Task, difficulty: float) -> Tier:
    if task is not Task.OTHER or SIMPLE <= difficulty <= HARD:
        return DEFAULT_TIER[task]
    return Tier.COMPLEX if difficulty > HARD else Tier.FAST
