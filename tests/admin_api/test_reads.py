"""What is shown, and to whom."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from admin_api.router import PREFIX
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import AdminClosed, NotReady, Problem
from tests.admin_api.world import World, running_world
from tests.support.place import GROUPS, PROFILES, profile_text

BASE = "/admin/profiles"


async def reserve_for_team(world: World, name: str, team: str) -> None:
    """Keep a profile for one team, by an edit of its file."""
    path = world.profiles / f"{name}.yaml"
    path.write_text(profile_text(name) + f"allowed_teams: [{team}]\n")
    async with world.client() as client:
        assert (await client.post(f"{PREFIX}/reload")).status_code == 200


async def test_the_list_names_every_profile_and_the_active_one(admin: httpx.AsyncClient) -> None:
    """An administrator sees all profiles, the active one and the revision as ETag."""
    answer = await admin.get(f"{BASE}/list")

    body = answer.json()
    assert answer.headers["etag"] == '"1"'
    assert (body["active_profile"], body["revision"]) == ("premium", 1)
    assert [profile["name"] for profile in body["profiles"]] == sorted(PROFILES)


async def test_the_status_has_the_plans_fields_and_the_workers(
    world: World, admin: httpx.AsyncClient
) -> None:
    """The status tells what is in force, in every worker, and what the host adds."""
    problem = Problem("unknown_group", "No such group.", "Add it.", file="premium.yaml", line=3)
    world.reported = {
        "problems": [problem],
        "warnings": ["read-only"],
        "embedded_groups": ["b", "a"],
        "litellm_version": "1.106.2",
    }

    body = (await admin.get(f"{BASE}/status")).json()

    assert body["active_profile"] == "premium"
    assert body["active_mappings"] == dict(GROUPS["premium"])
    assert body["profile_metadata"]["cost_level"] == "medium"
    assert (body["revision"], body["served_revision"], body["ready"], body["converged"]) == (1, 1, True, True)
    assert (body["decided_by"], body["why"]) == ("nothing", "premium: what was put in force last")
    assert [worker["instance"] for worker in body["workers"]] == ["worker-1"]
    assert body["problems"][0]["line"] == 3
    assert body["warnings"] == ["read-only"]
    assert body["embedded_groups"] == ["a", "b"]
    assert body["host"] == {"litellm_version": "1.106.2"}


async def test_a_member_sees_what_is_in_force_and_nothing_of_the_inside(world: World) -> None:
    """The status of a team key has the active profile, and neither workers, problems nor the host's facts."""
    world.reported = {"litellm_version": "1.106.2"}
    async with world.client("member") as client:
        body = (await client.get(f"{BASE}/status")).json()

    assert body["active_profile"] == "premium"
    assert [body[key] for key in ("converged", "workers", "problems", "warnings", "host")] == [None] * 5


async def test_a_team_sees_its_own_profile_and_no_other_teams(world: World) -> None:
    """T3: team a's key reads a's profile; for b's it gets 403 without data, as for a name nobody has."""
    await reserve_for_team(world, "specialized", "a")
    await reserve_for_team(world, "ultra_fast", "b")

    async with world.client("member") as client:
        listed = [profile["name"] for profile in (await client.get(f"{BASE}/list")).json()["profiles"]]
        own = await client.get(f"{BASE}/specialized")
        others = await client.get(f"{BASE}/ultra_fast")
        nobodys = await client.get(f"{BASE}/no_such_profile")
        difference = await client.get(f"{PREFIX}/diff", params={"from": "specialized", "to": "ultra_fast"})

    assert listed == ["balanced", "cost_effective", "premium", "specialized"]
    assert own.status_code == 200
    assert (others.status_code, difference.status_code) == (403, 403)
    assert others.json() == nobodys.json() == difference.json()
    assert "ultra_fast" not in others.text


