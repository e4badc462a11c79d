"""What the task API tells: what can be asked, what answers for each tier, and how requests were routed."""

from __future__ import annotations

import time

import pytest

from neuronode_router.tasks.engine import tier_names
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome, UsageKey
from tests.admin_api.task_world import TaskWorld

NEWS = "Earnings beat every forecast."


async def test_models_are_those_the_key_may_ask(tasks: TaskWorld) -> None:
    """`available`: there, and allowed by LiteLLM. `configured`: the first group of each tier that is there."""
    tasks.chat.listed = ("tier_fast", "gone", "sentiment")

    answer = (await tasks.get("/models")).json()

    assert answer["available"] == ["tier_fast"]
    assert answer["configured"]["complex"] is None
    assert answer["configured"]["fast"] == {
        "name": "tier_fast",
        "tier": "fast",
        "context_window": None,
        "avg_latency_ms": 200,
        "cost_factor": 1.0,
        "max_tokens": None,
        "temperature": None,
        "capabilities": [],
    }


async def test_names_that_were_set_are_shown_as_configured(tasks: TaskWorld) -> None:
    """A tier whose name was set shows that group, and tasks ask it."""
    tasks.view.names = tier_names("tier_medium", None, None)
    tasks.chat.then = "NEUTRAL"

    models = (await tasks.get("/models")).json()
    await tasks.post("/sentiment", {"text": NEWS})

    assert models["configured"]["fast"]["name"] == "tier_medium"
    assert tasks.chat.names == ["tier_medium"]


async def test_a_key_that_may_list_nothing_is_told(tasks: TaskWorld) -> None:
    """LiteLLM's refusal to list is passed on as ours."""
    tasks.chat.listed = None

    answer = await tasks.get("/models")

    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def count(
    tasks: TaskWorld, served: str, tier: str, *, team: str = "", chosen_group: str = "", ms: float = 100
) -> None:
    """Have one request in the books."""
    key = UsageKey(
        tier=tier,
        chosen_group=chosen_group or served,
        served_group=served,
        team=team,
        outcome=RequestOutcome.ANSWERED,
    )
    tasks.buffer.count(FinishedRequest(call_id="c", at=time.time(), key=key, latency_ms=ms))


async def test_routing_stats_have_the_plans_fields(tasks: TaskWorld) -> None:
    """Counts by group and tier, fallback rate, mean and p95: at the top, and under `routing_stats`."""
    for _ in range(21):
        count(tasks, "tier_fast", "fast")
    count(tasks, "tier_fast", "fast", ms=1000)
    count(tasks, "tier_medium", "medium", chosen_group="tier_complex", ms=400)
    count(tasks, "embed", "")

    answer = (await tasks.get("/routing-stats", caller="viewer")).json()

    assert answer["total_requests"] == 24
    assert answer["fallback_rate"] == pytest.approx(1 / 24)
    assert answer["requests_per_model"] == {"tier_fast": 22, "tier_medium": 1, "embed": 1}
    assert answer["requests_per_tier"] == {"fast": 22, "medium": 1}
    assert answer["avg_latency_per_model"]["tier_fast"] == pytest.approx((21 * 100 + 1000) / 22, rel=0.05)
    assert answer["p95_latency_per_model"]["tier_fast"] == pytest.approx(100, rel=0.05)
    assert answer["p95_latency_per_model"]["tier_medium"] is None
    assert answer["models"]["tier_fast"]["avg_latency_ms"] == 200
    assert (answer["scope"], answer["window_seconds"]) == ("shared", 86_400)
    assert answer["routing_stats"] == {name: answer[name] for name in answer["routing_stats"]}


async def test_a_member_sees_the_figures_of_the_own_team(tasks: TaskWorld) -> None:
    """Team a sees its own requests, a viewer all; a key without a team nobody's, for all such keys are in one line."""
    count(tasks, "tier_fast", "fast", team="a")
    count(tasks, "tier_fast", "fast", team="b")
    count(tasks, "tier_fast", "fast")

    seen = {
        caller: (await tasks.get("/routing-stats", caller=caller)).json()["total_requests"]
        for caller in ("member", "viewer")
    }
    refused = await tasks.get("/routing-stats", caller="stranger")

    assert seen == {"member": 1, "viewer": 3}
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


async def test_empty_books_are_no_error(tasks: TaskWorld) -> None:
    """Nothing was asked yet: zeros."""
    answer = (await tasks.get("/routing-stats")).json()

    assert (answer["total_requests"], answer["fallback_rate"], answer["models"]) == (0, 0.0, {})
