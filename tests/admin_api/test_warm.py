"""What a write says of local models, and what is said of them in its answer."""

from __future__ import annotations

import httpx
import pytest

from neuronode_router.domain.receipts import LocalWeights, WarmOrder, WarmReport
from neuronode_router.errors import Problem, WarmFailed
from tests.admin_api.world import World

TOLD = WarmReport(
    mode="wait",
    order=WarmOrder.MAKE_BEFORE_BREAK,
    loaded=(LocalWeights("gpu:11434", "llama3.1:8b", bytes=5_600_000_000, seconds=3.2),),
    waited_s=3.3,
    said=("llama3.1:8b is in memory on gpu:11434 after 3.2 s.",),
)
SWITCH = "/admin/profiles/switch"


async def test_without_local_models_nothing_is_said(world: World, admin: httpx.AsyncClient) -> None:
    """The receipt has the field, and nothing in it."""
    receipt = (await admin.post(SWITCH, json={"profile": "balanced"})).json()

    assert receipt["warm"] is None


@pytest.mark.parametrize(
    ("path", "body"),
    [("profiles/switch", {"profile": "balanced"}), ("rollouts", {"profile": "balanced"})],
)
async def test_the_order_is_handed_on_and_the_report_is_in_the_receipt(
    world: World, admin: httpx.AsyncClient, path: str, body: dict[str, str]
) -> None:
    """How long, whether to pull, and everything that became of it."""
    world.warmth.says = TOLD

    order = {**body, "warm": "wait", "warm_timeout_s": 7, "pull": True}
    receipt = (await admin.post(f"/admin/{path}", json=order)).raise_for_status().json()

    given = world.warmth.orders[0]
    assert (given.warm, given.warm_timeout, given.pull) == ("wait", 7, True)
    assert receipt["warm"]["loaded"][0] == {
        "server": "gpu:11434",
        "model": "llama3.1:8b",
        "bytes": 5_600_000_000,
        "seconds": 3.2,
        "why": "",
    }
    assert (receipt["warm"]["order"], receipt["warm"]["waited_s"]) == ("make_before_break", 3.3)


async def test_a_cold_model_is_a_problem_and_nothing_is_changed(
    world: World, admin: httpx.AsyncClient
) -> None:
    """409, each model at its group."""
    world.warmth.says = TOLD
    world.warmth.refusal = WarmFailed(
        [Problem("cold_model", "It is cold.", "Pull it.", path="chat_balanced")]
    )

    answer = await admin.post(SWITCH, json={"profile": "balanced", "warm": "wait"})
    status = (await admin.get("/admin/profiles/status")).json()

    assert (answer.status_code, answer.json()["code"]) == (409, "warm_failed")
    assert [problem["path"] for problem in answer.json()["problems"]] == ["chat_balanced"]
    assert status["revision"] == 1


async def test_a_word_that_is_no_way_is_refused(admin: httpx.AsyncClient) -> None:
    """Nobody waits for a misspelling."""
    answer = await admin.post(SWITCH, json={"profile": "balanced", "warm": "maybe"})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "in_query"),
    [
        ("profiles/premium/tasks/chat", {"group": "chat_balanced"}, True),
        ("bindings/team/a", {"profile": "balanced"}, False),
    ],
)
async def test_edits_and_bindings_wait_for_models_too(
    world: World, admin: httpx.AsyncClient, path: str, body: dict[str, str], in_query: bool
) -> None:
    """An edit takes it in the query, where all its options are."""
    world.warmth.says = TOLD
    order = {"warm": "wait", "warm_timeout_s": 7, "pull": True}

    answer = await admin.put(
        f"/admin/{path}",
        json=body if in_query else {**body, **order},
        params=order if in_query else {},
        headers={"If-Match": "*"},
    )

    given = world.warmth.orders[0]
    assert (given.warm, given.warm_timeout, given.pull) == ("wait", 7, True)
    assert answer.raise_for_status().json()["warm"]["waited_s"] == 3.3


async def test_a_plan_tells_of_models_that_a_switch_would_load(
    world: World, admin: httpx.AsyncClient
) -> None:
    """What they would be now; nothing is loaded, and nothing is changed."""
    nothing = (await admin.post("/admin/plan", json={"profile": "balanced"})).raise_for_status().json()
    world.warmth.says = TOLD

    told = (await admin.post("/admin/plan", json={"profile": "balanced"})).raise_for_status().json()

    assert nothing["warm"] is None
    assert told["warm"]["said"] == list(TOLD.said)
    assert [(order.action, order.warm) for order in world.warmth.orders] == [("switch", None)] * 2
    assert (await admin.get("/admin/profiles/status")).json()["revision"] == 1
