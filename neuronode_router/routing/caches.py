"""Which share of the prompts' tokens the providers' caches have answered lately, by model group.

In memory, of this process. It must not know prices or requests.
"""

from __future__ import annotations

WEIGHT = 0.98
"""What each later request leaves of an earlier one's weight."""

WARM_SECONDS = 300.0
"""So long a provider keeps what it has cached, at least: the shortest that any of the large ones promises."""


class CacheShares:
    """Shares from 0 to 1, the later requests weighing more."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[float, float]] = {}

    def saw(self, group: str, *, prompt: int, cached: int) -> None:
        """Count one answer's tokens of the prompt, and how many of them came from the provider's cache."""
        if group and prompt > 0:
            all_before, cached_before = self._tokens.get(group, (0.0, 0.0))
            self._tokens[group] = (all_before * WEIGHT + prompt, cached_before * WEIGHT + min(cached, prompt))

    def of(self, group: str) -> float:
        """Return a group's share, 0 where it has answered nothing yet."""
        prompt, cached = self._tokens.get(group, (0.0, 0.0))
        return cached / prompt if prompt else 0.0
