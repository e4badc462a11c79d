"""Whether a request may reach a model group: the one rule that every place asks, before a call and before a fallback.

It must not know who asks, where caps and tiers are kept, or what LiteLLM's own lists of models say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neuronode_router.domain.names import TIERS, Tier

TierOf = Callable[[str], Tier | None]
"""From a group to its tier, None where nobody said."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What one request of one caller may reach."""

    max_tier: Tier = Tier.COMPLEX
    """The caller's cap."""
    granted: frozenset[str] = frozenset()
    """Where the operator's own profile maps the task that was asked for: it stays allowed, however heavy."""
    tier_of: TierOf = lambda _: None

    @property
    def is_capped(self) -> bool:
        """Whether there is a group that the caller may not reach."""
        return self.max_tier is not TIERS[-1]

    def reaches(self, group: str) -> bool:
        """Return whether the request may be answered by `group`. A group without a tier is above no cap."""
        if not self.is_capped or group in self.granted:
            return True
        tier = self.tier_of(group)
        return tier is None or TIERS.index(tier) <= TIERS.index(self.max_tier)
