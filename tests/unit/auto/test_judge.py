"""The judge: whose answers are compared, blind order, what it costs, and that nothing of it can fail a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.auto.comparison import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    REDACTED,
    Comparison,
    Message,
    verdict,
)
from neuronode_router.auto.judge import (
    WAITING,
    AnswerJudge,
    GroupAnswer,
    GroupFailed,
    GroupQuestion,
    JudgeSettings,
)
from neuronode_router.auto.judged_days import JudgedDay, JudgedDays
from neuronode_router.auto.router import Caller
from neuronode_router.background import Failures
from neuronode_router.domain.names import Tier
from neuronode_router.errors import SettingsError, StoreUnavailable
from neuronode_router.routing.residency import Required, is_within, required
from neuronode_router.settings import Settings
from neuronode_router.storage.database import Database
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.prices import Price
from tests.support.migrated import migrated
from tests.support.waiting import eventually
from tests.unit.auto.test_router import ME, SENTIMENT, STRATEGY, TOOLS, Worker

ASKED: Sequence[Message] = ({"role": "user", "content": "Is it up?"},)
LIGHT = Comparison("call-1", "hash", ASKED, "light says yes", "middle")
CHEAP = Price(1e-6, 2e-6)


class Groups:
    """Groups that answer as a test says; the judge prefers the answer that begins with `prefers`."""

    def __init__(self, prefers: str = "light", *, heavy: str = "heavy says no", cost: float | None = 0.001):
        self.prefers = prefers
        self.heavy = heavy
        self.cost = cost
        self.prices: dict[str, Price | None] = {"middle": CHEAP, "judge": CHEAP}
        self.failing: dict[str, RequestOutcome] = {}
        self.asked: list[tuple[str, Sequence[Message]]] = []
        self.places: dict[str, str | None] = {}

    def stays(self, group: str, places: Required) -> bool:
        return is_within(self.places.get(group), places)

    def price(self, group: str) -> Price | None:
        return self.prices[group]

    async def answer(self, question: GroupQuestion) -> GroupAnswer:
        group, messages = question.group, question.messages
        assert all(self.stays(each, question.places) for each in (group, "judge"))
        self.asked.append((group, messages))
        if group in self.failing:
            raise GroupFailed(self.failing[group])
        return GroupAnswer(self.heavy if group == "middle" else self._says(messages), self.cost)

    def _says(self, messages: Sequence[Message]) -> str:
        if self.prefers in ("both", "nonsense"):
            return json.dumps({"better": self.prefers})
        given = json.loads(messages[-1]["content"])
        return json.dumps({"better": "A" if given["A"].startswith(self.prefers) else "B"})


class Court:
    """A judge over one database, and what it told."""

    def __init__(self, database: Database, groups: Groups, *, budget: float = 1.0, chance: float = 0.0):
        self.told: list[tuple[str, bool]] = []
        self.failures = Failures()
        self.groups = groups
        self.days = JudgedDays(database, budget_usd=budget)
        self.judge = AnswerJudge(
            JudgeSettings("judge", 0.5),
            days=self.days,
            groups=groups,
            told=lambda comparison, enough: self.told.append((comparison.call_id, enough)),
            failures=self.failures,
            chance=lambda: chance,
        )


MakeCourt = Callable[..., Court]


@pytest.fixture
def court(tmp_path: Path) -> Iterator[MakeCourt]:
    """Makes judges over one database."""
    database = Database(migrated(tmp_path / "control.db"))
    yield lambda groups, **options: Court(database, groups, **options)
    database.dispose()


@pytest.mark.parametrize("chance", [0.0, 0.9])
@pytest.mark.parametrize(("prefers", "enough"), [("light", True), ("both", True), ("heavy", False)])
async def test_the_verdict_is_of_the_answer_wherever_it_stood(
    court: MakeCourt, prefers: str, enough: bool, chance: float
) -> None:
    """In either order; the cost of both calls is the day's, and the judge is not told who wrote what."""
    made = court(Groups(prefers), chance=chance)

    await made.judge.compare(LIGHT)

    assert made.told == [("call-1", enough)]
    assert [group for group, _ in made.groups.asked] == ["middle", "judge"]
    assert made.groups.asked[0][1] == ASKED
    shown = json.loads(made.groups.asked[1][1][-1]["content"])
    assert (shown["A"] == LIGHT.answer) is (chance < 0.5)
    assert shown.keys() == {"request", "A", "B"}
    day = await made.judge.today()
    assert (day.cost_usd, day.enough, day.short) == (pytest.approx(0.002), enough, not enough)


