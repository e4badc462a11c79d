"""How much of a budget a caller has spent: LiteLLM's own figures where it keeps a budget, else our sums of the month.

Read from memory on the request path; our sums are fetched in the background and may be a minute old.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.domain import Beyond

MonthlyCosts = Callable[[], Mapping[str, float]]
"""Blocks for the database: USD of this calendar month (UTC) by team. Raises `StoreUnavailable`."""


class Budgets:
    """The shares that bindings ask for."""

    def __init__(self, monthly_costs: MonthlyCosts) -> None:
        self._monthly_costs = monthly_costs
        self._by_team: Mapping[str, float] = {}

    def refresh(self) -> None:
        """Fetch our sums. Blocks: call it in a thread. Raises `StoreUnavailable`; the last sums then stay."""
        self._by_team = self._monthly_costs()

    def spent(self, user: UserAPIKeyAuth, subject: str, rule: Beyond) -> float | None:
        """Return the share of the subject's budget that is spent, None where nobody knows one. Never raises."""
        if subject.startswith("team:"):
            theirs = _share(user.team_spend, user.team_max_budget)
            return theirs if theirs is not None else self._ours(subject.removeprefix("team:"), rule)
        return _share(user.spend, user.max_budget)

    def _ours(self, team: str, rule: Beyond) -> float | None:
        return _share(self._by_team.get(team, 0.0), rule.monthly_usd)


def _share(spent: Any, budget: Any) -> float | None:
    return float(spent or 0.0) / float(budget) if budget else None
