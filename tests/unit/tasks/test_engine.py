"""A task from its inputs to its outcome, over a real (if little) chat application."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuronode_router.domain.header_values import written
from neuronode_router.domain.names import AUTO, Tier
from neuronode_router.errors import (
    BadTaskInput,
    CompletionFailed,
    HoldsPersonalData,
    LeavesResidency,
    NotAllowed,
    NotAuthenticated,
)
from neuronode_router.tasks import shipped
from neuronode_router.tasks.completions import NOBODY_LEFT, Completions
from neuronode_router.tasks.engine import ROOM, TaskOrder, TaskOutcome, run
from neuronode_router.tasks.template import TaskTemplate
from tests.support.chat_app import CANARY, ChatApp, Reply

SENTIMENT, CLASSIFY = shipped()["sentiment"], shipped()["classify"]
CHAT, ANALYSIS = shipped()["chat"], shipped()["analysis"]
NEWS = {"text": "Earnings beat every forecast."}
RECOMMENDATION = {
    "action": "HOLD",
    "conviction": 0.4,
    "summary": "Wait.",
    "reasoning": "The data disagree.",
    "time_horizon": "days",
    "risks": ["news"],
}


async def done(app: ChatApp, order: TaskOrder) -> TaskOutcome:
    """Run an order over the application."""
    async with app.client() as client:
        return await run(order, Completions(client))


def told(outcome: TaskOutcome) -> tuple[Any, int, bool, list[str]]:
    """Return what is said of an outcome: value, attempts, escalated, reasons."""
    reasons = [why.value for why in outcome.reasons]
    return outcome.checked.value, outcome.attempts, outcome.escalated, reasons


async def test_a_label_is_accepted_at_once() -> None:
    """One request to the task's tier; its routing is read off the headers."""
    app = ChatApp("BULLISH")

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == ("BULLISH", 1, False, ["accepted"])
    assert app.names == ["auto:fast"]
    assert (outcome.tier, outcome.wanted, outcome.automatic) == (Tier.FAST, Tier.FAST, False)
    assert (outcome.answer.model_used, outcome.answer.routing_ms) == ("tier_fast", 0.25)
    assert (outcome.answer.tokens_generated, outcome.answer.reason) == (3, "active_profile,forced_tier")


async def test_what_a_task_says_is_sent() -> None:
    """Length, temperature and logprobs of labels; nothing that a deployment must know."""
    app = ChatApp("NEUTRAL")

    await done(app, TaskOrder(SENTIMENT, NEWS))

    body = dict(app.asked[0].body)
    messages = body.pop("messages")
    assert body == {
        "model": "auto:fast", "max_tokens": 16, "temperature": 0.1, "drop_params": True, "logprobs": True
    }  # fmt: skip
    assert [message["role"] for message in messages] == ["system", "user"]


async def test_a_schema_is_sent_with_the_request() -> None:
    """Where the answer is an object, the deployment is told its shape."""
    app = ChatApp(json.dumps(RECOMMENDATION))

    outcome = await done(app, TaskOrder(ANALYSIS, {"market_data": {"rsi": 71}}))

    shape = app.asked[0].body["response_format"]
    assert (shape["type"], shape["json_schema"]["schema"]) == ("json_schema", dict(ANALYSIS.output.schema))
    assert "logprobs" not in app.asked[0].body
    assert (outcome.checked.value, app.names) == (RECOMMENDATION, ["auto:complex"])


async def test_an_answer_outside_the_labels_is_asked_again_then_one_tier_up() -> None:
    """The retry shows what was wrong to the same tier; the next tier starts afresh; the outcome says so."""
    app = ChatApp("rather good", "hard to say", "BULLISH")

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert app.names == ["auto:fast", "auto:fast", "auto:medium"]
    assert told(outcome) == ("BULLISH", 3, True, ["invalid", "invalid", "accepted"])
    assert outcome.tier is Tier.MEDIUM
    assert [len(asked.body["messages"]) for asked in app.asked] == [2, 4, 2]
    assert app.asked[1].body["messages"][2]["content"] == "rather good"


