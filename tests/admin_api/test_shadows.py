"""Shadow comparisons over HTTP: begun, reported by task with intervals, ended; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from admin_api.router import PREFIX
from neuronode_router.shadows.pairs import AnswerFacts, Pair, PairSums, Skip
from neuronode_router.shadows.store import ShadowBatch, ShadowStore
from neuronode_router.tasks.agreement import ComparedBy
from tests.admin_api.world import World

SHADOWS = f"{PREFIX}/shadows"
PLAN: dict[str, Any] = {"profile": "balanced", "budget_usd": 5}
SAMPLE = {"task": "chat", "agrees": True, "asked": "Hm?", "client": "Ja", "other": "ja"}


async def start(world: World, **changed: Any) -> str:
    """Begin a comparison and return its id."""
    async with world.client() as admin:
        answer = await admin.post(SHADOWS, json=PLAN | changed)
    answer.raise_for_status()
    return str(answer.headers["location"].rpartition("/")[2])


def find(world: World, name: str) -> None:
    """Find out something, as a worker does: of 100 pairs three disagree, and each costs 38 % of the client's."""
    sums = PairSums()
    client, other = AnswerFacts(latency_ms=800, cost_usd=0.1), AnswerFacts(latency_ms=400, cost_usd=0.038)
    for number in range(100):
        sums.add(Pair(client, other, (ComparedBy.SHORT, number >= 3)))
    sums.skip(Skip.RESIDENCY)
    sums.fail("timeout")
    store = ShadowStore(world.store.database)
    store.set_aside(name, 4_000_000_000)
    store.add("w", ShadowBatch(name, 1, {("premium", "chat"): sums}, 200_000_000, [(7.0, SAMPLE)]))


async def test_a_comparison_begins_with_a_receipt_and_is_shown(world: World) -> None:
    """It is a revision that every worker has taken up, and it changes nobody's answer."""
    async with world.client() as admin:
        answer = await admin.post(
            SHADOWS, json=PLAN | {"share": 12.5, "tasks": ["chat"], "reason": "cheaper?"}
        )
        shown = (await admin.get(SHADOWS)).json()
        (row,) = (await admin.get(f"{PREFIX}/audit", params={"limit": 1})).json()["entries"]

    receipt = answer.json()
    assert (answer.status_code, receipt["action"], receipt["complete"]) == (200, "shadow", True)
    assert (receipt["profile"], receipt["changes"]) == ("premium", [])
    running = shown["running"]
    assert answer.headers["location"].endswith(f"/{running['id']}")
    assert (running["profile"], running["share"], running["tasks"]) == ("balanced", 12.5, ["chat"])
    assert (running["budget_usd"], running["spent_usd"], running["max_concurrency"]) == (5, 0, 2)
    assert running["until"] == pytest.approx(running["started_at"] + 86_400, abs=60)
    assert running["headline"] == "balanced has answered nothing yet that clients were answered."
    assert row["action"] == "shadow"
    assert row["reason"].endswith("for at most 5 USD; cheaper?")
    assert "salt" not in answer.text + str(shown)


async def test_the_report_tells_by_task_with_intervals(world: World) -> None:
    """One sentence, all tasks together and each; what was not asked again, and what failed."""
    name = await start(world)
    find(world, name)

    async with world.client() as admin:
        report = (await admin.get(f"{SHADOWS}/{name}")).json()

    assert report["headline"] == (
        "balanced would have agreed in 97.0 % [91.5, 99.0] of 100 comparable answers "
        "and have cost 38.0 % [38.0, 38.0]."
    )
    assert (report["against"], report["spent_usd"]) == (["premium"], pytest.approx(3.8))
    everything, chat = report["findings"]
    assert (everything["task"], chat["task"], chat["sampled"], chat["answered"]) == ("", "chat", 102, 100)
    assert (chat["skipped"], chat["failed"], chat["refused_by_gate"]) == ({"residency": 1}, {"timeout": 1}, 1)
    assert chat["by_basis"]["short"] == chat["agreement"]
    assert chat["latency"]["client"]["p50"] > chat["latency"]["other"]["p50"]
    assert (chat["judged"]["value"], chat["forms"]["client"]["samples"]) == (None, 0)


