"""The routes under /admin/router: how deployments stand, what is known of them, and the dry run."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from admin_api.router import PREFIX, SECOND_PREFIX
from neuronode_router.access import Principal, Role
from neuronode_router.auto.preview import preview
from neuronode_router.domain.names import AUTO, Tier
from neuronode_router.errors import NotAllowed
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.stats.evidence import Attempt
from tests.admin_api.world import CANARY, GROUP_NAMES, World
from tests.support.place import GROUPS

BASE = f"{PREFIX}/router"
SUMMARY = "Fasse den folgenden Vertrag in drei Sätzen zusammen."
UNHEARD_OF = "xq zzv wrrk"


async def classify(world: World, caller: str = "admin", **body: Any) -> httpx.Response:
    async with world.client(caller) as client:
        return await client.post(f"{BASE}/classify", json=body)


def by_id(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {found["id"]: found for found in body["deployments"]}


async def overload(world: World, group: str) -> None:
    """Let a group's deployment be far slower than expected."""
    for _ in range(6):
        world.routing.statistics.recorder.record(f"id-{group}", Attempt(900, tokens=10))
    await world.routing.look()


async def test_the_registry_shows_every_deployment_and_what_is_wrong(
    world: World, admin: httpx.AsyncClient
) -> None:
    """Facts of every deployment, and each wrong note with its path; no address, no key."""
    world.routing.model_list[0]["model_info"]["neuronode"] = {"speed": CANARY}
    world.routing.model_list = [dict(entry) for entry in world.routing.model_list]
    await world.routing.look()

    answer = await admin.get(f"{BASE}/registry")

    body = answer.json()
    assert {found["group"] for found in body["deployments"]} == GROUP_NAMES
    fast = by_id(body)["id-tier_fast"]
    assert (fast["tier"], fast["expected_ms"], fast["context_window"]) == ("fast", 200, 8192)
    assert (fast["available"], fast["loaded"], fast["modalities"]) == (True, None, ["text"])
    assert [problem["path"].partition(".")[2] for problem in body["problems"]] == ["neuronode.speed"]
    assert [word for word in (CANARY, "gpu.internal", "11434") if word in answer.text] == []


async def test_the_statistics_tell_how_a_deployment_stands_and_why(
    world: World, admin: httpx.AsyncClient
) -> None:
    """State, reason, value, limit and time; percentiles, speed, errors and depth."""
    recorder = world.routing.statistics.recorder
    for _ in range(6):
        recorder.record("id-tier_fast", Attempt(900, tokens=100, first_token_ms=800))
    recorder.record("id-tier_fast", Attempt(5, status=503))
    recorder.begin("running", "id-tier_fast")
    await world.routing.look()

    body = (await admin.get(f"{BASE}/stats")).json()

    fast, medium = by_id(body)["id-tier_fast"], by_id(body)["id-tier_medium"]
    assert (body["routing"], body["statistics"], body["window_seconds"]) == ("on", "memory", 300)
    assert (fast["health"], fast["why"], fast["unit"], fast["limit"]) == ("slow", "latency", "ms", 400)
    assert fast["value"] == pytest.approx(816, rel=0.05)
    assert fast["since"] > 1e9
    assert fast["window"]["total"]["p95_ms"] == pytest.approx(900, rel=0.05)
    assert fast["recent"]["first_token"]["p50_ms"] == pytest.approx(800, rel=0.05)
    assert fast["window"]["tokens_per_second"] == pytest.approx(1000)
    assert (fast["window"]["answers"], fast["window"]["errors"], fast["in_flight"]) == (6, 1, 1)
    assert fast["window"]["error_rate"] == pytest.approx(1 / 7)
    assert (medium["health"], medium["window"], medium["unit"], medium["since"]) == ("ok", None, None, None)


async def test_a_prompt_is_classified_and_decided_about(world: World) -> None:
    """Task, tier, confidence and cues, and the group and ladder that it would get now."""
    body = (await classify(world, text=SUMMARY)).json()

    said, decision = body["classification"], body["decision"]
    assert (said["task"], said["tier"], said["confident"], said["calibrated"]) == (
        "summary",
        "medium",
        True,
        True,
    )
    assert any(cue.startswith("summary: ") for cue in said["evidence"])
    assert (decision["reason"], decision["steps"]) == ("active_profile", ["classified"])
    assert (decision["group"], decision["tier"], decision["wanted"]) == ("tier_medium", "medium", "medium")
    assert decision["ladder"] == ["tier_fast", "tier_complex"]
    assert (decision["profile"], decision["revision"], decision["task"]) == ("premium", 1, "summary")
    assert (decision["left_out"], body["deployments"]) == ([], None)


async def test_a_conversation_is_classified_like_its_request(world: World) -> None:
    """However the turn is spelt; a system prompt without a task leaves task and tier as they are."""
    turn = {"role": "user", "content": [{"type": "text", "text": SUMMARY}]}
    system = {"role": "system", "content": "You are a helpful assistant."}

    text, alone, led = [
        (await classify(world, **asked)).json()["classification"]
        for asked in ({"text": SUMMARY}, {"messages": [turn]}, {"messages": [system, turn]})
    ]

    assert alone == text
    assert (led["task"], led["tier"]) == (text["task"], text["tier"])