async def test_a_doubtful_label_goes_one_tier_up() -> None:
    """Valid with little probability: the next tier is asked, and the surer answer is given."""
    app = ChatApp(Reply("BULLISH", sure=0.4), Reply("BEARISH", sure=0.95))

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert app.names == ["auto:fast", "auto:medium"]
    assert told(outcome) == ("BEARISH", 2, True, ["uncertain", "accepted"])
    assert outcome.confidence == pytest.approx(0.95)


async def test_nothing_valid_is_said_so() -> None:
    """Three attempts at most, and no made-up label."""
    app = ChatApp(then="no idea")

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == (None, 3, True, ["invalid", "invalid", "invalid"])
    assert (outcome.checked.valid, outcome.confidence) == (False, 0.0)


async def test_a_model_that_thinks_has_room_after_a_limit_cut_it_off() -> None:
    """Hidden thoughts count against the length: every further attempt has more, and a limit is named as the reason."""
    app = ChatApp(
        Reply(None, finish_reason="length"), Reply("<think>It may", finish_reason="length"), "BULLISH"
    )

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == ("BULLISH", 3, True, ["cut", "cut", "accepted"])
    assert [asked.body["max_tokens"] for asked in app.asked] == [16, 16 + ROOM, 16 + ROOM]


async def test_a_model_that_has_no_more_room_to_give_was_cut() -> None:
    """Some refuse a request for more tokens than their longest answer: the caller has not asked for them."""
    app = ChatApp(Reply("<think>hm", finish_reason="length"), then=Reply(status=400))

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}))

    assert (outcome.checked.valid, outcome.checked.problem) == (False, "cut")
    assert told(outcome) == (None, 1, False, ["cut", "failed"])


async def test_a_model_that_rambles_has_no_more_room_for_it() -> None:
    """It has spoken until the limit, and would until the next: two thousand tokens take a small model minutes."""
    app = ChatApp(then=Reply("The share and the market and the", finish_reason="length"))

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == (None, 3, True, ["cut", "cut", "cut"])
    assert [asked.body["max_tokens"] for asked in app.asked] == [16, 16, 16]


async def test_an_answer_that_is_cut_off_after_its_label_is_one() -> None:
    """Explanations need not come to their end."""
    app = ChatApp(Reply("BULLISH. Earnings beat", finish_reason="length"))

    assert told(await done(app, TaskOrder(SENTIMENT, NEWS))) == ("BULLISH", 1, False, ["accepted"])


async def test_a_cap_bounds_the_first_attempt_and_the_climb() -> None:
    """No tier above the caller's is asked, neither by the task's own wish nor by escalation."""
    app = ChatApp(then="nothing of use")

    await done(app, TaskOrder(ANALYSIS, {"market_data": {}}, highest=Tier.FAST))
    await done(app, TaskOrder(CLASSIFY, {"text": "x", "categories": ["a1", "b1"]}, highest=Tier.MEDIUM))

    assert app.names == ["auto:fast", "auto:fast", "auto:fast", "auto:fast", "auto:medium"]


async def test_auto_keeps_its_tier_for_the_retry() -> None:
    """What `auto` was classified as is where the retry goes, and from where the climb starts."""
    app = ChatApp("", "", "hello")

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}, name=AUTO))

    assert app.names == ["auto", "auto:medium", "auto:complex"]
    assert (outcome.automatic, outcome.wanted, outcome.tier) == (True, Tier.MEDIUM, Tier.COMPLEX)
    assert (outcome.first.task, outcome.first.confidence) == ("summary", 0.83)


async def test_auto_wants_what_was_decided_not_where_overload_sent_it() -> None:
    """A request that was moved down goes up from the tier that it needs."""
    moved = {"x-neuronode-tier": "fast", "x-neuronode-fallback": "1"}
    app = ChatApp(Reply("", headers=moved), "hello")

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}, name=AUTO))

    assert app.names == ["auto", "auto:medium"]
    assert (outcome.wanted, outcome.tier) == (Tier.MEDIUM, Tier.MEDIUM)


async def test_a_decision_that_is_not_in_force_is_not_told() -> None:
    """In shadow mode the explanation says what would have been done: that is not how the request went."""
    shadow = {"x-neuronode-explain": '{"wanted": "complex", "confidence": 0.9, "in_force": false}'}
    app = ChatApp(Reply("hello", headers=shadow))

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}, name=AUTO))

    assert (outcome.wanted, outcome.first.confidence) == (Tier.MEDIUM, None)


