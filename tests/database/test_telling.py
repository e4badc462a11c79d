"""What answers and logs say of requests that LiteLLM's own names and keys make."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import psycopg
import pytest

from tests.database.asking import MARKS, TOLD_SECONDS, new_key
from tests.database.conftest import HOUSE, WILD
from tests.e2e.asking import chat, decision
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = MARKS


@pytest.mark.parametrize("name", [HOUSE, f"{WILD}/anything"])
def test_an_operators_alias_or_wildcard_is_no_fallback(proxy: Proxy, admin: httpx.Client, name: str) -> None:
    """A request that is answered where its name leads fell back to nothing."""
    with proxy.client(new_key(admin)) as client:
        answer = chat(client, name)

    assert answer.raise_for_status()
    assert decision(answer)["fallback"] == "0"


def test_auto_has_no_tag_of_a_task(proxy: Proxy, admin: httpx.Client, database: psycopg.Connection) -> None:
    """LiteLLM's spend of an `auto` request carries its profile as a tag, and a task only where there is one."""
    key = new_key(admin)
    with proxy.client(key) as client:
        chat(client, "auto").raise_for_status()

    def tags() -> list[tuple[Any, ...]]:
        query = 'SELECT request_tags FROM "LiteLLM_SpendLogs" WHERE api_key = %s'
        return database.execute(query, [hashlib.sha256(key.encode()).hexdigest()]).fetchall()

    wait_until(tags, seconds=TOLD_SECONDS, what="the spend log")
    [(found,)] = tags()
    assert "profile:premium" in found
    assert not [tag for tag in found if tag.startswith("task:None")]
