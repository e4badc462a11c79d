"""How much of a budget a caller has spent: LiteLLM's own figures where it keeps a budget, else our sums of the month.

Read from memory on the request path. LiteLLM's live counters, by which it enforces budgets, are followed in the
background while a caller with a rule asks; our sums may be a minute old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.background import Failures
from neuronode_router.domain.bindings import Beyond

READING_SUMS = "reading what teams have spent"

REFRESH_SECONDS = 15.0
"""How often our own sums are read."""

FOLLOW_SECONDS = 0.05
"""How often the live counters are read while there are requests that depend on them."""

IDLE_SECONDS = 2.0
"""How long after its last request a caller's counter is read: the cost of an answer is counted after it."""

MonthlyCosts = Callable[[], Mapping[str, float]]
"""Blocks for the database: USD of this calendar month (UTC) by team. Raises `StoreUnavailable`."""

LiveSpend = Callable[[str, float, float], Awaitable[float]]
"""From a counter's name, the spending last known and the budget, both USD, to the spending of now."""


@dataclass(slots=True)
class _Followed:
    """A caller whose counter is read."""

    spent: float
    budget: float
    asked_at: float
    live: float | None = None


class Budgets:
    """The shares that bindings ask for. Without `live`, LiteLLM's figures are as old as its cache of keys and teams."""

    def __init__(
        self,
        monthly_costs: MonthlyCosts,
        *,
        live: LiveSpend | None = None,
        failures: Failures | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monthly_costs = monthly_costs
        self._live = live
        self._failures = failures or Failures()
        self._clock = clock
        self._by_team: Mapping[str, float] | None = None
        """None: not read yet."""
        self._followed: dict[str, _Followed] = {}
        self._following: asyncio.Task[None] | None = None

    def refresh(self) -> None:
        """Fetch our sums. Blocks: call it in a thread. Raises `StoreUnavailable`; the last sums then stay."""
        self._by_team = self._monthly_costs()

    def spent(self, user: UserAPIKeyAuth, subject: str, rule: Beyond) -> float | None:
        """Return the share of the subject's budget that is spent, None where nobody knows one. Never raises."""
        if not subject.startswith("team:"):
            return self._theirs(f"spend:key:{user.token}", user.spend, user.max_budget)
        team = subject.removeprefix("team:")
        theirs = self._theirs(f"spend:team:{team}", user.team_spend, user.team_max_budget)
        if theirs is not None or self._by_team is None:
            return theirs
        return _share(self._by_team.get(team, 0.0), rule.monthly_usd)

    async def stop(self) -> None:
        """Read no more counters."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _theirs(self, counter: str, spent: float | None, budget: float | None) -> float | None:
        if not budget or self._live is None:
            return _share(spent, budget)
        followed = self._followed.setdefault(counter, _Followed(0.0, 0.0, 0.0))
        followed.spent, followed.budget, followed.asked_at = spent or 0.0, budget, self._clock()
        if self._following is None or self._following.done():
            self._following = asyncio.get_running_loop().create_task(
                self._follow(self._live), name="neuronode-budgets"
            )
        return _share(followed.spent if followed.live is None else followed.live, budget)

    async def _follow(self, live: LiveSpend) -> None:
        while self._followed:
            for counter, one in list(self._followed.items()):
                with self._failures.survived("reading what LiteLLM has counted"):
                    one.live = await live(counter, one.spent, one.budget)
                if self._clock() - one.asked_at > IDLE_SECONDS:
                    del self._followed[counter]
            await asyncio.sleep(FOLLOW_SECONDS)


def _share(spent: Any, budget: Any) -> float | None:
    return float(spent or 0.0) / float(budget) if budget else None


def live_spend(proxy: Any) -> LiveSpend:
    """Return what asks LiteLLM for the US dollars that it enforces a budget by."""

    async def spent(counter: str, spent: float, budget: float) -> float:
        return float(
            await proxy.get_current_spend(counter_key=counter, fallback_spend=spent, max_budget=budget)
        )

    return spent
