"""What LiteLLM's own pages store of our names, where its database may hold the map of aliases."""

from __future__ import annotations

import json

import psycopg

from tests.database.asking import MARKS
from tests.support.proxy import Proxy
from tests.support.servers import wait_until

pytestmark = MARKS


def test_what_the_settings_page_saves_holds_none_of_our_names(lone: Proxy, lone_url: str) -> None:
    """LiteLLM's page sends back all it was shown; the database then has the operator's aliases, not ours."""
    with lone.client() as admin:
        shown = admin.get("/get/config/callbacks").raise_for_status().json()["router_settings"]
        saved = {"model_group_alias": {**shown["model_group_alias"], "mine": "chat_premium"}}
        admin.post("/config/update", json={"router_settings": saved}).raise_for_status()

        def also_shown() -> dict[str, str]:
            values = admin.get("/router/settings").raise_for_status().json()["current_values"]
            return dict(values["model_group_alias"])

        wait_until(lambda: "mine" in also_shown(), seconds=30, what="the operator's alias on the other page")
        assert "classification" not in also_shown()

    with psycopg.connect(lone_url) as database:
        query = "SELECT param_value FROM \"LiteLLM_Config\" WHERE param_name = 'router_settings'"
        stored = json.dumps(database.execute(query).fetchall())
    assert "mine" in stored
    assert "@profile/" not in stored
    assert "auto:complex" not in stored