async def test_auto_without_our_headers_counts_as_the_tasks_tier() -> None:
    """A proxy without the plugin says no tier: the task's own is assumed."""
    bare = {f"x-neuronode-{name}": "" for name in ("tier", "group", "reason", "fallback", "explain")}
    app = ChatApp(Reply("hello", headers=bare))

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}, name=AUTO))

    assert (outcome.tier, outcome.answer.model_used) == (Tier.FAST, "auto")


async def test_a_model_group_is_asked_alone() -> None:
    """A forced name is asked once more when its answer is of no use, and never left for a tier."""
    app = ChatApp("", "")

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}, name="llama"))

    assert app.names == ["llama", "llama"]
    assert (outcome.tier, outcome.wanted, outcome.answer.model_used) == (None, None, "llama")


async def test_names_of_the_tiers_can_be_set() -> None:
    """With a name for a tier, that name is asked instead of `auto:<tier>`."""
    app = ChatApp("?", "?", "NEUTRAL")
    names = {Tier.FAST: "llama3.1:8b", Tier.MEDIUM: "auto:medium", Tier.COMPLEX: "llama3.1:70b"}

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS, names=names))

    assert app.names == ["llama3.1:8b", "llama3.1:8b", "auto:medium"]
    assert outcome.tier is Tier.MEDIUM


async def test_an_answer_from_another_tier_than_asked_is_no_escalation() -> None:
    """Under overload the proxy may answer from elsewhere: the outcome names that tier and the fallback."""
    moved = {"x-neuronode-tier": "medium", "x-neuronode-fallback": "1", "x-neuronode-group": "rescue"}
    app = ChatApp(Reply("NEUTRAL", headers=moved))

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert (outcome.tier, outcome.wanted, outcome.escalated) == (Tier.MEDIUM, Tier.FAST, False)
    assert (outcome.answer.fallback, outcome.answer.model_used) == (True, "rescue")


async def test_a_climb_that_fails_leaves_the_valid_answer() -> None:
    """A doubtful answer is better than none: it is given, and the reasons end with `failed`."""
    app = ChatApp(Reply("BULLISH", sure=0.4), Reply(status=503))

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == ("BULLISH", 1, False, ["uncertain", "failed"])


async def test_a_climb_that_is_not_allowed_ends_there() -> None:
    """A key for `auto:fast` alone gets what that tier can do, not a refusal of what it did not ask for."""
    refused = Reply(status=403, headers={"x-neuronode-reason": ""})
    app = ChatApp("?", "??", refused)

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == (None, 2, False, ["invalid", "invalid", "failed"])


async def test_a_retry_that_fails_is_an_error() -> None:
    """Without any valid answer a failure is told as one: the caller can come back later."""
    app = ChatApp("?", Reply(status=503))

    with pytest.raises(CompletionFailed) as failure:
        await done(app, TaskOrder(SENTIMENT, NEWS))

    assert failure.value.code == "completion_unavailable"


async def test_half_a_character_in_an_answer_does_no_harm() -> None:
    """A provider that cuts an emoji in two is shown its answer again without it."""
    app = ChatApp("well \ud83d", "NEUTRAL")

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert outcome.checked.value == "NEUTRAL"
    assert app.asked[1].body["messages"][2]["content"] == "well ?"


async def test_bad_inputs_are_refused_before_anybody_is_asked() -> None:
    """Nothing is spent on a request that cannot be rendered."""
    app = ChatApp()

    with pytest.raises(BadTaskInput):
        await done(app, TaskOrder(CLASSIFY, {"text": "x", "categories": ["only one"]}))

    assert app.asked == []


async def test_a_system_prompt_replaces_the_tasks_own() -> None:
    """`ModelRouter`'s callers bring their own."""
    app = ChatApp("ahoy")

    await done(app, TaskOrder(CHAT, {"message": "hi"}, system="Talk like a sailor."))

    assert app.asked[0].body["messages"][0] == {"role": "system", "content": "Talk like a sailor."}


