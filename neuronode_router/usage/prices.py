"""What a token of a model group costs: as measured, else as listed, else unknown.

It must not know where lists come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.store import Rows
from neuronode_router.usage.sums import NANO, Sums


class Basis(StrEnum):
    """Where a cost comes from."""

    RECORDED = "recorded"
    """The requests themselves: nothing changes for them."""
    MEASURED = "measured"
    """What the group's own requests cost per token."""
    LISTED = "listed"
    """The group's price in LiteLLM's list or the configuration."""
    UNPRICED = "unpriced"
    """Nobody has set a price."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars of one token."""

    prompt: float
    completion: float
    basis: Basis = Basis.LISTED
    requests: int = 0
    """How many requests it was measured on."""
    cached: float | None = None
    """Of one token of the prompt that the provider reads from its cache; None where nobody says."""

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return US dollars. Never raises."""
        return prompt_tokens * self.prompt + completion_tokens * self.completion


Listed = Callable[[str], Price | None]
"""The listed price of a model group, None where there is none."""


class Prices:
    """Prices by model group, over the rows of one span."""

    def __init__(self, rows: Rows, listed: Listed) -> None:
        self._listed = listed
        self._paid: dict[str, Sums] = {}
        for (_, key), sums in rows.items():
            # A row is one deployment's: some of a group's deployments may have a price and others none.
            if key.outcome == RequestOutcome.ANSWERED and sums.priced and not sums.unpriced:
                self._paid.setdefault(key.served_group, Sums()).merge(sums)

    def saved(self, group: str, cached_tokens: int) -> float | None:
        """Return how many US dollars of a group's prompts the provider's cache has saved, None where nobody knows."""
        price = self._listed(group)
        if price is None or price.cached is None:
            return None
        return cached_tokens * max(0.0, price.prompt - price.cached)

    def of(self, group: str) -> Price | None:
        """Return what a token of this group costs, None where nobody knows. Never raises."""
        paid = self._paid.get(group)
        if paid is not None and paid.prompt_tokens:
            prompt_nano = paid.cost_nano - paid.output_nano
            return Price(
                prompt=prompt_nano / paid.prompt_tokens / NANO,
                completion=paid.output_nano / (paid.completion_tokens or 1) / NANO,
                basis=Basis.MEASURED,
                requests=paid.priced,
            )
        return self._listed(group)
