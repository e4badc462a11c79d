"""Choose the tier: the task's default, moved by signs of a harder or simpler request; `other` by its difficulty.

It must not know profiles, model groups or load.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from neuronode_router.classifier.classification import DEFAULT_TIER, Task
from neuronode_router.domain import Tier

LADDER = (Tier.FAST, Tier.MEDIUM, Tier.COMPLEX)
_TIERS = {task.value: tier for task, tier in DEFAULT_TIER.items() if task is not Task.OTHER}
HARD, SIMPLE = 0.62, 0.38
"""Difficulty above which an `other` is complex, and below which it is fast."""


def choose(base: Tier, *, harder: Collection[str], easier: Collection[str]) -> Tier:
    """Return a tier moved by the plan's complexity cues. Never raises."""
    return LADDER[min(max(LADDER.index(base) + bool(harder) - bool(easier), 0), len(LADDER) - 1)]


def likeliest(shares: Mapping[str, float], difficulty: float) -> Tier:
    """Return the tier that most of the shares of `LABELS` speak for. Never raises.

    Three tasks of one tier, each doubtful, say more about the tier than one doubtful task of another.
    """
    mass = dict.fromkeys(LADDER, 0.0)
    other = default(Task.OTHER, difficulty)
    for label, share in shares.items():
        mass[_TIERS.get(label, other)] += share
    return max(LADDER, key=mass.__getitem__)


def default(task: Task, difficulty: float) -> Tier:
    """Return the tier of a task; of `other` by its difficulty, 0 to 1. Never raises."""
    if task is not Task.OTHER or SIMPLE <= difficulty <= HARD:
        return DEFAULT_TIER[task]
    return Tier.COMPLEX if difficulty > HARD else Tier.FAST
