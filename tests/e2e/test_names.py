"""What LiteLLM's listings tell of our names is true: for this caller, and in the revision that is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.e2e.asking import chat
from tests.support.place import FIRST_PROFILE, WINDOWS
from tests.support.proxy import Proxy

pytestmark = pytest.mark.e2e

SMALL = "cost_effective"
"""A profile whose `chat` has a smaller window."""


@pytest.fixture
def client(admin: httpx.Client, proxy: Proxy, keys: Mapping[str, str]) -> Iterator[httpx.Client]:
    """A client with an ordinary key, on a proxy that serves the first profile."""
    with proxy.client(keys["ordinary"]) as found:
        yield found


def switch(admin: httpx.Client, profile: str) -> int:
    body = {"profile": profile, "conversations": "move"}
    revision: int = admin.post("/admin/profiles/switch", json=body).raise_for_status().json()["revision"]
    return revision


def row(client: httpx.Client, path: str, name: str) -> dict[str, Any]:
    """Return what a listing tells of a name."""
    rows = client.get(path).raise_for_status().json()["data"]
    return next(
        each for each in rows if name in (each.get("id"), each.get("model_name"), each.get("model_group"))
    )


def windows(client: httpx.Client, name: str) -> set[int | None]:
    """Return every window that any listing tells of a name."""
    return {
        row(client, "/v1/models", name)["context_length"],
        row(client, "/v1/models", name)["neuronode"]["context_window"],
        row(client, "/model/info", name)["model_info"]["max_input_tokens"],
        row(client, "/v1/model/info", name)["model_info"]["neuronode"]["context_window"],
        row(client, "/model_group/info", name)["max_input_tokens"],
    }


def test_every_listing_follows_a_switch_at_once(admin: httpx.Client, client: httpx.Client) -> None:
    """The window of `chat`, the profile and the revision; another profile's name keeps its own."""
    assert windows(client, "chat") == {WINDOWS["chat_premium"]}

    revision = switch(admin, SMALL)

    assert windows(client, "chat") == {WINDOWS[f"chat_{SMALL}"]}
    # LiteLLM refuses a row alone to keys without a database, and 1.106 finds no alias there.
    alone = admin.get("/v1/models/chat")
    assert alone.status_code == 404 or alone.json()["max_input_tokens"] == WINDOWS[f"chat_{SMALL}"]
    told = row(client, "/v1/models", "chat")["neuronode"]
    assert (told["profile"], told["revision"], told["groups"]) == (SMALL, revision, [f"chat_{SMALL}"])
    assert row(client, "/model_group/info", "task_chat")["neuronode"]["profile"] == "balanced"


def test_a_rollout_is_told_by_the_least_of_both_arms(admin: httpx.Client, client: httpx.Client) -> None:
    """Whoever sizes a prompt by a listing is answered in either arm."""
    plan = {"profile": SMALL, "steps": [1], "hold": 600, "on_done": "ask"}
    begun = admin.post("/admin/rollouts", json=plan).raise_for_status()
    try:
        assert windows(client, "chat") == {WINDOWS[f"chat_{SMALL}"]}
    finally:
        admin.post(f"{begun.headers['location']}/abort", json={}).raise_for_status()
    assert windows(client, "chat") == {WINDOWS["chat_premium"]}


def test_a_binding_is_told_to_whom_it_binds(
    admin: httpx.Client, client: httpx.Client, proxy: Proxy, keys: Mapping[str, str]
) -> None:
    """Others are told what the active profile says."""
    path = "/admin/bindings/team/research"
    admin.put(path, json={"profile": SMALL}).raise_for_status()
    try:
        with proxy.client(keys["researcher"]) as bound:
            assert windows(bound, "chat") == {WINDOWS[f"chat_{SMALL}"]}
        assert windows(client, "chat") == {WINDOWS["chat_premium"]}
    finally:
        admin.delete(path).raise_for_status()


def test_auto_is_told_as_far_as_its_caller_may_go(
    client: httpx.Client, proxy: Proxy, keys: Mapping[str, str]
) -> None:
    """The whole ladder, or what the cap leaves of it."""
    ladder = row(client, "/v1/models", "auto")["neuronode"]["groups"]
    with proxy.client(keys["capped"]) as capped:
        below = row(capped, "/v1/models", "auto")["neuronode"]["groups"]

    assert (ladder, below) == (["tier_fast", "tier_medium", "tier_complex"], ["tier_fast"])


def test_what_is_not_ours_is_told_by_litellm(client: httpx.Client) -> None:
    """A group's own row has nothing of ours; Anthropic's form of the list has the windows too."""
    anthropic = client.get("/v1/models", headers={"anthropic-version": "2023-06-01"})
    found = {each["id"]: each for each in anthropic.raise_for_status().json()["data"]}

    assert "neuronode" not in row(client, "/v1/models", "tier_fast")
    assert found["chat"].get("max_input_tokens") in (WINDOWS["chat_premium"], None)


def test_a_client_that_sizes_its_prompts_works_through_a_switch(
    admin: httpx.Client, client: httpx.Client
) -> None:
    """As coding agents do: it reads the window, leaves room for the answer, and sends as much as fits."""

    def turn() -> httpx.Response:
        about = row(client, "/v1/model/info", "chat")["model_info"]
        words = "word " * ((about["max_input_tokens"] - 1_000) // 4)
        return chat(client, "chat", prompt=words)

    before = turn()
    switch(admin, SMALL)
    after = turn()
    stale = chat(client, "chat", prompt="word " * ((WINDOWS[f"chat_{FIRST_PROFILE}"] - 1_000) // 2))

    assert (before.status_code, after.status_code) == (200, 200)
    assert stale.status_code == 400