async def test_overload_moves_the_decision_and_is_explained(world: World) -> None:
    """What is slow stands behind, and `explain` tells in numbers why."""
    await overload(world, "tier_medium")

    body = (await classify(world, text=SUMMARY, explain=True)).json()

    assert body["decision"]["steps"] == ["classified", "overloaded"]
    assert (body["decision"]["wanted"], body["decision"]["tier"]) == ("medium", "fast")
    assert body["decision"]["ladder"] == ["tier_complex", "tier_medium"]
    assert [found["id"] for found in body["deployments"]] == [
        "id-tier_fast",
        "id-tier_complex",
        "id-tier_medium",
    ]
    assert (body["deployments"][2]["health"], body["deployments"][2]["limit"]) == ("slow", 400)


async def test_what_cannot_hold_the_request_is_left_out(world: World) -> None:
    """A group whose window is too small is named with the reason."""
    world.routing.model_list = [
        entry
        if entry["model_name"] != "tier_medium"
        else {**entry, "model_info": {"id": "id-tier_medium", "neuronode": {"context_window": 100}}}
        for entry in world.routing.model_list
    ]
    await world.routing.look()

    decision = (await classify(world, text=SUMMARY + " Wort" * 2000)).json()["decision"]

    assert decision["left_out"] == [{"group": "tier_medium", "why": "context_window"}]
    assert decision["group"] != "tier_medium"


async def test_no_evidence_goes_to_the_uncertain_tier(world: World) -> None:
    """A text that says nothing is not taken for an easy one."""
    body = (await classify(world, text=UNHEARD_OF)).json()

    assert not body["classification"]["confident"]
    assert body["decision"]["steps"] == ["uncertain"]
    assert body["decision"]["tier"] == "medium"


async def test_tasks_and_forced_tiers_are_decided_as_a_client_would_get_them(world: World) -> None:
    """An alias leads to its group under the profile asked for; `auto:complex` forces the tier."""
    alias = (await classify(world, text="x", task="chat", profile="balanced")).json()["decision"]
    forced = (await classify(world, text="x", task="auto:complex")).json()["decision"]

    assert (alias["group"], alias["profile"], alias["tier"]) == (
        GROUPS["balanced"]["chat"],
        "balanced",
        None,
    )
    assert (alias["ladder"], alias["steps"]) == ([], [])
    assert (forced["group"], forced["steps"]) == ("tier_complex", ["forced_tier"])


async def test_members_ask_under_their_own_rights(world: World) -> None:
    """A profile that a member may not choose is 403 whether or not it exists; statuses are not for him."""
    own = await classify(world, "member", text=SUMMARY, explain=True)
    others = await classify(world, "member", text=SUMMARY, profile="balanced")
    nobodys = await classify(world, "member", text=SUMMARY, profile="no_such")
    viewer = await classify(world, "viewer", text=SUMMARY, profile="balanced", explain=True)

    assert (own.status_code, own.json()["deployments"]) == (200, None)
    assert (others.status_code, nobodys.status_code) == (403, 403)
    assert others.json() == nobodys.json()
    assert (viewer.status_code, viewer.json()["decision"]["profile"]) == (200, "balanced")
    assert viewer.json()["deployments"]


def test_a_members_cap_counts_in_the_dry_run(world: World) -> None:
    """T20: what `auto` would do for this caller, not for an administrator."""
    assert world.applier.state is not None
    snapshot = build_snapshot(world.applier.state, world.manager_facts())
    capped = Principal("somebody", Role.MEMBER, max_tier=Tier.FAST)
    body = {"messages": [{"role": "user", "content": SUMMARY}]}

    decision = preview(world.routing.auto, snapshot, capped, body=body, name=AUTO)

    assert (decision.group, decision.ladder, "capped" in decision.steps) == ("tier_fast", (), True)
    with pytest.raises(NotAllowed):
        preview(world.routing.auto, snapshot, capped, body=body, name=AUTO, profile="balanced")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"text": "a", "messages": [{"role": "user", "content": "b"}]}, 422, "invalid_request"),
        ({"messages": []}, 422, "invalid_request"),
        ({"text": "a", "model": "auto"}, 422, "invalid_request"),
        ({"text": "a", "task": "no_such"}, 404, "unknown_task"),
        ({"text": "a", "task": "premium/chat"}, 404, "unknown_task"),
        ({"text": "a", "profile": "no_such"}, 404, "unknown_profile"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    world: World, body: dict[str, Any], status: int, code: str
) -> None:
    """Each refusal is a problem with its own code."""
    answer = await classify(world, **body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("body", [{"text": f"{SUMMARY} {CANARY}"}, {"text": CANARY, "task": "no_such"}])
async def test_no_prompt_is_repeated(
    world: World, body: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """T12: neither the answer, nor an error, nor a log has any of the text."""
    caplog.set_level("DEBUG", "neuronode_router")
    answer = await classify(world, **body, explain=True)

    assert CANARY not in answer.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "content", [None, 3, [], [None], [{"type": "text"}], [{"type": "image_url"}], "\ud800"]
)
async def test_odd_messages_are_answered(world: World, content: object) -> None:
    """Whatever stands in a message, the dry run does what a request would: go on."""
    sent = json.dumps({"messages": [{"role": "user", "content": content}]})

    async with world.client() as client:
        answer = await client.post(
            f"{BASE}/classify", content=sent, headers={"Content-Type": "application/json"}
        )

    assert answer.status_code in {200, 422}


async def test_before_routing_has_started_the_routes_say_so(world: World) -> None:
    """A worker without automatic routing answers 503 with what to do."""
    world.routes = False

    async with world.client() as client:
        answers = [await client.get(f"{prefix}/router/stats") for prefix in (PREFIX, SECOND_PREFIX)]
        answers.append(await client.get(f"{BASE}/registry"))
        answers.append(await client.post(f"{BASE}/classify", json={"text": "Hi"}))

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "not_ready")}
