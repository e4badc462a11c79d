"""Bindings over HTTP: a table of roles, and what each may do with which team."""

from __future__ import annotations

import time
from typing import Any

import pytest

from admin_api.router import PREFIX
from tests.admin_api.world import BASE, World
from tests.support.usage import finished

TEAM_A, TEAM_B, KEY = "bindings/team/a", "bindings/team/b", "bindings/key/app-a"
RULE = {"share": 0.8, "profile": "balanced"}


async def allow_team_a(world: World, profile: str) -> None:
    """Let team a use a profile, as an administrator would."""
    async with world.client() as admin:
        document = (await admin.get(f"{BASE}/{profile}")).json() | {"allowed_teams": ["a"]}
        answer = await admin.put(f"{BASE}/{profile}", json=document, headers={"If-Match": "*"})
        answer.raise_for_status()


@pytest.mark.parametrize(
    ("caller", "allowed"),
    [
        ("admin", {TEAM_A, TEAM_B, KEY}),
        ("manager", {TEAM_A}),
        ("member", set()),
        ("stranger", set()),
        ("viewer", set()),
    ],
)
async def test_who_may_bind_whom(world: World, caller: str, allowed: set[str]) -> None:
    """Administrators anybody, who manages a team that team, nobody else; being in a team is not enough."""
    await allow_team_a(world, "balanced")

    async with world.client(caller) as client:
        put = {
            p: (await client.put(f"{PREFIX}/{p}", json={"profile": "balanced"}))
            for p in (TEAM_A, TEAM_B, KEY)
        }
        deleted = {p: (await client.delete(f"{PREFIX}/{p}")) for p in (TEAM_A, TEAM_B, KEY)}

    assert {path for path, answer in put.items() if answer.status_code == 200} == allowed
    assert {path for path, answer in deleted.items() if answer.status_code == 200} == allowed
    assert {a.status_code for a in [*put.values(), *deleted.values()]} <= {200, 403}


