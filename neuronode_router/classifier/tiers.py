"""The plan's tier of a task, the plan's signs that move it, and how much doubtful tasks speak for each tier.

It must not know profiles, model groups or load.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from neuronode_router.classifier.classification import DEFAULT_TIER, LABELS, Task
from neuronode_router.domain.names import TIERS, Tier

TIER_OF_LABEL = {task.value: tier for task, tier in DEFAULT_TIER.items() if task is not Task.OTHER}
"""The plan's tier of each label; the kinds of `other` have none."""


def choose(base: Tier, *, harder: Collection[str], easier: Collection[str]) -> Tier:
    """Return a tier moved by the plan's complexity cues. Never raises."""
    return TIERS[min(max(TIERS.index(base) + bool(harder) - bool(easier), 0), len(TIERS) - 1)]


_SPEAKING_FOR = tuple(
    tuple(place for place, label in enumerate(LABELS) if TIER_OF_LABEL.get(label) is tier)
    for tier in (Tier.MEDIUM, Tier.COMPLEX, None)
)


def masses(shares: Sequence[float]) -> tuple[float, float, float]:
    """Return how much of the shares of `LABELS` speaks for the medium tier, the complex one, and for no tier.

    Three tasks of one tier, each doubtful, say more about the tier than one doubtful task of another.
    """
    medium, heavy, other = (sum([shares[place] for place in places]) for places in _SPEAKING_FOR)
    return medium, heavy, other
