"""What a caller has spent follows the counters that LiteLLM enforces budgets with."""

from __future__ import annotations

import asyncio
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.background import Failures
from neuronode_router.domain.bindings import Beyond
from neuronode_router.litellm_plugin.auth import budgets
from neuronode_router.litellm_plugin.auth.budgets import Budgets
from tests.support.clock import Clock
from tests.support.waiting import eventually

RULE = Beyond(share=0.5, profile="cheap", monthly_usd=10.0)


class Counters:
    """LiteLLM's counters, and what was asked of them."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.broken = False
        self.asked: list[tuple[str, float, float]] = []

    async def read(self, counter: str, spent: float, budget: float) -> float:
        """Return a counter, else what was last known."""
        self.asked.append((counter, spent, budget))
        if self.broken:
            raise ConnectionError("no counters")
        return self.values.get(counter, spent)


def team_key(**facts: Any) -> UserAPIKeyAuth:
    return UserAPIKeyAuth(api_key="sk-a", team_id="a", **{"team_spend": 1.0, "team_max_budget": 10.0} | facts)


async def test_the_share_is_the_live_one_as_soon_as_it_is_known() -> None:
    """The first request sees what LiteLLM's cache says, those after it the counter, of key and team alike."""
    counters = Counters()
    made = Budgets(dict, live=counters.read)
    user = team_key(spend=2.0, max_budget=4.0)
    counters.values = {"spend:team:a": 6.0, f"spend:key:{user.token}": 3.0}

    first = made.spent(user, "team:a", RULE), made.spent(user, f"key:{user.token}", RULE)
    await eventually(lambda: made.spent(user, "team:a", RULE) == 0.6)
    await eventually(lambda: made.spent(user, f"key:{user.token}", RULE) == 0.75)
    await made.stop()

    assert first == (0.1, 0.5)
    assert ("spend:team:a", 1.0, 10.0) in counters.asked


async def test_counters_are_read_only_while_somebody_asks() -> None:
    """A proxy without requests, or whose callers have no rule or budget, reads no counter."""
    counters, clock = Counters(), Clock()
    made = Budgets(dict, live=counters.read, clock=clock)

    made.spent(team_key(team_max_budget=None), "team:a", RULE)
    await asyncio.sleep(0)
    assert counters.asked == []
    made.spent(team_key(), "team:a", RULE)
    await eventually(lambda: bool(counters.asked))
    clock.now += budgets.IDLE_SECONDS + 1
    await eventually(lambda: made._following is not None and made._following.done())

    assert made._followed == {}


async def test_counters_that_fail_leave_what_is_known() -> None:
    """A failure is survived and counted; the request goes by LiteLLM's cached figures."""
    counters, failures = Counters(), Failures()
    counters.broken = True
    made = Budgets(dict, live=counters.read, failures=failures)

    made.spent(team_key(), "team:a", RULE)
    await eventually(lambda: bool(failures.present()))
    share = made.spent(team_key(), "team:a", RULE)
    await made.stop()

    assert share == 0.1


def test_a_team_without_a_budget_of_litellms_goes_by_our_sums() -> None:
    """Our sums of the month count against the rule's own budget; where neither is known, nobody knows."""
    made = Budgets(lambda: {"a": 4.0})
    made.refresh()
    user = team_key(team_max_budget=None)

    assert made.spent(user, "team:a", RULE) == 0.4
    assert made.spent(user, "team:a", Beyond(share=0.5, profile="cheap")) is None
    assert made.spent(user, "key:x", RULE) is None