async def test_one_profile_is_read_by_its_name(admin: httpx.AsyncClient) -> None:
    """A profile comes with all its mappings; an unknown one gives 404 and the names there are."""
    found = await admin.get(f"{BASE}/balanced")
    missing = await admin.get(f"{BASE}/balancd")

    assert found.json()["tasks"] == dict(GROUPS["balanced"])
    assert missing.status_code == 404
    assert missing.json()["code"] == "unknown_profile"
    assert "balanced" in missing.json()["fix"]


async def test_the_difference_of_two_profiles(admin: httpx.AsyncClient) -> None:
    """The difference names each task whose group changes, from and to."""
    body = (await admin.get(f"{PREFIX}/diff", params={"from": "premium", "to": "balanced"})).json()

    assert (body["from"], body["to"]) == ("premium", "balanced")
    change = next(change for change in body["changes"] if change["task"] == "chat")
    assert change == {"task": "chat", "before": "chat_premium", "after": "chat_balanced"}


async def test_workers_are_listed(admin: httpx.AsyncClient) -> None:
    """Each worker says which revision it serves."""
    body = (await admin.get(f"{PREFIX}/workers")).json()

    assert (body["revision"], body["converged"]) == (1, True)
    assert body["workers"][0]["revision"] == 1


async def test_the_second_prefix_serves_the_same(world: World, admin: httpx.AsyncClient) -> None:
    """Where LiteLLM mounts /admin itself, the routes are reached under /neuronode/profiles."""
    assert (await admin.get("/neuronode/profiles/list")).json() == (await admin.get(f"{BASE}/list")).json()
    assert not any(path.startswith("/neuronode") for path in world.app.openapi()["paths"])


@pytest.mark.parametrize(
    ("closed", "code"),
    [(NotReady("Starting."), "not_ready"), (AdminClosed("No master key."), "admin_closed")],
)
async def test_while_the_host_is_not_ready_everything_is_503(
    world: World, closed: Exception, code: str
) -> None:
    """T26: without a master key, or before the start is complete, every route says so, whoever asks."""
    world.closed = closed

    async with world.client(None) as client:
        answers = [
            await client.get(f"{BASE}/status"),
            await client.post(f"{BASE}/switch", json={"profile": "x"}),
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, code)] * 2


async def test_who_comes_during_the_start_waits_for_the_first_revision(tmp_path: Path) -> None:
    """A write in the first moments of an empty store finds the profiles there; who is unknown is not kept waiting."""
    async with running_world(tmp_path, committed=False) as world, world.client() as client:
        world.starting = asyncio.Event()
        early = asyncio.ensure_future(client.post(f"{BASE}/switch", json={"profile": "balanced"}))
        async with world.client(None) as nobody:
            refused = await nobody.get(f"{BASE}/status")
        await world.manager.reload(actor=Actor("files", kind="watcher"), wait="none")
        assert not early.done()
        world.starting.set()
        answer = await early

    assert refused.status_code == 401
    assert (answer.status_code, answer.json()["profile"]) == (200, "balanced"), answer.text


async def test_an_empty_store_has_a_status_that_tells_what_is_wrong(tmp_path: Path) -> None:
    """Before the first valid set, the status lists the problems and the profiles answer 503."""
    async with running_world(tmp_path, committed=False) as world, world.client() as client:
        world.reported = {"problems": [Problem("unknown_group", "No such group.", "Add it.")]}

        status = (await client.get(f"{BASE}/status")).json()
        refused = [
            await client.get(f"{BASE}/list"),
            await client.post(f"{BASE}/switch", json={"profile": "premium"}),
        ]

    assert (status["ready"], status["active_profile"], status["revision"]) == (False, None, 0)
    assert status["problems"][0]["code"] == "unknown_group"
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "not_ready")] * 2


async def test_an_unexpected_failure_shows_no_internals(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw is a 500 problem without its text; the log has it."""
    world.reported = {"embedded_groups": 7}

    async with world.client() as client:
        answer = await client.get(f"{BASE}/status")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "int" not in answer.json()["detail"].split()
    assert "TypeError" in caplog.text
