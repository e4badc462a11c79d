"""Bodies mean what they say: no value is read as one of another kind, and nothing that is said is passed over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from admin_api.router import PREFIX, SECOND_PREFIX
from tests.admin_api.world import BASE, World
from tests.support.waiting import eventually

ROLLOUTS, SHADOWS, SWITCH = f"{PREFIX}/rollouts", f"{PREFIX}/shadows", f"{BASE}/switch"
RATE = {"metric": "error_rate", "at_most": 0.1}


def rollout(**said: Any) -> dict[str, Any]:
    return {"profile": "balanced", "dry_run": True, **said}


def shadow(**said: Any) -> dict[str, Any]:
    return {"profile": "balanced", "budget_usd": 1, "dry_run": True, **said}


def switch(**said: Any) -> dict[str, Any]:
    return {"profile": "balanced", "dry_run": True, **said}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ROLLOUTS, rollout(steps=[True])),
        (ROLLOUTS, rollout(steps=["1", "10"])),
        (ROLLOUTS, rollout(hold=True)),
        (ROLLOUTS, rollout(least="5")),
        (ROLLOUTS, rollout(dry_run="true")),
        (ROLLOUTS, rollout(guards=[{**RATE, "at_most": 5}])),
        (ROLLOUTS, rollout(guards=[{"metric": "fallback_rate", "worse_by": 1.5}])),
        (ROLLOUTS, rollout(guards=[{**RATE, "at_most": "0.1"}])),
        (ROLLOUTS, rollout(guards=[RATE, {**RATE, "at_most": 0.2}])),
        (SHADOWS, shadow(hours=1e-9)),
        (SHADOWS, shadow(tasks=["auto", "auto"])),
        (SHADOWS, shadow(sample_text="yes")),
        (SHADOWS, shadow(max_concurrency=True)),
        (SHADOWS, shadow(budget_usd="1")),
        (SWITCH, switch(until=time.time() + 1000, hold=True)),
        (SWITCH, switch(until=str(time.time() + 1000))),
        (SWITCH, switch(hold=1)),
    ],
)
async def test_what_is_not_meant_like_that_is_refused(world: World, path: str, body: dict[str, Any]) -> None:
    """With 422, before anything is looked at."""
    async with world.client() as admin:
        answer = await admin.post(path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ROLLOUTS, rollout(steps=[1, 10.5], hold=60, least=5, on_breach="pause", on_done="promote")),
        (ROLLOUTS, rollout(guards=[RATE, {"metric": "latency_p95_ms", "at_most": 5000, "times": 2}])),
        (ROLLOUTS, {"edit": {"tiers": {"fast": ["chat_balanced"]}}, "dry_run": True}),
        (SHADOWS, shadow(tasks=["auto", "chat"], hours=1, sample_text=True)),
        (SWITCH, switch(until=time.time() + 1000, warm="off")),
    ],
)
async def test_what_json_can_say_is_taken(world: World, path: str, body: dict[str, Any]) -> None:
    """Words of a list, whole numbers where others may stand, and true and false."""
    async with world.client() as admin:
        answer = await admin.post(path, json=body)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", [f"{PREFIX}/policy/preview?day=3", f"{ROLLOUTS}?limits=3", f"{SHADOWS}?a="])
async def test_an_unknown_word_of_a_query_is_refused(world: World, path: str) -> None:
    """What is misspelt would be passed over."""
    async with world.client() as admin:
        answer = await admin.get(path)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_query_is_text(world: World) -> None:
    """Numbers and switches of it are read."""
    async with world.client() as admin:
        listed = await admin.get(ROLLOUTS, params={"limit": "3"})
        edited = await admin.put(
            f"{BASE}/premium/tasks/chat?dry_run=true&warm=off&warm_timeout_s=3",
            json={"group": "chat_balanced"},
            headers={"If-Match": "*"},
        )

    assert (listed.status_code, edited.status_code) == (200, 200)
    assert edited.json()["dry_run"] is True


async def test_a_switch_until_a_time_that_has_passed_is_refused(world: World) -> None:
    """Nothing would be held; a dry run says so too."""
    async with world.client() as admin:
        answers = [
            await admin.post(SWITCH, json=switch(until=time.time() - 100, dry_run=dry))
            for dry in (True, False)
        ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(422, "until_is_over")] * 2


async def test_a_switch_that_is_repeated_after_its_time_finds_its_first_answer(world: World) -> None:
    """Whoever never saw the receipt asks again under the same key."""
    soon = time.time() + 0.5
    body, once = switch(until=soon, dry_run=False), {"Idempotency-Key": "once"}
    async with world.client() as admin:
        first = await admin.post(SWITCH, json=body, headers=once)
        await eventually(lambda: time.time() > soon)
        again = await admin.post(SWITCH, json=body, headers=once)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["revision"] == first.json()["revision"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
async def test_what_no_route_takes_is_a_problem_too(world: World, prefix: str) -> None:
    """The framework's own answers are none of ours: another method, another path."""
    async with world.client() as admin:
        wrong = [
            await admin.request(method, prefix + path)
            for method, path in (
                ("DELETE", "/rollouts"),
                ("PATCH", "/policy"),
                ("PUT", "/reload"),
                ("PATCH", "/profiles/switch"),
            )
        ]
        nowhere = [await admin.get(prefix + path) for path in ("/rollouts/x/y/z", "/policy/nothing")]

    assert [each.json()["code"] for each in (*wrong, *nowhere)] == [
        *["method_not_allowed"] * 4,
        *["no_such_path"] * 2,
    ]
    assert {each.headers["content-type"] for each in (*wrong, *nowhere)} == {"application/problem+json"}
    assert [each.headers["allow"] for each in wrong] == ["GET, POST", "GET, PUT", "POST", "POST"]


async def test_who_is_unknown_is_told_of_no_path(world: World) -> None:
    """Without a key every path answers alike."""
    async with world.client(None) as nobody:
        answers = [await nobody.get(f"{SECOND_PREFIX}{path}") for path in ("/rollouts", "/nothing")]

    assert {each.status_code for each in answers} == {401}
