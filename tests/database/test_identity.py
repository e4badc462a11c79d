"""Who a caller is, and what it may reach: by LiteLLM's own ids, never by a name that its owner chose."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.database.asking import ADMIN, MARKS, bind, new_key, new_team
from tests.e2e.asking import answered_by, chat, decision
from tests.support.proxy import Proxy

pytestmark = MARKS


def test_a_binding_follows_the_key_and_no_name(proxy: Proxy, admin: httpx.Client) -> None:
    """Who calls himself what another's key is called is not bound to its profile."""
    made = admin.post("/key/generate", json={"key_alias": "trader"}).raise_for_status().json()
    bind(admin, f"key/{made['token']}", profile="balanced")
    impostors = [new_key(admin, user_id="trader"), new_key(admin, user_id=made["token"])]

    with proxy.client(made["key"]) as client:
        assert decision(chat(client, "classification"))["profile"] == "balanced"
    for key in impostors:
        with proxy.client(key) as client:
            assert decision(chat(client, "classification"))["profile"] == "premium"
    admin.delete(f"/admin/bindings/key/{made['token']}").raise_for_status()


def test_a_binding_leads_to_no_group_that_the_key_is_kept_from(proxy: Proxy, admin: httpx.Client) -> None:
    """A key that names groups is served by those alone, whichever profile its team is bound to."""
    team = new_team(admin)
    bind(admin, f"team/{team}", profile="balanced")
    kept_out = new_key(admin, team_id=team, models=["classification_premium"])
    let_in = new_key(admin, team_id=team, models=["classification_premium", "classification_balanced"])

    with proxy.client(kept_out) as client:
        refused = chat(client, "classification")
    with proxy.client(let_in) as client:
        allowed = chat(client, "classification")

    admin.delete(f"/admin/bindings/team/{team}").raise_for_status()
    assert refused.status_code == 403
    assert answered_by(allowed) == "classification_balanced"


@pytest.mark.parametrize("held", ["key", "team"])
@pytest.mark.parametrize("wire", ["chat/completions", "messages"])
def test_a_key_that_names_only_its_bound_profiles_group_is_let_in(
    proxy: Proxy, admin: httpx.Client, held: str, wire: str
) -> None:
    """A key or a team whose list has nothing but the group that its binding leads to is answered by it."""
    models = ["classification_balanced"]
    team = new_team(admin, **({"models": models} if held == "team" else {}))
    bind(admin, f"team/{team}", profile="balanced")
    key = new_key(admin, team_id=team, **({"models": models} if held == "key" else {}))

    with proxy.client(key) as client:
        body = {
            "model": "classification",
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "Hallo"}],
        }
        answer = client.post(f"/v1/{wire}", json=body)
        elsewhere = client.post(f"/v1/{wire}", json=body | {"model": "extraction"})

    admin.delete(f"/admin/bindings/team/{team}").raise_for_status()
    assert answer.raise_for_status()
    assert decision(answer)["group"] == "classification_balanced"
    assert decision(answer)["task"] == "classification"
    assert elsewhere.status_code in {401, 403}


def test_a_wish_that_leads_to_the_only_group_of_a_key_is_granted(proxy: Proxy, admin: httpx.Client) -> None:
    """Who may choose the profile is judged by the group that it leads to, not by that of the active one."""
    made = admin.post("/user/new", json={"user_role": "proxy_admin"}).raise_for_status().json()
    key = new_key(admin, models=["classification_balanced"], user_id=made["user_id"])

    with proxy.client(key) as client:
        wished = chat(client, "classification", headers={"x-neuronode-profile": "balanced"})
        plain = chat(client, "classification")

    assert wished.status_code == 200, wished.text
    assert answered_by(wished) == "classification_balanced"
    assert plain.status_code in {401, 403}


def test_a_profile_by_header_leads_to_no_group_that_the_key_is_kept_from(
    proxy: Proxy, admin: httpx.Client
) -> None:
    """An administrator's key that names groups may choose the profile, and is refused where its group is another."""
    made = admin.post("/user/new", json={"user_role": "proxy_admin"}).raise_for_status().json()
    key = new_key(admin, models=["classification_premium"], user_id=made["user_id"])

    with proxy.client(key) as client:
        assert answered_by(chat(client, "classification")) == "classification_premium"
        refused = chat(client, "classification", headers={"x-neuronode-profile": "balanced"})

    assert refused.status_code == 403


def test_a_blocked_key_is_known_and_refused(proxy: Proxy, admin: httpx.Client) -> None:
    """The admin API answers 403 to a key that LiteLLM has blocked, and 401 to one that nobody knows."""
    key = new_key(admin)
    admin.post("/key/block", json={"key": key}).raise_for_status()

    with proxy.client(key) as blocked, proxy.client("sk-never-made") as unknown:
        assert blocked.get(f"{ADMIN}/status").status_code == 403
        assert unknown.get(f"{ADMIN}/status").status_code == 401


ELSEWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "path": ("/openai/deployments/tier_complex/chat/completions", {}),
    "engine": ("/engines/tier_complex/chat/completions", {}),
    "query": ("/v1/chat/completions?model=tier_complex", {}),
    "tool": ("/v1/chat/completions", {"tools": [{"type": "advisor", "model": "tier_complex"}]}),
}
"""Where a name stands that LiteLLM does not judge at its door."""


@pytest.fixture(scope="module")
def listed(proxy: Proxy) -> dict[str, str]:
    """Keys without a list: of a team's member and of a user who have one."""
    with proxy.client() as admin:
        users = [
            admin.post("/user/new", json={"auto_create_key": False, **own}).raise_for_status().json()
            for own in ({}, {"models": ["tier_fast"]})
        ]
        member, user = (made["user_id"] for made in users)
        team = new_team(admin)
        added = {
            "team_id": team,
            "member": {"user_id": member, "role": "user"},
            "allowed_models": ["tier_fast"],
        }
        admin.post("/team/member_add", json=added).raise_for_status()
        return {"member": new_key(admin, user_id=member, team_id=team), "user": new_key(admin, user_id=user)}


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("held", ["member", "user"])
def test_a_list_of_a_member_or_a_user_holds_wherever_a_name_stands(
    proxy: Proxy, admin: httpx.Client, listed: dict[str, str], held: str, place: str
) -> None:
    """As the list of a key does: LiteLLM judges the name in the body, which is another one."""
    path, more = ELSEWHERE[place]
    body = {"model": "tier_fast", "messages": [{"role": "user", "content": "Hallo"}]}

    with proxy.client(listed[held]) as client:
        allowed = client.post("/v1/chat/completions", json=body)
        refused = client.post(path, json=body | more)

    assert answered_by(allowed) == "tier_fast"
    assert refused.status_code == 403, refused.text
