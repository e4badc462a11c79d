"""What LiteLLM decides at its door by the name that was sent holds for the group that is called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.database.asking import MARKS, TOLD_SECONDS, bind, map_summary, new_key, switch, synced
from tests.e2e.asking import chat
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = MARKS

FREE = {"input_cost_per_token": 0, "output_cost_per_token": 0}
LITTLE = 1.0e-6
WORD = "forbiddenword"


@pytest.fixture
def free(admin: httpx.Client, proxy: Proxy, database: psycopg.Connection) -> Iterator[None]:
    """The task `summary` of `ultra_fast` costs nothing, in the profile that is active."""
    yield from mapped(admin, proxy, database, "free", **FREE)


@pytest.fixture
def guarded(admin: httpx.Client, proxy: Proxy, database: psycopg.Connection) -> Iterator[None]:
    """The task `summary` of `ultra_fast` has a guardrail beside the call; another profile is active."""
    params = {"guardrail": "litellm_content_filter", "mode": "during_call", "default_on": False}
    words = {"blocked_words": [{"keyword": WORD, "action": "BLOCK"}]}
    guardrail = {
        "guardrail_name": "no-such-word",
        "litellm_params": {**params, **words},
        "guardrail_info": {},
    }
    made = admin.post("/guardrails", json={"guardrail": guardrail}).raise_for_status().json()
    for _ in mapped(admin, proxy, database, "guarded", guardrails=["no-such-word"]):
        switch(admin, "premium")
        yield
    admin.delete(f"/guardrails/{made['guardrail_id']}").raise_for_status()


def mapped(
    admin: httpx.Client, proxy: Proxy, database: psycopg.Connection, group: str, **params: object
) -> Iterator[None]:
    """Store a group, let `ultra_fast` use it for `summary`, and take both away afterwards."""
    about = {
        "model": f"openai/{group}",
        "api_base": f"{proxy.place.upstream}/v1",
        "api_key": "none",
        **params,
    }
    model = {"model_name": group, "litellm_params": about, "model_info": params if params == FREE else {}}
    made = admin.post("/model/new", json=model).raise_for_status().json()
    synced(database, times=2 * 2)
    map_summary(admin, group).raise_for_status()
    switch(admin, "ultra_fast")
    yield
    map_summary(admin, "summary_ultra_fast").raise_for_status()
    admin.post("/model/delete", json={"id": made["model_info"]["id"]}).raise_for_status()


def bound(admin: httpx.Client, profile: str, **settings: object) -> str:
    """Return a new key that is bound to a profile."""
    key = new_key(admin, **settings)
    bind(admin, f"key/{hashlib.sha256(key.encode()).hexdigest()}", profile=profile)
    return key


@pytest.mark.usefixtures("free")
def test_a_spent_budget_pays_for_no_group_that_costs(proxy: Proxy, admin: httpx.Client) -> None:
    """A key that is bound to a paid profile is refused when its budget is spent, though the active one is free."""
    with proxy.client(bound(admin, "premium", max_budget=LITTLE)) as client:
        wait_until(
            lambda: chat(client, "summary").status_code == 422, seconds=TOLD_SECONDS, what="the refusal"
        )
        task, group = chat(client, "summary"), chat(client, "summary_premium")
        free = chat(client, "free")

    assert [answer.status_code for answer in (task, group, free)] == [422, 422, 200]
    assert task.json()["error"]["message"].split("!")[0] == group.json()["error"]["message"].split("!")[0]


@pytest.mark.usefixtures("free")
def test_what_is_free_is_served_whatever_the_active_profile_costs(proxy: Proxy, admin: httpx.Client) -> None:
    """A key that is bound to a free profile is served with its budget spent, as the group itself is."""
    key = bound(admin, "ultra_fast", max_budget=LITTLE)
    switch(admin, "premium")
    with proxy.client(key) as client:
        wait_until(
            lambda: chat(client, "chat_premium").status_code == 422, seconds=TOLD_SECONDS, what="the end"
        )

        assert chat(client, "summary").status_code == 200


@pytest.mark.usefixtures("guarded")
def test_the_guardrail_of_the_group_that_is_called_runs(proxy: Proxy, admin: httpx.Client) -> None:
    """By a binding and by a header as by the name of the group, and for nobody whom the group does not answer."""
    with proxy.client(bound(admin, "ultra_fast")) as client:
        by_binding = chat(client, "summary", prompt=WORD)
    by_header = chat(admin, "summary", prompt=WORD, headers={"x-neuronode-profile": "ultra_fast"})
    other = chat(admin, "summary", prompt=WORD)

    assert [answer.status_code for answer in (by_binding, by_header, other)] == [400, 400, 200]
