"""The plan's tier of a task, the plan's signs that move it, and how much doubtful tasks speak for each tier.

It must not know profiles, model groups or load.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from neuronode_router.classifier.classification import DEFAULT_TIER, Task
from neuronode_router.domain.names import TIERS, Tier

TIER_OF_LABEL = {task.value: tier for task, tier in DEFAULT_TIER.items() if task is not Task.OTHER}
"""The plan's tier of each label; the kinds of `other` have none."""


def choose(base: Tier, *, harder: Collection[str], easier: Collection[str]) -> Tier:
    """Return a tier moved by the plan's complexity cues. Never raises."""
    return TIERS[min(max(TIERS.index(base) + bool(harder) - bool(easier), 0), len(TIERS) - 1)]


def masses(shares: Mapping[str, float]) -> tuple[float, float, float]:
    """Return how much of the shares of `LABELS` speaks for the medium tier, the complex one, and for no tier.

    Three tasks of one tier, each doubtful, say more about the tier than one doubtful task of another.
    """
    mass: dict[Tier | None, float] = {Tier.MEDIUM: 0.0, Tier.COMPLEX: 0.0, None: 0.0, Tier.FAST: 0.0}
    for label, share in shares.items():
        mass[TIER_OF_LABEL.get(label)] += share
    return mass[Tier.MEDIUM], mass[Tier.COMPLEX], mass[None]