async def test_a_provider_that_refuses_logprobs_is_asked_without_and_is_known_afterwards() -> None:
    """LiteLLM passes them on where it believes the provider to take them; another group is asked for them again."""
    moved = Reply("BULLISH", headers={"x-neuronode-group": "another"})
    app = ChatApp(Reply(status=400), "BULLISH", "BULLISH", moved, Reply("BULLISH", sure=0.9))
    async with app.client() as client:
        complete = Completions(client)
        outcomes = [await run(TaskOrder(SENTIMENT, NEWS), complete) for _ in range(4)]

    assert [asked.body.get("logprobs", False) for asked in app.asked] == [True, False, False, False, True]
    assert [told(outcome)[:2] for outcome in outcomes] == [("BULLISH", 1)] * 4
    assert outcomes[-1].confidence == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("task", "headers"), [(SENTIMENT, {"x-neuronode-refused": "refused_fit"}), (ANALYSIS, {})]
)
async def test_other_refusals_are_not_asked_again(task: TaskTemplate, headers: dict[str, str]) -> None:
    """The proxy's own, and those of requests that asked for no logprobs."""
    app = ChatApp(then=Reply(status=400, headers=headers))
    inputs: dict[str, Any] = NEWS if task is SENTIMENT else {"market_data": {"rsi": 71}}

    with pytest.raises(CompletionFailed):
        await done(app, TaskOrder(task, inputs))

    assert len(app.asked) == 1


async def test_the_group_that_answered_is_named_as_it_can_be_asked() -> None:
    """Headers carry it percent-encoded where HTTP has not its letters."""
    app = ChatApp(Reply("hi", headers={"x-neuronode-group": written("模型")}))

    outcome = await done(app, TaskOrder(CHAT, {"message": "hi"}))

    assert outcome.answer.model_used == "模型"


NOT_OURS = {"x-neuronode-reason": ""}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(status=400, headers=NOT_OURS), "completion_refused"),
        (Reply(status=404), "completion_refused"),
        (Reply(status=401), "completion_failed"),
        (Reply(status=403), "completion_failed"),
        (Reply(status=408), "completion_timeout"),
        (Reply(status=429), "completion_limited"),
        (Reply(status=400, headers=NOT_OURS, error_type="budget_exceeded"), "completion_limited"),
        (Reply(status=500), "completion_failed"),
        (Reply(status=502), "completion_failed"),
        (Reply(status=503), "completion_unavailable"),
        (Reply(status=504), "completion_timeout"),
        (Reply(raw=b"<html>"), "completion_failed"),
        (Reply(raw=b'{"choices": "x"}'), "completion_failed"),
        (Reply(raw=b'{"choices": [7]}'), "completion_failed"),
        (Reply(raw=b"{}"), "completion_failed"),
        (Reply(raw=b"[]"), "completion_failed"),
        (Reply(status=500, raw=b"\xff"), "completion_failed"),
    ],
)
async def test_errors_are_told_apart_and_never_quoted(reply: Reply, code: str) -> None:
    """A provider's 401 is not the caller's; the status is named, the provider's words are not."""
    app = ChatApp(reply)

    with pytest.raises(CompletionFailed) as failure:
        await done(app, TaskOrder(SENTIMENT, NEWS))

    assert (failure.value.code, failure.value.status) == (
        code,
        reply.status if code != "completion_limited" else 429,
    )
    assert CANARY not in failure.value.message + failure.value.fix


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b'{"choices": [7]}'])
async def test_what_is_no_completion_has_words_of_its_own(raw: bytes) -> None:
    """The proxy's log has nothing about it: it went well there."""
    app = ChatApp(Reply(raw=raw))

    with pytest.raises(CompletionFailed) as failure:
        await done(app, TaskOrder(SENTIMENT, NEWS))

    assert "is not what this path answers with" in failure.value.message
    assert "log" not in failure.value.fix


