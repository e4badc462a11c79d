"""What was learned from outcomes, over HTTP: seen, forgotten, and refused where nothing is counted."""

from __future__ import annotations

from typing import cast

import httpx

from admin_api.router import PREFIX
from neuronode_router.auto.diverted import DivertedOf
from neuronode_router.auto.judge import AnswerJudge, AskedGroups, JudgeSettings
from neuronode_router.auto.judged_days import JudgedDays
from neuronode_router.auto.outcome_store import OutcomeOf
from neuronode_router.background import Failures
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import RequestKind
from tests.admin_api.world import World

OUTCOMES = f"{PREFIX}/router/outcomes"
KIND = RequestKind("balanced", "summary")


async def test_what_was_learned_is_seen_and_forgotten(world: World, admin: httpx.AsyncClient) -> None:
    """By profile, kind and tier: how many, what was expected, and what that changes."""
    assert world.judged is not None
    outcomes = world.judged.learning.outcomes
    assert outcomes is not None
    for good in (True, False, False, False):
        outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=good, expected=0.75)
    await outcomes.refresh()

    (kind,) = (await admin.get(OUTCOMES)).raise_for_status().json()["kinds"]
    gone = (await admin.delete(OUTCOMES)).raise_for_status().json()
    left = (await admin.get(OUTCOMES)).raise_for_status().json()

    assert (kind["profile"], kind["label"], kind["tier"]) == ("balanced", "summary", "fast")
    assert (kind["good"], kind["bad"], kind["share"], kind["tried"]) == (1, 3, 0.75, True)
    assert kind["shift"] < 0
    assert (gone, left) == ({"forgotten": 4}, {"counted": True, "kinds": [], "judge": None})


async def test_what_learning_changed_is_told_with_intervals(world: World, admin: httpx.AsyncClient) -> None:
    """Requests, money and failures; what nobody knows is null."""
    assert world.judged is not None
    outcomes = world.judged.learning.outcomes
    assert outcomes is not None
    for saved in (0.25, 0.75):
        outcomes.diverted(DivertedOf(KIND, Step.LEARNED, Tier.MEDIUM, Tier.FAST), saved_usd=saved)
    await outcomes.refresh()

    (line,) = (await admin.get(f"{OUTCOMES}/report")).raise_for_status().json()["diverted"]
    await admin.delete(OUTCOMES)
    left = (await admin.get(f"{OUTCOMES}/report")).raise_for_status().json()

    assert (line["step"], line["instead"], line["tier"], line["requests"]) == ("learned", "medium", "fast", 2)
    assert (line["saved_usd"]["value"], line["saved_usd"]["requests"], line["failures"]) == (1.0, 2, None)
    assert line["saved_usd"]["low"] < 1.0 < line["saved_usd"]["high"]
    assert left == {"counted": True, "diverted": []}


async def test_the_judge_tells_what_today_came_to(world: World, admin: httpx.AsyncClient) -> None:
    """Its group, its share, its budget, what was spent in all workers, and verdicts."""
    days = JudgedDays(world.store.database, budget_usd=2.0)
    world.routing.auto.judge = AnswerJudge(
        JudgeSettings("large", 0.25),
        days=days,
        groups=cast(AskedGroups, None),
        told=lambda *_: None,
        failures=Failures(),
    )
    day = days.set_aside(0.5)
    assert day is not None
    days.settle(day, 0.5, cost=0.25, enough=False)
    assert days.set_aside(0.5) == day

    judge = (await admin.get(OUTCOMES)).raise_for_status().json()["judge"]

    of_worker = dict.fromkeys(("waiting", "dropped", "over_budget"), 0)
    settings = {"group": "large", "share": 0.25, "budget_usd": 2.0}
    assert judge == settings | of_worker | {"cost_usd": 0.75, "enough": 0, "short": 1, "failed": 0}


async def test_where_nothing_is_counted_that_is_said(world: World, admin: httpx.AsyncClient) -> None:
    """Also where no history is kept; there is nothing to forget then."""
    assert world.judged is not None
    world.judged.learning.outcomes = None
    for _ in range(2):
        seen, gone = (await admin.get(OUTCOMES)).json(), (await admin.delete(OUTCOMES)).json()
        assert (seen, gone) == ({"counted": False, "kinds": [], "judge": None}, {"forgotten": 0})
        world.judged = None
