"""Bodies mean what they say: no value is read as one of another kind, and nothing that is said is passed over."""

from __future__ import annotations

import re
import time
from inspect import Parameter, signature
from typing import Any

import pytest

from admin_api.http.endpoints import Endpoint
from admin_api.router import ENDPOINTS, PREFIX, SECOND_PREFIX
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


WRITES = [endpoint for endpoint in ENDPOINTS if endpoint.method != "GET"]


@pytest.mark.parametrize("endpoint", WRITES, ids=lambda each: f"{each.method} {each.path}")
async def test_no_write_overlooks_an_option(world: World, endpoint: Endpoint) -> None:
    """A dry run that was overlooked would be the real thing: nothing is left unread, in the query or in a body."""
    path, reads = PREFIX + re.sub(r"{\w+}", "team", endpoint.path), signature(endpoint.answer).parameters
    wrong: list[dict[str, Any]] = [{"params": {"dryrun": "1"}}]
    wrong += [] if "query" in reads else [{"params": {"dry_run": "true"}}]
    wrong += [] if "body" in reads else [{"json": {"dry_run": True}}]
    before = await world.manager.current()

    async with world.client() as admin:
        any_state = {"If-Match": "*"}
        answers = [await admin.request(endpoint.method, path, headers=any_state, **each) for each in wrong]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "invalid_request")}
    assert (await world.manager.current()) == before


def needs_body(endpoint: Endpoint) -> bool:
    """Tell whether a route is told something in any case."""
    body = signature(endpoint.answer).parameters.get("body")
    return body is not None and body.default is Parameter.empty


NAMED = [each for each in ENDPOINTS if "{" in each.path and not needs_body(each)]


@pytest.mark.parametrize("endpoint", NAMED, ids=lambda each: f"{each.method} {each.path}")
async def test_a_name_that_no_database_keeps_is_refused(world: World, endpoint: Endpoint) -> None:
    """With what is wrong with it, whichever database there is."""
    path = PREFIX + re.sub(r"{(?!kind)\w+}", "%00", endpoint.path).replace("{kind}", "team")

    async with world.client() as admin:
        answer = await admin.request(endpoint.method, path)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert any("NUL" in problem["message"] for problem in answer.json()["problems"]), answer.text


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
async def test_what_began_stands_under_the_prefix_that_was_asked(world: World, prefix: str) -> None:
    """`/admin` may be somebody else's."""
    async with world.client() as admin:
        begun = await admin.post(f"{prefix}/rollouts", json={"profile": "balanced"})
        found = await admin.get(begun.headers["location"])

    assert begun.headers["location"].startswith(f"{prefix}/rollouts/")
    assert found.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/usage", None),
        ("GET", "/usage/series", None),
        ("GET", "/usage/residency", None),
        ("POST", "/plan", {"profile": "balanced"}),
    ],
)
async def test_a_period_that_lies_in_the_future_is_refused(
    world: World, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """It holds nothing, which would reassure."""
    later = time.time() + 1e6
    said: dict[str, Any] = {"params": {"from": later}} if body is None else {"json": {**body, "from": later}}

    async with world.client() as admin:
        answer = await admin.request(method, PREFIX + path, **said)

    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["path"] == ("query.from" if body is None else "body.from")


async def test_who_is_unknown_is_told_of_no_path(world: World) -> None:
    """Without a key every path answers alike."""
    async with world.client(None) as nobody:
        answers = [await nobody.get(f"{SECOND_PREFIX}{path}") for path in ("/rollouts", "/nothing")]

    assert {each.status_code for each in answers} == {401}
