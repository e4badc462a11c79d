"""The proof matrix over HTTP: probing, what is shown of it, the gate before a switch, who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from admin_api.router import PREFIX
from neuronode_router.proof.probes import ProbeReason
from neuronode_router.routing.inventory import PLACE
from tests.admin_api.proof_world import Proving
from tests.admin_api.world import BASE, World, running_world
from tests.support.place import GROUPS, PROFILES
from tests.support.waiting import eventually
from tests.support.web import serving

CELLS = sum(len(tasks) for tasks in GROUPS.values())
LIVE = {"live": "1"}


@pytest.fixture
async def enforcing(tmp_path: Path) -> AsyncIterator[World]:
    """A worker whose gate refuses what is not proven."""
    async with running_world(tmp_path, gate="enforce") as world:
        yield world


def proving(world: World) -> Proving:
    assert world.proving is not None
    return world.proving


async def probe(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.post(f"{PREFIX}/proof/validate", params={**LIVE, **query})
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


async def cells(client: httpx.AsyncClient) -> dict[tuple[str, str], dict[str, Any]]:
    matrix = (await client.get(f"{PREFIX}/proof/matrix")).raise_for_status().json()
    return {(cell["profile"], cell["task"]): cell for cell in matrix["cells"]}


async def test_before_the_first_run_nothing_is_known(admin: httpx.AsyncClient) -> None:
    """Every profile and task has a cell, and nobody claims that it works."""
    matrix = (await admin.get(f"{PREFIX}/proof/matrix")).json()

    assert (len(matrix["cells"]), matrix["gate"], matrix["max_age_seconds"]) == (CELLS, "off", 86_400)
    assert {cell["state"] for cell in matrix["cells"]} == {"unknown"}
    assert sorted(matrix["profiles"]) == sorted(PROFILES)


async def test_a_run_proves_every_cell_once(world: World, admin: httpx.AsyncClient) -> None:
    """Each group is asked once; the answer tells cost and the cells, and the matrix keeps them."""
    document = await probe(admin)

    assert (document["valid"], document["live"]["done"]) == (True, CELLS)
    assert document["live"]["cost_usd"] == pytest.approx(CELLS * 0.001)
    assert len(proving(world).asker.asked) == len(set(proving(world).asker.asked)) == CELLS
    assert proving(world).asker.most_at_once == 4
    assert {cell["state"] for cell in (await cells(admin)).values()} == {"green"}


async def test_a_failing_group_is_red_and_says_why(world: World, admin: httpx.AsyncClient) -> None:
    """Only its cell; the run is then not valid."""
    proving(world).asker.failing["extraction_balanced"] = ProbeReason.TIMEOUT

    document = await probe(admin)

    found = (await cells(admin))["balanced", "extraction"]
    assert (found["state"], found["why"], found["cost_usd"]) == ("red", "timeout", None)
    assert not document["valid"]
    assert sum(cell["state"] == "red" for cell in document["live"]["cells"]) == 1


async def test_a_run_may_be_narrowed(world: World, admin: httpx.AsyncClient) -> None:
    """To profiles, tasks, or both."""
    document = await probe(admin, profile=["premium", "balanced"], task="chat")

    assert sorted(proving(world).asker.asked) == ["chat_balanced", "chat_premium"]
    assert [cell["task"] for cell in document["live"]["cells"]] == ["chat", "chat"]


async def test_a_group_that_no_profile_has_yet_may_be_asked(world: World, admin: httpx.AsyncClient) -> None:
    """As each of the tasks needs it: so an edit to it can be proven before it is made."""
    good = await probe(admin, group="tier_fast", task=["chat", "extraction"])
    proving(world).asker.failing["tier_fast"] = ProbeReason.NOT_FOUND
    bad = await probe(admin, group="tier_fast", task="chat")
    named = await probe(admin, group="chat_balanced", task="chat")

    assert proving(world).asker.asked == [*["tier_fast"] * 3, "chat_balanced"]
    assert (good["valid"], good["live"]["done"], good["live"]["cells"]) == (True, 2, [])
    assert not bad["valid"]
    assert [(cell["profile"], cell["state"]) for cell in named["live"]["cells"]] == [("balanced", "green")]


async def test_what_is_not_loaded_is_not_woken_unless_asked(world: World, admin: httpx.AsyncClient) -> None:
    """And a proof that still holds outlives that nobody asked."""
    proving(world).asker.unloaded = {"chat_premium", "chat_balanced"}
    await probe(admin, profile="premium", task="chat", wake="1")
    proving(world).asker.asked.clear()

    await probe(admin, task="chat", profile=["premium", "balanced"])

    found = await cells(admin)
    assert proving(world).asker.asked == []
    assert found["premium", "chat"]["state"] == "green"
    assert found["balanced", "chat"]["state"] == "not_loaded"


async def test_cost_is_capped(admin: httpx.AsyncClient) -> None:
    """No probe begins once the cap is reached: at most those under way go beyond it."""
    document = await probe(admin, max_cost_usd="0.01", concurrency="2")

    live = document["live"]
    assert (live["stopped"], live["wanted"]) == ("cost", CELLS)
    assert live["cost_usd"] <= 0.01 + 2 * 0.001


async def test_time_is_capped(world: World, admin: httpx.AsyncClient) -> None:
    """Probes under way are given up, and prove nothing."""
    proving(world).asker.open.clear()

    document = await probe(admin, max_seconds="0.05")

    assert (document["live"]["stopped"], document["live"]["done"]) == ("time", 0)
    assert {cell["state"] for cell in (await cells(admin)).values()} == {"unknown"}


async def test_progress_is_told_as_events(admin: httpx.AsyncClient) -> None:
    """One event per probe with how far it is, then the outcome."""
    answer = await admin.post(
        f"{PREFIX}/proof/validate", params={**LIVE, "task": "chat"}, headers={"Accept": "text/event-stream"}
    )

    events = [
        dict(line.split(": ", 1) for line in event.splitlines()) for event in answer.text.split("\n\n")[:-1]
    ]
    found = [json.loads(event["data"]) for event in events if event["event"] == "found"]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [(one["done"], one["wanted"]) for one in found] == [(n, 5) for n in range(1, 6)]
    assert json.loads(events[-1]["data"])["live"]["done"] == 5
    assert events[-1]["event"] == "result"


async def test_who_hangs_up_ends_the_run(world: World) -> None:
    """Probes under way are given up, and no further one begins."""
    asker = proving(world).asker
    asker.open.clear()
    async with serving(world.app) as (url, _), httpx.AsyncClient(base_url=url) as client:
        headers = {"Authorization": f"Bearer {world.keys['admin']}", "Accept": "text/event-stream"}
        async with client.stream("POST", f"{PREFIX}/proof/validate", params=LIVE, headers=headers):
            await eventually(lambda: asker.at_once == 4)
        await eventually(lambda: asker.at_once == 0)
        asked = len(asker.asked)
        asker.open.set()
        again = await client.post(f"{PREFIX}/proof/validate", params=LIVE, headers=headers)

    assert asked == 4
    assert "event: result" in again.text


async def test_a_second_run_is_refused_while_one_asks(world: World, admin: httpx.AsyncClient) -> None:
    """Each costs real requests: whoever comes later is told so, as an answer or as an event, and may ask one group."""
    asker = proving(world).asker
    asker.open.clear()
    first = asyncio.create_task(probe(admin))
    await eventually(lambda: asker.at_once == 4)
    single = asyncio.create_task(probe(admin, profile="premium", task="chat"))
    await eventually(lambda: asker.at_once == 5)

    second = await admin.post(f"{PREFIX}/proof/validate", params=LIVE)
    streamed = await admin.post(
        f"{PREFIX}/proof/validate", params=LIVE, headers={"Accept": "text/event-stream"}
    )

    assert (second.status_code, second.json()["code"], asker.at_once) == (409, "probes_running", 5)
    assert streamed.text.startswith("event: problem")
    assert '"probes_running"' in streamed.text
    asker.open.set()
    assert ((await first)["live"]["done"], (await single)["live"]["done"]) == (CELLS, 1)
    assert (await probe(admin))["live"]["done"] == CELLS


async def test_the_matrix_may_be_narrowed_to_profiles(admin: httpx.AsyncClient) -> None:
    """Whoever wants one profile does not fetch the others; a name that no profile has is refused."""
    one = (await admin.get(f"{PREFIX}/proof/matrix", params={"profile": "balanced"})).json()
    unknown = await admin.get(f"{PREFIX}/proof/matrix", params={"profile": "gold"})

    assert (one["profiles"], len(one["cells"])) == (["balanced"], len(GROUPS["balanced"]))
    assert {cell["profile"] for cell in one["cells"]} == {"balanced"}
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_profile")


async def test_a_store_that_goes_ends_the_events_with_a_problem(
    world: World, admin: httpx.AsyncClient
) -> None:
    """Not with half an answer."""
    proving(world).asker.open.clear()
    asking = asyncio.create_task(
        admin.post(f"{PREFIX}/proof/validate", params=LIVE, headers={"Accept": "text/event-stream"})
    )
    while not proving(world).asker.asked:
        await asyncio.sleep(0)
    with world.store.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE neuronode_proof_turn")
    proving(world).asker.open.set()

    events = (await asking).text.split("\n\n")

    assert events[-2].startswith("event: problem")
    assert json.loads(events[-2].partition("data: ")[2])["code"] == "store_unavailable"


async def test_old_evidence_proves_nothing(world: World, admin: httpx.AsyncClient) -> None:
    """After the age set, a cell says so and still shows what was found."""
    await probe(admin, task="chat")
    proving(world).clock.now += 86_401

    found = (await cells(admin))["premium", "chat"]

    assert (found["state"], found["why"], found["age_seconds"]) == ("too_old", "answered", 86_401)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"profile": "gold"}, 404, "unknown_profile"),
        ({"task": "juggling"}, 404, "unknown_task"),
        ({"group": "nobody"}, 422, "invalid_request"),
        ({"concurrency": "17"}, 422, "invalid_request"),
        ({"max_cost_usd": "-1"}, 422, "invalid_request"),
        ({"dry_run": "1"}, 422, "invalid_request"),
    ],
)
async def test_wrong_queries_are_refused(
    world: World, admin: httpx.AsyncClient, query: dict[str, str], status: int, code: str
) -> None:
    """Before anybody is asked."""
    answer = await admin.post(f"{PREFIX}/proof/validate", params={**LIVE, **query})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert proving(world).asker.asked == []


async def test_a_submitted_profile_cannot_be_probed(admin: httpx.AsyncClient) -> None:
    """Its groups may be anything: only what is committed is asked."""
    answer = await admin.post(f"{PREFIX}/proof/validate", params=LIVE, json={"name": "night", "profile": {}})

    assert (answer.status_code, answer.json()["problems"][0]["code"]) == (422, "live_with_body")


async def test_only_administrators_spend_and_members_see_nothing(world: World) -> None:
    """A viewer reads the matrix, a member does not."""
    async with world.client("viewer") as viewer, world.client("member") as member:
        statuses = [
            (await viewer.post(f"{PREFIX}/proof/validate", params=LIVE)).status_code,
            (await viewer.get(f"{PREFIX}/proof/matrix")).status_code,
            (await member.post(f"{PREFIX}/proof/validate", params=LIVE)).status_code,
            (await member.get(f"{PREFIX}/proof/matrix")).status_code,
        ]

    assert statuses == [403, 200, 403, 403]


class TestGate:
    async def test_an_unproven_profile_is_refused_naming_its_cells(self, enforcing: World) -> None:
        """Red and unknown cells, each with its group; nothing changes, dry or not."""
        proving(enforcing).asker.failing["extraction_balanced"] = ProbeReason.UNAVAILABLE
        async with enforcing.client() as admin:
            unknown = await admin.post(f"{BASE}/switch", json={"profile": "balanced"})
            await probe(admin)
            red = await admin.post(f"{BASE}/switch", json={"profile": "balanced", "dry_run": True})
            status = (await admin.get(f"{BASE}/status")).json()

        assert (unknown.status_code, red.status_code, status["revision"]) == (409, 409, 1)
        assert len(unknown.json()["problems"]) == len(GROUPS["balanced"])
        assert red.json()["code"] == "unproven_profile"
        (problem,) = red.json()["problems"]
        assert (problem["code"], problem["path"]) == ("red", "balanced.extraction")
        assert "extraction_balanced" in problem["message"]

    async def test_force_goes_past_it_and_the_audit_log_shows_that(self, enforcing: World) -> None:
        """The reason given stays behind the remark; the receipt names the cells."""
        async with enforcing.client() as admin:
            order = {"profile": "balanced", "force": True, "reason": "outage"}
            receipt = (await admin.post(f"{BASE}/switch", json=order)).raise_for_status().json()
            entry = (await admin.get(f"{PREFIX}/audit")).json()["entries"][0]

        assert receipt["changed"]
        assert len(receipt["warnings"]) == len(GROUPS["balanced"])
        assert entry["reason"] == f"forced past {len(GROUPS['balanced'])} unproven cells; outage"

    async def test_a_proven_profile_passes_and_force_leaves_no_mark(self, enforcing: World) -> None:
        """Where nothing had to be forced, nothing is said."""
        async with enforcing.client() as admin:
            await probe(admin)
            order = {"profile": "balanced", "force": True, "reason": "plain"}
            receipt = (await admin.post(f"{BASE}/switch", json=order)).raise_for_status().json()
            entry = (await admin.get(f"{PREFIX}/audit")).json()["entries"][0]

        assert (receipt["warnings"], entry["reason"], receipt["complete"]) == ([], "plain", True)

    async def test_rollback_and_binding_are_gated_too(self, enforcing: World) -> None:
        """Whatever puts a profile in force; ending a binding and staying where one is do not."""
        async with enforcing.client() as admin:
            await admin.post(f"{BASE}/switch", json={"profile": "balanced", "force": True})
            statuses = [
                (await admin.post(f"{PREFIX}/rollback")).status_code,
                (await admin.put(f"{PREFIX}/bindings/team/a", json={"profile": "premium"})).status_code,
                (await admin.post(f"{BASE}/switch", json={"profile": "balanced"})).status_code,
                (
                    await admin.put(f"{PREFIX}/bindings/team/a", json={"profile": "premium", "force": True})
                ).status_code,
                (await admin.delete(f"{PREFIX}/bindings/team/a")).status_code,
                (await admin.post(f"{PREFIX}/rollback", json={"to": 1, "force": True})).status_code,
            ]

        assert statuses == [409, 409, 200, 200, 200, 200]

    async def test_who_manages_a_team_cannot_force(self, enforcing: World) -> None:
        """That is for administrators of the proxy."""
        async with enforcing.client("manager") as manager:
            answer = await manager.put(
                f"{PREFIX}/bindings/team/a", json={"profile": "premium", "force": True}
            )

        assert answer.status_code == 403

    async def test_what_is_only_not_loaded_is_named_and_passes(self, enforcing: World) -> None:
        """Its first request loads it."""
        proving(enforcing).asker.unloaded = {"chat_balanced"}
        async with enforcing.client() as admin:
            await probe(admin)
            receipt = (
                (await admin.post(f"{BASE}/switch", json={"profile": "balanced"})).raise_for_status().json()
            )

        assert receipt["warnings"] == ["balanced.chat: chat_balanced is not loaded, so nobody asked it."]

    async def test_warn_names_the_cells_and_lets_pass(self, tmp_path: Path) -> None:
        """In the receipt, also of a dry run; nothing in the audit log."""
        async with running_world(tmp_path, gate="warn") as world, world.client() as admin:
            order = {"profile": "balanced"}
            dry = (await admin.post(f"{BASE}/switch", json={**order, "dry_run": True})).json()
            receipt = (await admin.post(f"{BASE}/switch", json=order)).json()
            entry = (await admin.get(f"{PREFIX}/audit")).json()["entries"][0]

        assert len(dry["warnings"]) == len(receipt["warnings"]) == len(GROUPS["balanced"])
        assert (receipt["complete"], entry["reason"]) == (True, "")

    async def test_switched_off_it_asks_nothing(self, admin: httpx.AsyncClient) -> None:
        """The default: a fresh proxy switches without a run."""
        receipt = (await admin.post(f"{BASE}/switch", json={"profile": "balanced"})).json()

        assert receipt["warnings"] == []


async def test_the_matrix_says_what_residency_forbids(world: World, admin: httpx.AsyncClient) -> None:
    """Of a profile whose data must stay: which groups may not be asked at all, and which only partly."""
    task, other = "chat", "summary"
    own, mixed = GROUPS["premium"][task], GROUPS["premium"][other]
    entries = world.routing.model_list
    away = next(entry for entry in entries if entry["model_name"] == mixed)
    second = {**away, "model_info": {**away["model_info"], "id": "second", PLACE: "local"}}
    at_home = {own: "local", mixed: "us"}
    world.routing.model_list = [
        {**entry, "model_info": {**entry["model_info"], PLACE: at_home.get(entry["model_name"])}}
        for entry in entries
    ] + [second]
    await world.routing.look()
    read = await admin.get(f"{BASE}/premium")

    written = await admin.put(
        f"{BASE}/premium",
        json=read.json() | {"residency": ["eu"]},
        headers={"If-Match": read.headers["etag"]},
    )

    written.raise_for_status()

    found = await cells(admin)
    said = {name: found["premium", name]["residency"] for name in (task, other, "strategy")}
    assert said == {task: None, other: "partly", "strategy": "outside"}
    assert found["balanced", task]["residency"] is None
