"""`beyond` follows the spending that LiteLLM enforces budgets with."""

from __future__ import annotations

import httpx

from tests.database.asking import MARKS, TOLD_SECONDS, bind, new_key, new_team
from tests.e2e.asking import chat, decision
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = MARKS

BUDGET = 1.0e-4
"""US dollars; a request here costs less than a fifth, so that a few lie between half and all of it."""


MAX_TOKENS = 8
"""LiteLLM counts what a request may cost at most until it has ended: without a bound, all that is left of a budget."""


def test_beyond_a_share_of_the_teams_budget_the_other_profile_answers(
    proxy: Proxy, admin: httpx.Client
) -> None:
    """The profile changes while the team spends, before LiteLLM refuses it, and within seconds."""
    team = new_team(admin, max_budget=BUDGET)
    bind(admin, f"team/{team}", profile="premium", beyond={"share": 0.5, "profile": "cost_effective"})

    with proxy.client(new_key(admin, team_id=team)) as client:
        wait_until(
            lambda: (
                decision(chat(client, "classification", max_tokens=MAX_TOKENS).raise_for_status())["profile"]
                == "cost_effective"
            ),
            seconds=TOLD_SECONDS,
            what="the other profile",
        )
    admin.delete(f"/admin/bindings/team/{team}").raise_for_status()
