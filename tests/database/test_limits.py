"""What an operator keyed by the name that clients send works as on LiteLLM alone: limits and fallbacks."""

from __future__ import annotations

import httpx
import pytest

from tests.database.asking import EVERY_WORKER, MARKS, TOLD_SECONDS, new_key, new_team, switch
from tests.e2e.asking import answered_by, chat
from tests.support.place import FALLING
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = MARKS

ALLOWED = 3
BUDGET = 0.0015
"""US dollars: less than one analysis may cost at most, and more than all the others here do."""
LIMITS = {
    "rpm by task": ("classification", {"model_rpm_limit": {"classification": ALLOWED}}),
    "rpm by group": ("classification", {"model_rpm_limit": {"classification_premium": ALLOWED}}),
    "rpm of auto": ("auto", {"model_rpm_limit": {"auto": ALLOWED}}),
    "tpm by task": ("classification", {"model_tpm_limit": {"classification": 1}}),
    "tpm by group": ("classification", {"model_tpm_limit": {"classification_premium": 1}}),
}


def statuses(proxy: Proxy, key: str, name: str) -> list[int]:
    """Ask one more time than is allowed."""
    with proxy.client(key) as client:
        return [chat(client, name).status_code for _ in range(ALLOWED + 1)]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("of_team", [False, True], ids=["key", "team"])
def test_a_limit_bites_by_the_name_that_clients_send_and_by_its_group(
    proxy: Proxy, admin: httpx.Client, limit: str, of_team: bool
) -> None:
    """Requests beyond a key's or team's limit on a task, on `auto` or on a group are refused with 429."""
    name, limits = LIMITS[limit]
    key = new_key(admin, team_id=new_team(admin, **limits)) if of_team else new_key(admin, **limits)

    answers = statuses(proxy, key, name)

    assert answers[-1] == 429
    if "rpm" in limit:
        assert answers == [200] * ALLOWED + [429]


def test_a_limit_on_a_task_holds_under_every_profile(proxy: Proxy, admin: httpx.Client) -> None:
    """A switch gives no key more requests for the same task than its limit says."""
    key = new_key(admin, model_rpm_limit={"classification": ALLOWED})
    switch(admin, "balanced")

    assert statuses(proxy, key, "classification") == [200] * ALLOWED + [429]


def test_a_configured_fallback_of_a_task_is_followed(proxy: Proxy, admin: httpx.Client) -> None:
    """Where the operator wrote fallbacks under a task's name, they answer when its group fails."""
    switch(admin, "specialized")  # there the task's group always fails

    with proxy.client(new_key(admin)) as client:
        assert answered_by(chat(client, "trading_analysis")) == FALLING[1]


@pytest.mark.parametrize("limited", ["key", "team"])
def test_who_hangs_up_on_the_task_api_keeps_nothing_reserved(
    proxy: Proxy, admin: httpx.Client, limited: str
) -> None:
    """LiteLLM gives back a place among parallel requests, and what a budget was charged beforehand."""
    team = (
        {"team_id": new_team(admin, max_budget=BUDGET)} if limited == "team" else {"max_parallel_requests": 1}
    )
    key = new_key(admin, **team)
    body = {"market_data": {"note": "x slow-1500"}}

    with proxy.client(key) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/llm/analysis", json=body, timeout=0.5)

    wait_until(
        lambda: all(answered(proxy, key) for _ in range(EVERY_WORKER)),
        seconds=TOLD_SECONDS,
        what="answers of all workers",
    )


def answered(proxy: Proxy, key: str) -> bool:
    """Ask on a connection of its own, for next to no money."""
    with proxy.client(key) as client:
        return chat(client, "tier_fast", max_tokens=1).is_success
