"""How tests of the database mode make keys and ask. It must not know what is tested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.asking import chat
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

ADMIN = "/admin/profiles"
MARKS = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.timeout(300)]
"""The first test of all builds the database mode and starts two workers of 700 MB."""

TOLD_SECONDS = 120
"""The longest that a test waits for what LiteLLM tells others by jobs of its own: they are late on a busy machine."""

EVERY_WORKER = 24
"""Requests on connections of their own: that one of two workers gets none of them happens once in 8 million runs."""


def new_key(admin: httpx.Client, **settings: Any) -> str:
    """Return a new virtual key as its owner sends it."""
    made = admin.post("/key/generate", json=settings).raise_for_status().json()
    return str(made["key"])


def new_team(admin: httpx.Client, **settings: Any) -> str:
    """Return the id of a new team."""
    made = admin.post("/team/new", json=settings).raise_for_status().json()
    return str(made["team_id"])


def new_model(admin: httpx.Client, proxy: Proxy, name: str) -> str:
    """Store a model group in LiteLLM's database, answered by the fake provider; return its deployment's id."""
    params = {"model": f"openai/{name}", "api_base": f"{proxy.place.upstream}/v1", "api_key": "none"}
    made = (
        admin.post("/model/new", json={"model_name": name, "litellm_params": params})
        .raise_for_status()
        .json()
    )
    return str(made["model_info"]["id"])


def map_summary(admin: httpx.Client, group: str) -> httpx.Response:
    """Let `group` serve `summary` in the profile `ultra_fast`."""
    path = f"{ADMIN}/ultra_fast/tasks/summary"
    return admin.put(path, json={"group": group}, headers={"If-Match": "*"})


def switch(admin: httpx.Client, profile: str) -> None:
    """Make `profile` the active one in every worker."""
    receipt = admin.post(f"{ADMIN}/switch", json={"profile": profile}).raise_for_status().json()
    assert receipt["complete"]


def bind(admin: httpx.Client, subject: str, **binding: Any) -> None:
    """Bind a team or key, such as `team/a`, in every worker."""
    receipt = admin.put(f"/admin/bindings/{subject}", json=binding).raise_for_status().json()
    assert receipt["complete"]


def synced(
    database: psycopg.Connection, *, times: int, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Return when LiteLLM has read its table of models `times` more times, once a sync; `meanwhile` is repeated."""

    def read() -> int:
        query = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = %s"
        [(count,)] = database.execute(query, ["LiteLLM_ProxyModelTable"]).fetchall()
        return int(count)

    before = read()

    def enough() -> bool:
        meanwhile()
        return read() >= before + times

    wait_until(enough, seconds=60, what="LiteLLM's syncs", longest_pause=0.005)


def ask_every_worker(proxy: Proxy, key: str, model: str) -> list[httpx.Response]:
    """Return what `model` answers on many connections of their own, so by every worker."""
    answers = []
    for _ in range(EVERY_WORKER):
        with proxy.client(key) as client:
            answers.append(chat(client, model))
    return answers