async def test_texts_are_for_administrators(world: World) -> None:
    """Who only reads sees figures."""
    name = await start(world, sample_text=True)
    find(world, name)
    seen = {}
    for caller in ("admin", "viewer"):
        async with world.client(caller) as client:
            seen[caller] = (await client.get(f"{SHADOWS}/{name}")).json()["samples"]

    assert seen == {"admin": [{"at": 7.0, **SAMPLE}], "viewer": []}


async def test_it_ends_by_hand_and_stays_readable(world: World) -> None:
    """With a receipt and a reason; what is over cannot end again."""
    name = await start(world)
    async with world.client() as admin:
        stopped = await admin.post(f"{SHADOWS}/{name}/stop", json={"reason": "seen enough"})
        again = await admin.post(f"{SHADOWS}/{name}/stop")
        listed = (await admin.get(SHADOWS)).json()

    assert (stopped.status_code, stopped.json()["action"]) == (200, "shadow")
    assert (again.status_code, again.json()["code"]) == (409, "shadow_refused")
    (over,) = listed["shadows"]
    assert (listed["running"], over["id"], over["why"]) == (None, name, "seen enough")
    assert over["ended_at"] >= over["started_at"]


async def test_a_dry_run_begins_nothing(world: World) -> None:
    """It says that it would."""
    async with world.client() as admin:
        answer = await admin.post(SHADOWS, json=PLAN | {"dry_run": True})
        shown = (await admin.get(SHADOWS)).json()

    assert (answer.json()["changed"], "location" in answer.headers) == (True, False)
    assert shown == {"running": None, "shadows": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (PLAN | {"profile": "nothing"}, 404, "unknown_profile"),
        (PLAN | {"profile": "premium"}, 409, "shadow_refused"),
        (PLAN | {"tasks": ["nothing"]}, 404, "unknown_task"),
        (PLAN | {"judge": "nothing"}, 409, "shadow_refused"),
        (PLAN | {"judge": "auto"}, 409, "shadow_refused"),
        ({"profile": "balanced"}, 422, "invalid_request"),
        (PLAN | {"budget_usd": 0}, 422, "invalid_request"),
        (PLAN | {"share": 101}, 422, "invalid_request"),
        (PLAN | {"share": 0.01}, 422, "invalid_request"),
        (PLAN | {"hours": 0}, 422, "invalid_request"),
        (PLAN | {"max_concurrency": 0}, 422, "invalid_request"),
        (PLAN | {"salt": "00"}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_begin(world: World, body: dict[str, Any], status: int, code: str) -> None:
    """It is refused before anything changes."""
    async with world.client() as admin:
        answer = await admin.post(SHADOWS, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_one_runs_at_a_time(world: World) -> None:
    """A second one is refused; of one that there is not nothing is told."""
    await start(world)
    async with world.client() as admin:
        answer = await admin.post(SHADOWS, json=PLAN)
        unknown = await admin.get(f"{SHADOWS}/s-none")

    assert (answer.status_code, answer.json()["code"]) == (409, "shadow_refused")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_shadow")


async def test_a_repeated_start_names_the_same_comparison(world: World) -> None:
    """By its Idempotency-Key; with another body it is refused."""
    headers = {"Idempotency-Key": "k-1"}
    async with world.client() as admin:
        first, second = [await admin.post(SHADOWS, json=PLAN, headers=headers) for _ in range(2)]
        other = await admin.post(SHADOWS, json=PLAN | {"share": 7}, headers=headers)

    assert first.headers["location"] == second.headers["location"]
    assert other.status_code == 422
