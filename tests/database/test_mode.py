"""The database mode of these tests is LiteLLM's own: keys, teams, login, spend and models live in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg

from tests.database.asking import (
    EVERY_WORKER,
    MARKS,
    TOLD_SECONDS,
    ask_every_worker,
    map_summary,
    new_key,
    new_model,
    new_team,
)
from tests.e2e.asking import answered_by, chat, decision
from tests.support.database_mode.place import UI_PASSWORD, UI_USER
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.servers import wait_until

pytestmark = MARKS


def rows(database: psycopg.Connection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return database.execute(query, values).fetchall()


def test_a_virtual_key_reaches_its_tasks_and_nothing_else(proxy: Proxy, admin: httpx.Client) -> None:
    """A key of LiteLLM's database that names one task is answered for it and refused for another."""
    with proxy.client(new_key(admin, models=["classification"])) as client:
        allowed, refused = chat(client, "classification"), chat(client, "summary")

    assert answered_by(allowed) == "classification_premium"
    assert decision(allowed)["reason"] == "active_profile"
    assert refused.status_code == 403


def test_a_key_whose_budget_is_spent_is_refused(proxy: Proxy, admin: httpx.Client) -> None:
    """A request's cost counts against the budget of the key, and of its team."""
    team = new_team(admin, max_budget=1e-9)
    for key in (new_key(admin, max_budget=1e-9), new_key(admin, team_id=team)):
        with proxy.client(key) as client:
            assert chat(client, "classification").status_code == 200
            wait_until(
                lambda client=client: "budget_exceeded" in chat(client, "classification").text,
                what="the end of the budget",
            )


def test_login_gives_a_session_that_reads_the_status(proxy: Proxy) -> None:
    """Who signs in to LiteLLM's page holds a session that our admin API knows as an administrator's."""
    with proxy.client(None) as client:
        answer = client.post("/v2/login", json={"username": UI_USER, "password": UI_PASSWORD})
        answer.raise_for_status()

    assert answer.json()["token"].count(".") == 2
    assert "token" in answer.cookies


def test_a_request_leaves_a_spend_log_that_names_its_profile(
    admin: httpx.Client, proxy: Proxy, database: psycopg.Connection
) -> None:
    """LiteLLM writes each request's cost, with our profile and task, to its table of spend."""
    with proxy.client(new_key(admin, key_alias="spender")) as client:
        call = chat(client, "classification").headers["x-litellm-call-id"]

    query = 'SELECT spend, metadata FROM "LiteLLM_SpendLogs" WHERE request_id = %s OR metadata::text LIKE %s'
    wait_until(lambda: rows(database, query, call, f"%{call}%"), seconds=TOLD_SECONDS, what="the spend log")
    [(spend, metadata)] = rows(database, query, call, f"%{call}%")
    assert spend > 0
    assert metadata["spend_logs_metadata"]["neuronode_profile"] == "premium"


def test_a_model_that_is_added_answers_in_both_workers(
    proxy: Proxy, admin: httpx.Client, database: psycopg.Connection
) -> None:
    """A group that is stored in the database is served by the worker that stored it, and soon by the other one."""
    new_model(admin, proxy, "added")

    def everywhere() -> bool:
        return {answer.status_code for answer in ask_every_worker(proxy, MASTER_KEY, "added")} == {200}

    wait_until(everywhere, seconds=TOLD_SECONDS, what="the model in both workers")
    assert rows(
        database, 'SELECT count(*) FROM "LiteLLM_ProxyModelTable" WHERE model_name = %s', "added"
    ) == [(1,)]


def test_a_group_that_was_just_stored_can_be_used_at_once(proxy: Proxy, admin: httpx.Client) -> None:
    """Whichever worker is asked, a profile may name a group that another worker has just stored."""
    new_model(admin, proxy, "fresh")

    def use(_: int) -> int:
        with proxy.client() as client:
            return map_summary(client, "fresh").status_code

    with ThreadPoolExecutor(EVERY_WORKER) as pool:
        assert set(pool.map(use, range(EVERY_WORKER))) == {200}