@pytest.mark.parametrize(
    "beside",
    [
        {"logprobs": {"content": [{"token": "BULLISH", "logprob": None}]}},
        {"logprobs": {"content": [{"token": "BULLISH"}]}},
        {"logprobs": {"content": [{"token": "BULLISH", "logprob": 10**400}]}},
        {"logprobs": {"content": "BULLISH"}},
        {"logprobs": ["BULLISH"]},
        {"logprobs": {"tokens": ["BULLISH"], "token_logprobs": [-0.1]}},
    ],
)
@pytest.mark.parametrize("usage", [None, {"completion_tokens": "many"}, {"completion_tokens": -7}, "none"])
async def test_no_answer_is_lost_for_what_stands_beside_it(beside: dict[str, Any], usage: Any) -> None:
    """Logprobs that cannot be read are none, and tokens that cannot be counted are 0."""
    choice = {"message": {"content": "BULLISH"}, **beside}
    app = ChatApp(Reply(raw=json.dumps({"choices": [choice], "usage": usage}).encode()))

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == ("BULLISH", 1, False, ["accepted"])
    assert (outcome.confidence, outcome.answer.tokens_generated) == (pytest.approx(2 / 3), 0)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": [{"type": "text"}]}}]},
    ],
)
async def test_an_answer_without_words_is_asked_for_again(body: dict[str, Any]) -> None:
    """It was paid for, and is not valid."""
    app = ChatApp(Reply(raw=json.dumps(body).encode()), "BULLISH")

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == ("BULLISH", 2, False, ["invalid", "accepted"])


async def test_a_name_whose_deployments_are_taken_out_is_no_limit() -> None:
    """LiteLLM says both with 429: nobody answers for this name now, and when somebody may."""
    left = Reply(status=429, error=f"{NOBODY_LEFT}, Try again in 5 seconds.", headers={"retry-after": "5"})

    with pytest.raises(CompletionFailed) as failure:
        await done(ChatApp(left), TaskOrder(SENTIMENT, NEWS))

    assert (failure.value.code, failure.value.retry_after) == ("completion_unavailable", "5")
    assert "none was asked" in failure.value.message


async def test_when_to_come_back_is_passed_on() -> None:
    """Retry-After of the proxy reaches the caller."""
    app = ChatApp(Reply(status=429, headers={"retry-after": "7"}))

    with pytest.raises(CompletionFailed) as failure:
        await done(app, TaskOrder(SENTIMENT, NEWS))

    assert failure.value.retry_after == "7"


@pytest.mark.parametrize(("status", "error"), [(401, NotAuthenticated), (403, NotAllowed)])
async def test_the_proxys_own_refusals_are_the_callers(status: int, error: type[Exception]) -> None:
    """What was refused before admission carries no reason of ours: it is about the caller's key."""
    app = ChatApp(Reply(status=status, headers=NOT_OURS))

    with pytest.raises(error):
        await done(app, TaskOrder(SENTIMENT, NEWS))


REFUSALS = {
    "refused_access": NotAllowed,
    "refused_residency": LeavesResidency,
    "refused_personal_data": HoldsPersonalData,
}
"""What admission refuses with 403, by the word that it is counted by."""


@pytest.mark.parametrize("reason", ["", "active_profile,forced_tier", "refused"])
@pytest.mark.parametrize("word", REFUSALS)
async def test_what_admission_refuses_is_no_providers_failure(word: str, reason: str) -> None:
    """Such answers carry a reason as what was admitted does, and a word of their own."""
    headers = {"x-neuronode-reason": reason, "x-neuronode-refused": word}
    app = ChatApp(Reply(status=403, headers=headers | {"x-neuronode-personal-data": "email,iban"}))

    with pytest.raises(NotAllowed) as refusal:
        await done(app, TaskOrder(SENTIMENT, NEWS))

    assert type(refusal.value) is REFUSALS[word]
    assert ("email,iban" in refusal.value.message) is (word == "refused_personal_data")


async def test_a_climb_that_admission_refuses_leaves_the_earlier_answer() -> None:
    """As one that LiteLLM's lists refuse."""
    headers = {"x-neuronode-reason": "active_profile", "x-neuronode-refused": "refused_access"}
    app = ChatApp("?", "??", Reply(status=403, headers=headers))

    outcome = await done(app, TaskOrder(SENTIMENT, NEWS))

    assert told(outcome) == (None, 2, False, ["invalid", "invalid", "failed"])