@pytest.mark.parametrize(
    ("failing", "prefers", "heavy", "cost"),
    [
        ({"middle": RequestOutcome.UNAVAILABLE}, "light", "heavy", "heavy"),
        ({"judge": RequestOutcome.TIMEOUT}, "light", "heavy", "0.001 + judge"),
        ({"middle": RequestOutcome.RATE_LIMIT}, "light", "heavy", "0.0"),
        ({"judge": RequestOutcome.RATE_LIMIT}, "light", "heavy", "0.001"),
        ({}, "nonsense", "heavy", "0.002"),
        ({}, "light", "", "0.001"),
        ({}, "light", "x" * MAX_ANSWER_BYTES, "0.001"),
    ],
    ids=[
        "no heavier answer",
        "no verdict",
        "no room for an answer",
        "no room for a verdict",
        "another word",
        "cut off",
        "too long",
    ],
)
async def test_what_cannot_be_compared_is_no_outcome_and_is_paid(
    court: MakeCourt, failing: dict[str, RequestOutcome], prefers: str, heavy: str, cost: str
) -> None:
    """A call that failed counts as the most it could have cost, as nobody knows what was billed; as nothing where none
    worked on it.
    """
    made = court(Groups(prefers, heavy=heavy))
    made.groups.failing = failing
    most = {
        "heavy": CHEAP.cost(LIGHT.prompt_tokens, LIGHT.max_tokens),
        "judge": CHEAP.cost(LIGHT.verdict_tokens, 1024),
    }

    await made.judge.compare(LIGHT)

    assert made.told == []
    day = await made.judge.today()
    expected = sum(most.get(part) or float(part) for part in cost.split(" + "))
    assert (day.cost_usd, day.failed) == (pytest.approx(expected, abs=1e-8), 1)


async def test_what_has_no_price_is_refused_and_said(court: MakeCourt) -> None:
    """A budget cannot bound it: nobody is asked. Once there is a price, the warning is over."""
    made = court(Groups())
    for group in ("middle", "judge"):
        made.groups.prices = {"middle": CHEAP, "judge": CHEAP} | {group: None}
        await made.judge.compare(LIGHT)
        assert any(repr(group) in said and "no price" in said for said in made.judge.warnings())

    assert (made.told, made.groups.asked, await made.judge.today()) == ([], [], JudgedDay())
    made.groups.prices[group] = Price(0.0, 0.0)
    await made.judge.compare(LIGHT)
    assert (len(made.told), len(made.judge.warnings())) == (1, 1)


async def test_a_price_that_litellm_does_not_confirm_counts_as_the_most(court: MakeCourt) -> None:
    """What was set aside stays spent where no answer says its cost."""
    made = court(Groups(cost=None))

    await made.judge.compare(LIGHT)

    most = CHEAP.cost(LIGHT.prompt_tokens + LIGHT.verdict_tokens, LIGHT.max_tokens + 1024)
    assert (await made.judge.today()).cost_usd == pytest.approx(most)


async def test_beyond_the_budget_nobody_is_asked(court: MakeCourt) -> None:
    """Also where another worker has spent it."""
    dear = Groups()
    dear.prices = dict.fromkeys(("middle", "judge"), Price(0.0, 1e-3))
    first, second = court(dear, budget=4.0), court(dear, budget=4.0)
    dear.cost = 0.6

    await first.judge.compare(LIGHT)
    await second.judge.compare(LIGHT)

    assert (len(first.told), len(second.told), second.judge.over_budget) == (1, 0, 1)
    assert (await second.judge.today()).cost_usd == pytest.approx(1.2)