@pytest.mark.parametrize("body", [{"profile": "premium"}, {"profile": "nope"}, {"beyond": RULE}])
async def test_a_manager_stays_within_allowed_teams_and_learns_nothing(
    world: World, body: dict[str, Any]
) -> None:
    """A profile that does not allow the team, or does not exist, gives the same answer; budget rules are for admins."""
    await allow_team_a(world, "balanced")

    async with world.client("manager") as manager:
        answer = await manager.put(f"{PREFIX}/{TEAM_A}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert "nope" not in answer.text


@pytest.mark.parametrize(
    "bound", [{"profile": "premium"}, {"profile": "balanced", "beyond": {**RULE, "profile": "premium"}}]
)
async def test_a_manager_ends_nothing_that_an_administrator_alone_can_bind(
    world: World, bound: dict[str, Any]
) -> None:
    """Neither a profile that does not allow the team nor a budget rule: not by another binding, nor by none."""
    await allow_team_a(world, "balanced")

    async with world.client() as admin, world.client("manager") as manager:
        (await admin.put(f"{PREFIX}/{TEAM_A}", json=bound)).raise_for_status()
        before = (await admin.get(f"{PREFIX}/bindings")).json()
        replaced = await manager.put(f"{PREFIX}/{TEAM_A}", json={"profile": "balanced"})
        ended = await manager.delete(f"{PREFIX}/{TEAM_A}")
        after = (await admin.get(f"{PREFIX}/bindings")).json()

    assert (replaced.status_code, ended.status_code) == (403, 403)
    assert after == before


async def test_what_an_administrator_binds_meanwhile_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is held against the state that is changed, not against one that was read before."""
    await allow_team_a(world, "balanced")
    async with world.client() as admin, world.client("manager") as manager:
        earlier = await world.manager.current()
        (await admin.put(f"{PREFIX}/{TEAM_A}", json={"profile": "premium"})).raise_for_status()

        async def late() -> object:
            return earlier

        monkeypatch.setattr(world.manager, "current", late)
        ended = await manager.delete(f"{PREFIX}/{TEAM_A}")

    assert (ended.status_code, ended.json()["code"]) == (403, "not_allowed")


async def test_a_manager_is_not_told_what_all_teams_use(world: World) -> None:
    """The receipt of a binding has no tokens that caches answered, where that of a switch would have some."""
    await allow_team_a(world, "balanced")
    assert world.usage is not None
    kept = {"chosen_group": "chat_balanced", "served_group": "chat_balanced"}
    world.buffer.count(finished(at=time.time(), prompt_tokens=100, cached_tokens=60, **kept))
    await world.usage.writer.flush()

    async with world.client("manager") as manager, world.client() as admin:
        bound = (await manager.put(f"{PREFIX}/{TEAM_A}", json={"profile": "balanced"})).raise_for_status()
        moved = (
            await admin.post(f"{BASE}/switch", json={"profile": "premium", "conversations": "move"})
        ).raise_for_status()

    assert bound.json()["caches"] is None
    assert moved.json()["caches"]["cached_tokens"] == 60


async def test_a_binding_is_a_revision_with_receipt_audit_and_rollback(world: World) -> None:
    """It is committed like a switch, acknowledged by the workers, told in the audit log, and undone by a rollback."""
    async with world.client() as admin:
        bound = (
            await admin.put(f"{PREFIX}/{TEAM_A}", json={"profile": "balanced", "reason": "pilot"})
        ).json()
        row = (await admin.get(f"{PREFIX}/audit", params={"limit": 1})).json()["entries"][0]
        seen = (await admin.get(f"{PREFIX}/bindings")).json()
        await admin.post(f"{PREFIX}/rollback", json={})
        after = (await admin.get(f"{PREFIX}/bindings")).json()

    change = [{"task": "team:a", "before": None, "after": "balanced"}]
    assert (bound["action"], bound["revision"], bound["complete"]) == ("bind", 2, True)
    assert bound["changes"] == row["changes"] == change
    assert (row["reason"], row["action"]) == ("pilot", "bind")
    assert seen["bindings"] == [{"subject": "team:a", "profile": "balanced", "beyond": None}]
    assert (after["revision"], after["bindings"]) == (3, [])


async def test_the_same_binding_again_changes_nothing(world: World) -> None:
    """No revision is made for nothing, also when what does not exist is ended."""
    async with world.client() as admin:
        await admin.put(f"{PREFIX}/{TEAM_A}", json={"profile": "premium", "beyond": RULE})
        again = (await admin.put(f"{PREFIX}/{TEAM_A}", json={"profile": "premium", "beyond": RULE})).json()
        ended = (await admin.delete(f"{PREFIX}/{TEAM_B}")).json()

    assert (again["changed"], ended["changed"]) == (False, False)


async def test_a_member_sees_its_own_bindings_only(world: World) -> None:
    """Other teams' bindings tell which teams there are; who has no team is in none of that name."""
    async with world.client() as admin:
        for path in (TEAM_A, TEAM_B, "bindings/team/None", "bindings/key/member"):
            await admin.put(f"{PREFIX}/{path}", json={"profile": "balanced"})

    seen = {}
    for caller in ("admin", "viewer", "member", "manager", "stranger"):
        async with world.client(caller) as client:
            entries = (await client.get(f"{PREFIX}/bindings")).json()["bindings"]
            seen[caller] = {entry["subject"] for entry in entries}

    everything = {"team:a", "team:b", "team:None", "key:member"}
    assert seen == {
        "admin": everything,
        "viewer": everything,
        "member": {"team:a", "key:member"},
        "manager": {"team:a", "team:b"},
        "stranger": set(),
    }


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (TEAM_A, {}, "empty_binding"),
        (TEAM_A, {"profile": "balanced", "beyond": {**RULE, "share": 1.5}}, "body_invalid"),
        (TEAM_A, {"profile": "balanced", "unknown": 1}, "body_invalid"),
        (KEY, {"beyond": {**RULE, "monthly_usd": 5}}, "key_budget"),
        (TEAM_A, {"profile": "balanced", "beyond": RULE}, "idle_rule"),
        (KEY, {"profile": "balanced", "beyond": RULE}, "idle_rule"),
        ("bindings/team/a%20b", {"profile": "balanced"}, "bad_subject"),
        ("bindings/user/a", {"profile": "balanced"}, "path_invalid"),
    ],
)
async def test_what_cannot_be_bound_is_refused_with_its_place(
    world: World, path: str, body: dict[str, Any], code: str
) -> None:
    """422 with the field and the fix, and no revision."""
    async with world.client() as admin:
        answer = await admin.put(f"{PREFIX}/{path}", json=body)
        status = (await admin.get(f"{BASE}/status")).json()

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"], answer.text
    assert status["revision"] == 1


@pytest.mark.parametrize(("name", "known"), [("member", True), ("nobody", False)])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_key_that_nobody_knows_is_warned_of(
    world: World, name: str, *, known: bool, dry_run: bool
) -> None:
    """It may come later, so it is bound; a slip of the finger is seen in the receipt, and before."""
    async with world.client() as admin:
        body = {"profile": "balanced", "dry_run": dry_run}
        receipt = (await admin.put(f"{PREFIX}/bindings/key/{name}", json=body)).json()

    assert receipt["changed"]
    assert any("Nobody knows a key" in warning for warning in receipt["warnings"]) is not known


async def test_an_unknown_profile_is_404_and_a_stale_if_match_412(world: World) -> None:
    """The same preconditions as every write."""
    async with world.client() as admin:
        unknown = await admin.put(f"{PREFIX}/{TEAM_A}", json={"profile": "nope"})
        stale = await admin.put(
            f"{PREFIX}/{TEAM_A}", json={"profile": "balanced"}, headers={"If-Match": '"7"'}
        )

    assert (unknown.status_code, stale.status_code) == (404, 412)
