"""What was learned, what it changed and what the judge found, as people and programs read it."""

from __future__ import annotations

import json
from typing import cast

from neuronode_router.auto.diverted import DivertedOf
from neuronode_router.auto.judge import AnswerJudge, AskedGroups, JudgeSettings
from neuronode_router.auto.judged_days import JudgedDays
from neuronode_router.auto.outcome_store import OutcomeOf
from neuronode_router.background import Failures
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import RequestKind
from tests.unit.cli.conftest import Remote, Terminal
from tests.unit.cli.test_golden import check

KIND = RequestKind("balanced", "summary")


def learn(remote: Remote) -> None:
    """Let a proxy have learned that the light tier suffices for summaries, and a judge have looked at two answers."""
    assert remote.world.judged is not None
    outcomes = remote.world.judged.learning.outcomes
    assert outcomes is not None
    for number in range(40):
        outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=number % 10 > 0, expected=0.6)
        outcomes.saw(OutcomeOf(KIND, Tier.MEDIUM), good=number % 20 > 0, expected=0.9)
        diverted = DivertedOf(KIND, Step.LEARNED, Tier.MEDIUM, Tier.FAST)
        outcomes.diverted(diverted, saved_usd=0.01 * (number % 3) if number % 2 else None)
    outcomes.diverted(DivertedOf(KIND, Step.TRIED, Tier.COMPLEX, Tier.MEDIUM), saved_usd=None)
    remote.do(outcomes.refresh())
    days = JudgedDays(remote.world.store.database, budget_usd=2.0)
    for cost, enough in ((0.25, True), (0.125, False)):
        day = days.set_aside(0.5)
        assert day is not None
        days.settle(day, 0.5, cost=cost, enough=enough)
    remote.world.routing.auto.judge = AnswerJudge(
        JudgeSettings("large", 0.01),
        days=days,
        groups=cast(AskedGroups, None),
        told=lambda *_: None,
        failures=Failures(),
    )


def test_before_anything_was_learned_that_is_said(remote: Remote, neuronode: Terminal) -> None:
    """Also what would have it learned, where nothing is counted."""
    assert "Nothing was seen yet" in neuronode("outcomes", "show").out
    assert "Nothing changed yet" in neuronode("outcomes", "report").out
    assert remote.world.judged is not None
    remote.world.judged.learning.outcomes = None
    for command in ("show", "report"):
        assert "NEURONODE_OUTCOMES=on" in neuronode("outcomes", command).out


def test_what_was_learned_and_what_it_changed(remote: Remote, neuronode: Terminal) -> None:
    """With intervals; what nobody can know is a dash."""
    learn(remote)

    check("outcomes_show", neuronode("outcomes", "show"))
    check("outcomes_report", neuronode("outcomes", "report"))


def test_the_report_for_programs(remote: Remote, neuronode: Terminal) -> None:
    """The document of the API."""
    learn(remote)

    document = json.loads(neuronode("outcomes", "report", "--json").out)

    assert [line["requests"] for line in document["diverted"]] == [40, 1]
    assert document["diverted"][0]["saved_usd"]["requests"] == 20