async def test_it_works_one_by_one_and_survives_what_fails(
    court: MakeCourt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is counted, and the next comparison is made; what finds no room is dropped and counted."""
    made = court(Groups())

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    for number in range(WAITING + 3):
        made.judge.offer(replace(LIGHT, call_id=f"call-{number}"))
    with monkeypatch.context() as broken:
        broken.setattr(made.days, "set_aside", away)
        made.judge.start()
        await eventually(lambda: made.failures.total)
    await eventually(lambda: made.judge.status()["waiting"] == 0 and made.told[-1:] == [("call-49", True)])
    await made.judge.stop()

    assert made.judge.dropped == 3
    assert made.judge.status()["group"] == "judge"


TEXT: dict[str, Any] = {"messages": [{"role": "user", "content": SENTIMENT}]}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize(
    ("body", "caller", "name", "rival"),
    [
        (TEXT, ME, "auto", "middle"),
        (TEXT, Caller("me", max_tier=Tier.MEDIUM), "auto", "middle"),
        (TEXT, Caller("me", max_tier=Tier.FAST), "auto", None),
        (TEXT, ME, "auto:fast", None),
        (TEXT | {"tools": TOOLS}, ME, "auto", None),
        (TEXT | {"tools": TOOLS, "tool_choice": "none"}, ME, "auto", None),
        ({"messages": [{"role": "user", "content": STRATEGY}]}, ME, "auto", None),
        ({"messages": [{"role": "user", "content": SENTIMENT + " wort" * 40_000}]}, ME, "auto", None),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": SENTIMENT}, PICTURE]}]},
            ME,
            "auto",
            None,
        ),
    ],
    ids=["light", "cap at the rival", "capped", "forced", "tools", "silent tools", "heavy", "long", "image"],
)
def test_only_light_answers_to_plain_text_within_the_cap_are_compared(
    court: MakeCourt, body: dict[str, Any], caller: Caller, name: str, rival: str | None
) -> None:
    """And of those the share that is sampled; without a judge none."""
    worker = Worker()
    options = {key: value for key, value in body.items() if key != "messages"}

    def compared(chance: float) -> str | None:
        worker.router.judge = court(Groups(), chance=chance).judge
        routed = worker.send(body["messages"], caller=caller, name=name, **options)
        return worker.router.rival(routed, caller, worker.snapshot)

    assert (compared(0.4), compared(0.6)) == (rival, None)
    worker.router.judge = None
    routed = worker.send(body["messages"], caller=caller, name=name, **options)
    assert worker.router.rival(routed, caller, worker.snapshot) is None


@pytest.mark.parametrize(
    ("comparison", "fits"),
    [
        (LIGHT, True),
        (replace(LIGHT, answer=""), False),
        (replace(LIGHT, answer=REDACTED), False),
        (replace(LIGHT, messages=({"role": "user", "content": REDACTED},)), False),
        (replace(LIGHT, answer="ä" * (MAX_ANSWER_BYTES // 2)), False),
        (replace(LIGHT, messages=({"role": "user", "content": "x" * MAX_REQUEST_BYTES},)), False),
    ],
)
def test_what_is_long_or_redacted_is_not_compared(comparison: Comparison, fits: bool) -> None:
    """A redacted text says nothing; a long one could cost anything."""
    assert comparison.fits is fits


@pytest.mark.parametrize(
    "said", ["", "A", '{"better": "C"}', '{"worse": "A"}', '{"better": ["A"]}', "{" * 99]
)
def test_no_verdict_is_none(said: str) -> None:
    """Only the three words count."""
    assert verdict(said, light_first=True) is None
    assert verdict(f'Well: {{"better": "B"}} {said}', light_first=True) is False


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"JUDGE_BUDGET": "1", "OUTCOMES": "off"}, "NEURONODE_OUTCOMES=on"),
        ({}, "NEURONODE_JUDGE_BUDGET"),
        ({"JUDGE_BUDGET": "0"}, "NEURONODE_JUDGE_BUDGET"),
        ({"JUDGE_BUDGET": "1", "JUDGE_SHARE": "1.5"}, "NEURONODE_JUDGE_SHARE"),
        ({"JUDGE_BUDGET": "inf"}, "NEURONODE_JUDGE_BUDGET"),
    ],
)
def test_a_judge_needs_outcomes_and_a_budget(given: dict[str, str], wrong: str) -> None:
    """Said at the start."""
    switched = {"HISTORY": "on", "OUTCOMES": "on", "JUDGE": "large"} | given
    with pytest.raises(SettingsError, match=wrong):
        Settings.load({f"NEURONODE_{name}": value for name, value in switched.items()})


@pytest.mark.parametrize(
    ("middle", "judge", "asked"),
    [
        ("local", "de", ["middle", "judge"]),
        ("openai", "local", []),
        ("local", "openai", []),
        ("local", None, []),
    ],
)
async def test_nothing_is_compared_where_the_requests_data_may_not_go(
    court: MakeCourt, middle: str, judge: str | None, asked: list[str]
) -> None:
    """Neither group is asked, and no money is set aside, unless both are where the request had to stay."""
    groups = Groups()
    groups.places = {"middle": middle, "judge": judge}
    made = court(groups)

    await made.judge.compare(replace(LIGHT, places=required(["eu"])))

    assert [group for group, _ in groups.asked] == asked
    assert ((await made.judge.today()).cost_usd > 0) is bool(asked)
