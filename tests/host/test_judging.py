"""A light answer that LiteLLM logs is compared in the background: by its router, on nobody's key."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import litellm
import pytest
from litellm.constants import LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME as ACCOUNT
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.auto.comparison import Comparison
from neuronode_router.auto.history_writer import DecisionRecorder
from neuronode_router.auto.judge import AnswerJudge, GroupFailed, GroupQuestion, JudgeSettings
from neuronode_router.auto.judged_days import JudgedDays
from neuronode_router.background import Failures
from neuronode_router.classifier.history import FeedbackOutcome
from neuronode_router.litellm_plugin.hooks.compared import HELD, HeldRequests, comparison_of
from neuronode_router.litellm_plugin.hooks.outcomes import OutcomeHooks
from neuronode_router.litellm_plugin.hooks.usage import Groups, UsageHooks
from neuronode_router.litellm_plugin.router.judging import NAME, JudgedGroups
from neuronode_router.storage.database import Database
from neuronode_router.usage.buffer import UsageBuffer
from tests.host.routers import bridged, deployment, measured, router
from tests.support.migrated import migrated
from tests.support.upstream import Upstream
from tests.support.waiting import eventually

PRICED = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
QUESTION = "Which city is that?"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DEMANDED = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA}}


def says(text: str) -> str:
    """Return what has the fake provider say a text, as a part of a deployment's name."""
    return f"say-{base64.urlsafe_b64encode(text.encode()).decode()}"


