"""LiteLLM reads its settings anew from file and database all the time; nothing of ours is missing meanwhile."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from neuronode_router.domain.names import TASK_ALIASES
from tests.database.asking import ADMIN, MARKS, new_key, switch, synced
from tests.e2e.asking import chat
from tests.support.proxy import Proxy

pytestmark = MARKS

SYNCS = 8
"""As many reads of the table of models as two workers do in about four intervals."""


def test_access_by_group_is_right_during_every_sync(
    proxy: Proxy, admin: httpx.Client, database: psycopg.Connection
) -> None:
    """Keys that name groups are never refused wrongly nor served wrongly, the listing always has our names, and what
    LiteLLM does at each interval is neither counted nor warned of as a drift.
    """
    switch(admin, "balanced")
    seen: set[tuple[str, Any]] = set()
    right = new_key(admin, models=["classification_balanced"])
    wrong = new_key(admin, models=["classification_premium"])
    before = drifts(admin)

    with proxy.client(right) as allowed, proxy.client(wrong) as refused:

        def ask() -> None:
            seen.add(("right", chat(allowed, "classification").status_code))
            seen.add(("wrong", chat(refused, "classification").status_code))
            listed = {entry["id"] for entry in admin.get("/v1/models").json()["data"]}
            seen.add(("listed", "@profile/balanced" in listed and set(TASK_ALIASES) <= listed))

        synced(database, times=SYNCS, meanwhile=ask)

    assert seen == {("right", 200), ("wrong", 403), ("listed", True)}
    assert drifts(admin) == before


def drifts(admin: httpx.Client) -> int:
    workers = admin.get(f"{ADMIN}/status").raise_for_status().json()["workers"]
    return sum(int(worker["report"]["drifts"]) for worker in workers)