JUDGE = "judge-" + says('{"better": "both"}')


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The fake provider."""
    with Upstream() as provider:
        yield provider


class Spender(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """Notes who pays for which group, and under which tags."""

    def __init__(self) -> None:
        super().__init__()
        self.paid: list[tuple[str, object, object, object]] = []

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        about = kwargs["litellm_params"]["metadata"]
        keys = ("user_api_key", "user_api_key_alias", "tags")
        self.paid.append((about["model_group"], *(about.get(key) for key in keys)))


class Bench:
    """A router whose light answers are judged, and what comes of it."""

    def __init__(self, url: str, database: Database) -> None:
        names = {"small": "small", "middle": "middle", "large": JUDGE}
        self.over = router(
            [
                deployment(group, name, f"{url}/v1", info=PRICED | {"id": f"id-{group}"})
                for group, name in names.items()
            ]
            + [deployment("claude", "claude", url, provider="anthropic", info=PRICED | {"id": "id-claude"})]
        )
        self.offered: list[Comparison] = []
        self.outcomes: list[tuple[str, FeedbackOutcome, tuple[str, ...]]] = []
        self.groups = JudgedGroups(bridged(self.over))
        self.judge = AnswerJudge(
            JudgeSettings("large", 1.0),
            days=JudgedDays(database, budget_usd=1.0),
            groups=self.groups,
            told=self._told,
            failures=Failures(),
        )
        self.hooks = OutcomeHooks(cast(DecisionRecorder, self), group_of=self._group_of, judge=self.judge)
        self.buffer = UsageBuffer()
        self.usage = UsageHooks(buffer=self.buffer, groups=Groups(self._group_of, set(names).__contains__))
        self.spender = Spender()

    def outcome(self, call_id: str, kind: FeedbackOutcome, *, callers: tuple[str, ...]) -> None:
        """Hear of an outcome, as a recorder does."""
        self.outcomes.append((call_id, kind, callers))

    def _told(self, comparison: Comparison, enough: bool) -> None:
        self.offered.append(comparison)
        DecisionRecorder.judged(cast(DecisionRecorder, self), comparison, enough)

    def answered(self, call_id: str, *, caller: str) -> None:
        """Hear of an answer."""

    async def ask_by(self, wire: str, *, group: str, stream: bool, **body: Any) -> None:
        """Send one light request in the messages or responses format and read its answer."""
        mark = {"tiers": {group: "fast"}, "group": group, "asked": f"id-{group}", "reason": "active_profile"}
        ask = {"messages": self.over.aanthropic_messages, "responses": self.over.aresponses}[wire]
        bucket = {"neuronode": mark | {"rival": "middle"}, "user_api_key_hash": "hash"}
        answer = await ask(
            model=group, litellm_metadata=bucket, litellm_call_id="call-1", stream=stream, **body
        )
        if stream:
            async for _ in answer:
                pass

    async def ask(self, *, rival: str | None = "middle", stream: bool = False, **body: Any) -> None:
        """Send one light request and read its answer."""
        mark = {"tiers": {"small": "fast"}, "group": "small", "asked": "id-small", "reason": "active_profile"}
        fields = {"messages": [{"role": "user", "content": QUESTION}]} | body
        answer = await self.over.acompletion(
            model="small",
            metadata={"neuronode": mark | {"rival": rival}, "user_api_key_hash": "hash"},
            litellm_call_id="call-1",
            stream=stream,
            **fields,
        )
        if stream:
            async for _ in answer:
                pass

    @staticmethod
    def _group_of(info: Any) -> tuple[str | None, bool]:
        return str(info["model_id"]).removeprefix("id-"), False


@pytest.fixture
async def bench(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Bench]:
    """One with its hooks in LiteLLM and its judge at work."""
    database = Database(migrated(tmp_path / "control.db"))
    found = Bench(upstream.url, database)
    for callback in (found.usage, found.hooks, found.spender):
        litellm.logging_callback_manager.add_litellm_callback(callback)
    found.judge.start()
    yield found
    await found.judge.stop()
    database.dispose()
    assert (found.hooks.failures.total, found.usage.failures.total) == (0, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_compared_and_shown_as_the_judges(
    bench: Bench, upstream: Upstream, *, stream: bool
) -> None:
    """One call to the next tier's group and one to the judge, on LiteLLM's own account; the caller pays for neither."""
    before = upstream.counts()

    await bench.ask(stream=stream)
    await eventually(lambda: bench.outcomes)
    await eventually(lambda: len(bench.spender.paid) == 3)

    assert bench.outcomes == [("call-1", FeedbackOutcome.JUDGED_ENOUGH, ("hash",))]
    shown = (ACCOUNT, NAME, [NAME])
    assert [paid[0] for paid in bench.spender.paid] == ["small", "middle", "large"]
    assert [paid[1:] for paid in bench.spender.paid[1:]] == [shown, shown]
    after = upstream.counts()
    assert [after[name]["requests"] - before[name]["requests"] for name in ("small", "middle", JUDGE)] == [
        1
    ] * 3
    day = await bench.judge.today()
    assert (day.enough, day.cost_usd) == (1, pytest.approx(2 * (11e-6 + 3 * 2e-6)))
    batch = bench.buffer.take()
    assert batch is not None
    seen = [(each.key.chosen_group, each.key.reason, each.key.team) for each in batch.requests]
    assert seen == [("small", "active_profile", ""), ("middle", "judge", ""), ("large", "judge", "")]
    assert not bench.usage.unseen


SYSTEM, HELLO = "Be brief.", {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
SAID = [{"role": "user", "content": "Hi."}, HELLO, {"role": "user", "content": QUESTION}]
ITEMS: list[dict[str, Any]] = [
    SAID[0],
    {"role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
]
BODIES: Mapping[str, dict[str, Any]] = {
    "messages": {"system": SYSTEM, "messages": SAID, "max_tokens": 60},
    "responses": {"instructions": SYSTEM, "input": ITEMS, "max_output_tokens": 60},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("group", ["small", "claude"])
@pytest.mark.parametrize("wire", list(BODIES))
async def test_other_formats_are_compared_as_the_same_conversation(
    bench: Bench, wire: str, group: str, *, stream: bool
) -> None:
    """By the provider's own format or translated by LiteLLM: system prompt, turns and answer, once, and then let go."""
    await bench.ask_by(wire, group=group, stream=stream, **BODIES[wire])
    await eventually(lambda: bench.offered)

    (found,) = bench.offered
    assert [(message["role"], message["content"]) for message in found.messages] == [
        ("system", SYSTEM),
        ("user", "Hi."),
        ("assistant", "Hello."),
        ("user", QUESTION),
    ]
    assert (found.answer.split(), found.rival, found.max_tokens) == ([group] * 3, "middle", 60)
    assert bench.outcomes == [("call-1", FeedbackOutcome.JUDGED_ENOUGH, ("hash",))]
    assert bench.hooks._held.take(("call-1", "hash")) is None


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("responses", {"previous_response_id": "resp_1"}),
        ("responses", {"text": {"format": {"type": "json_object"}}}),
        ("responses", {"input": [*ITEMS, {"type": "reasoning", "summary": []}]}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}),
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)
async def test_more_than_text_is_not_held(wire: str, body: dict[str, Any]) -> None:
    """What another group would not be asked again is not compared: earlier turns elsewhere, forms, documents."""
    held, whose = HeldRequests(), ("c", "h")

    held.hold(whose, BODIES[wire] | body, {"messages": "anthropic_messages", "responses": "aresponses"}[wire])

    assert comparison_of({}, held=held.take(whose), answer="fine", rival="r", whose=whose) is None


def test_no_more_requests_are_held_than_may_wait() -> None:
    """The oldest is let go, and one whose answer is there."""
    held = HeldRequests()
    for number in range(HELD + 1):
        held.hold((str(number), "h"), {"input": QUESTION}, "aresponses")

    assert held.take(("0", "h")) is None
    assert [held.take((str(HELD), "h")) is None for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    "body",
    [
        {"rival": None},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url"}]}]},
        {"messages": [{"role": "tool", "content": "42", "tool_call_id": "1"}]},
        {"messages": [{"role": "user", "content": "x" * 20_000}]},
        {"max_tokens": 3, "mock_response": "redacted-by-litellm"},
    ],
    ids=["not sampled", "more than text", "a tool's result", "long", "redacted"],
)
async def test_other_answers_are_left_alone(bench: Bench, body: dict[str, Any]) -> None:
    """Nobody else is asked: a later, sampled answer is the first to be compared."""
    rival = body.pop("rival", "middle")

    await bench.ask(rival=rival, mock_response=body.pop("mock_response", "fine"), **body)
    await eventually(lambda: len(bench.spender.paid) == 1)
    await bench.ask()
    await eventually(lambda: bench.outcomes)
    await eventually(lambda: len(bench.spender.paid) == 4)

    assert [paid[0] for paid in bench.spender.paid] == ["small", "small", "middle", "large"]


async def test_a_wrong_form_needs_no_judge(bench: Bench) -> None:
    """It is not good already; a right form leaves the word to the judge."""
    await bench.ask(response_format=DEMANDED, mock_response="n is 1")
    await eventually(lambda: bench.outcomes)
    await bench.ask(response_format=DEMANDED, mock_response='{"n": 1}')
    await eventually(lambda: len(bench.outcomes) == 2)

    kinds = [kind for _, kind, _ in bench.outcomes]
    assert kinds == [FeedbackOutcome.LABEL_FAILURE, FeedbackOutcome.JUDGED_ENOUGH]


async def test_what_the_judge_asks_is_not_measured(bench: Bench) -> None:
    """The health of deployments is judged by clients' requests."""
    with measured(bench.over) as seen:
        await bench.ask()
        await eventually(lambda: bench.outcomes)
        await seen.settled(1)
        assert seen.counted().keys() == {"id-small"}


async def test_a_group_that_fails_is_one_word(bench: Bench, upstream: Upstream) -> None:
    """Without retries, fallbacks or the provider's text; where there is no router, too."""
    made = router(
        [
            deployment("g", "out-fail-500", f"{upstream.url}/v1"),
            deployment("full", "out-fail-429", f"{upstream.url}/v1"),
            deployment("rescue", "r", f"{upstream.url}/v1"),
        ],
        num_retries=3,
        fallbacks=[{"g": ["rescue"]}],
    )
    before = upstream.counts()["out-fail-500"]["requests"]
    messages = [{"role": "user", "content": QUESTION}]

    for over, group, outcome, cost in (
        (made, "g", "unavailable", 0.5),
        (made, "full", "rate_limit", 0.0),
        (None, "g", "other", 0.5),
    ):
        with pytest.raises(GroupFailed, match=f"^{outcome}$") as failed:
            await JudgedGroups(bridged(over)).answer(GroupQuestion(group, messages, 9, None, seconds=5))
        assert failed.value.cost_usd(0.5) == cost

    assert upstream.counts()["out-fail-500"]["requests"] - before == 1


def test_the_dearest_deployment_bounds_a_group() -> None:
    """One without a price leaves the group without; zero by the operator's word is a price."""
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    entries = [
        deployment(
            "two", "a", "http://x", info={"input_cost_per_token": 5e-6, "output_cost_per_token": 6e-6}
        ),
        deployment(
            "two", "b", "http://x", info={"input_cost_per_token": 1e-6, "output_cost_per_token": 9e-6}
        ),
        deployment("half", "c", "http://x", info=PRICED),
        deployment("half", "d", "http://x"),
        deployment("free", "e", "http://x", info=free),
    ]
    groups = JudgedGroups(bridged(router(entries)))

    two, half, nothing, unknown = (groups.price(name) for name in ("two", "half", "free", "nowhere"))

    assert two is not None
    assert nothing is not None
    assert (two.prompt, two.completion, nothing.cost(9, 9)) == (5e-6, 9e-6, 0.0)
    assert (half, unknown) == (None, None)
