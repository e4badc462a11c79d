"""Feedback on the classifier's decisions: who may judge what, and what becomes of it (API1, T12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from neuronode_router.access import key_hash
from neuronode_router.classifier.history import FeedbackOutcome
from neuronode_router.control.rollout_outcomes import RolloutOutcomes, RolloutOutcomeStore
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rollouts import Arm
from neuronode_router.rollouts.facts import AnswerOutcome
from neuronode_router.usage.buffer import Batch
from neuronode_router.usage.store import UsageStore
from tests.admin_api.feedback_world import Judged
from tests.admin_api.task_world import TaskWorld
from tests.admin_api.world import KNOWN_CALL, World
from tests.support.chat_app import Reply
from tests.support.usage import finished

ROUTE = "/admin/router/feedback"


def judged(world: World) -> Judged:
    """Return what is judged in this world."""
    assert world.judged is not None
    return world.judged


async def give(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    """Judge the known call."""
    return await client.post(ROUTE, json={"call_id": KNOWN_CALL, "verdict": "right"} | body)


async def test_who_asked_may_correct_the_classifier(world: World) -> None:
    """A member's verdict is kept with its name, and the answer repeats what had been decided, without the text."""
    async with world.client("member") as member:
        answer = await give(member, verdict="wrong", task="translation", tier="fast")

    assert answer.status_code == 200
    assert answer.json() | {"decided_at": 0, "confidence": 0} == {
        "call_id": KNOWN_CALL,
        "decided_at": 0,
        "task": "summary",
        "tier": "medium",
        "confidence": 0,
        "group": "tier_medium",
    }
    ((sign,),) = judged(world).signs().values()
    assert (sign.kind, sign.label, sign.tier, sign.giver) == (
        FeedbackOutcome.WRONG,
        "translation",
        Tier.FAST,
        "member",
    )
    assert "Zebrafink" not in answer.text


async def test_the_last_verdict_counts(world: World) -> None:
    """Somebody who changes his mind is not counted twice."""
    async with world.client("member") as member:
        await give(member, verdict="wrong", task="chat")
        await give(member, verdict="right")

    assert [sign.kind for sign in judged(world).signs()["member"]] == [FeedbackOutcome.RIGHT]


@pytest.mark.parametrize("caller", ["viewer", "member", "stranger"])
async def test_somebody_elses_request_does_not_exist(world: World, caller: str) -> None:
    """Foreign and unknown calls are answered alike, so that nobody can find out which ids there are."""
    judged(world).record("theirs", "somebody else")

    async with world.client(caller) as client:
        foreign, unknown = await give(client, call_id="theirs"), await give(client, call_id="nobody's")

    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json()["code"] == "unknown_call"
    assert foreign.json() == unknown.json()
    assert judged(world).signs() == {}


async def test_a_key_is_known_by_its_hash(world: World) -> None:
    """LiteLLM's keys are recorded by their hash: the key that asked is the key that may judge."""
    judged(world).record("call-of-key", key_hash(world.keys["member"]))

    async with world.client("member") as member, world.client("stranger") as stranger:
        mine, theirs = await give(member, call_id="call-of-key"), await give(stranger, call_id="call-of-key")

    assert (mine.status_code, theirs.status_code) == (200, 404)


async def test_an_administrator_may_judge_every_request(world: World) -> None:
    """Also one that he did not make."""
    judged(world).record("theirs", "somebody else")

    async with world.client("admin") as admin:
        answer = await give(admin, call_id="theirs")

    assert answer.status_code == 200
    ((sign,),) = judged(world).signs().values()
    assert sign.giver == "admin"


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "maybe"},
        {"verdict": "right", "task": "chat"},
        {"verdict": "wrong", "task": "other"},
        {"verdict": "wrong", "task": "poetry"},
        {"verdict": "wrong", "tier": "huge"},
        {"call_id": ""},
        {"call_id": "x" * 129},
        {"call_id": "a\x00b"},
        {"text": "secret"},
    ],
)
async def test_what_is_not_documented_is_refused(admin: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Unknown fields, words and contradictions: 422 with the place, nothing kept."""
    answer = await give(admin, **body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_feedback_is_counted_like_a_write(world: World) -> None:
    """T23: one caller cannot flood the history."""
    world.write_limit = "2/minute"
    world.leave_the_shared_application()

    async with world.client("member") as member:
        statuses = [(await give(member)).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


async def test_without_a_history_it_says_so(world: World, admin: httpx.AsyncClient) -> None:
    """The default keeps nothing, and the answer names the setting."""
    world.judged = None

    answer = await give(admin)

    assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")
    assert "NEURONODE_HISTORY=on" in answer.json()["fix"]


async def test_a_task_that_was_escalated_is_a_sign(tasks: TaskWorld) -> None:
    """The task API tells that a classified request's first answer was not good enough."""
    mine = judged(tasks.world)
    mine.record("call-of-task", "member")
    mine.learning.start()
    tasks.chat.script.extend([Reply("", headers={"x-litellm-call-id": "call-of-task"}), "", "hello"])

    answer = await tasks.post("/chat", {"message": "hi"})
    mine.learning.stop()

    assert (answer.status_code, tasks.chat.names) == (200, ["auto", "auto:medium", "auto:complex"])
    assert {sign.kind for sign in mine.signs()["member"]} == {
        FeedbackOutcome.ESCALATED,
        FeedbackOutcome.LABEL_FAILURE,
    }


async def test_the_answer_of_a_fallback_says_nothing_of_the_tier_that_was_chosen(tasks: TaskWorld) -> None:
    """Whatever became of it: another tier gave it."""
    mine = judged(tasks.world)
    mine.record("call-of-task", "member")
    mine.learning.start()
    told = {"x-litellm-call-id": "call-of-task", "x-neuronode-fallback": "1"}
    tasks.chat.script.extend([Reply("", headers=told), "", "hello"])

    answer = await tasks.post("/chat", {"message": "hi"})
    mine.learning.stop()

    assert (answer.status_code, mine.signs()) == (200, {})


async def test_a_tier_that_was_forced_says_nothing_of_the_classifier(tasks: TaskWorld) -> None:
    """Nor does an answer that was accepted at once."""
    mine = judged(tasks.world)
    mine.record("call-of-task", "member")
    mine.learning.start()
    told = {"x-litellm-call-id": "call-of-task"}
    tasks.chat.script.extend([Reply("", headers=told), "", "hello", Reply("hello", headers=told)])

    await tasks.post("/chat", {"message": "hi", "force_tier": "fast"})
    await tasks.post("/chat", {"message": "hi"})
    mine.learning.stop()

    assert mine.signs() == {}


async def tried(world: World, *call_ids: str) -> None:
    """Let a rollout run whose canary has answered these calls."""
    body = {"profile": "balanced", "guards": [{"metric": "negative_feedback_rate", "worse_by": 0.1}]}
    async with world.client() as admin:
        (await admin.post("/admin/rollouts", json=body)).raise_for_status()
    running = world.store.rollouts.running()
    assert running is not None
    about = {"arm": "canary", "revision": running.since_revision, "task": "chat"}
    requests = [finished(call_id=call_id, **about) for call_id in call_ids]
    UsageStore(world.store.database).add("w", Batch(1, {}, requests), at=running.since)


def _answers(world: World) -> RolloutOutcomes:
    """Return what another worker hears."""
    return RolloutOutcomes(
        RolloutOutcomeStore(world.store.database),
        keys_of=UsageStore(world.store.database).keys_of,
        runs=lambda: True,
    )


async def outcomes(world: World) -> Mapping[AnswerOutcome, int]:
    """Return what the canary's answers to `chat` are known for."""
    assert world.answers is not None
    await world.answers.share()
    found = RolloutOutcomeStore(world.store.database).read(revision=0)
    return found.get("chat", {}).get(Arm.CANARY, {})


@pytest.mark.parametrize(
    ("verdicts", "negative"),
    [
        (("right", "wrong", "wrong"), 1),
        (("wrong", "right"), 0),
        (("wrong", "right", "wrong"), 1),
        (("right",), 0),
    ],
)
async def test_a_verdict_counts_for_the_arm_that_answered(
    world: World, admin: httpx.AsyncClient, verdicts: Sequence[str], negative: int
) -> None:
    """Once, however often it is said, and until it is taken back; which worker is told makes no difference."""
    await tried(world, KNOWN_CALL)
    heard, others = world.answers, _answers(world)

    for number, verdict in enumerate(verdicts):
        world.answers = (heard, others)[number % 2]
        assert (await give(admin, verdict=verdict)).status_code == 200
    await others.share()
    world.answers = heard

    assert (await outcomes(world)).get(AnswerOutcome.NEGATIVE, 0) == negative


async def test_two_who_call_a_decision_wrong_are_one_complaint(
    world: World, admin: httpx.AsyncClient
) -> None:
    """It is taken back when both have taken it back."""
    await tried(world, KNOWN_CALL)
    async with world.client("member") as member:
        for said, verdict in ((admin, "wrong"), (member, "wrong"), (admin, "right")):
            assert (await give(said, verdict=verdict)).status_code == 200
        between = dict(await outcomes(world))
        assert (await give(member, verdict="right")).status_code == 200

    assert between == {AnswerOutcome.NEGATIVE: 1}
    assert (await outcomes(world))[AnswerOutcome.NEGATIVE] == 0


async def test_a_task_tells_of_the_arm_how_its_first_answer_was(tasks: TaskWorld) -> None:
    """A label or a schema that it missed, and that a higher tier had to answer; free text is only a run."""
    await tried(tasks.world, "label", "text")
    first = Reply("neither", headers={"x-litellm-call-id": "label"})
    tasks.chat.script.extend(
        [first, "neither", "BULLISH", Reply("hi", headers={"x-litellm-call-id": "text"})]
    )

    answers = [
        await tasks.post("/sentiment", {"text": "Up it goes."}),
        await tasks.post("/chat", {"message": "hello"}),
    ]

    assert [one.status_code for one in answers] == [200, 200]
    assert await outcomes(tasks.world) == {
        AnswerOutcome.RUN: 2,
        AnswerOutcome.LABEL: 1,
        AnswerOutcome.NO_LABEL: 1,
        AnswerOutcome.ESCALATED: 1,
    }


async def test_a_label_that_a_limit_cut_off_says_nothing_of_the_arm(tasks: TaskWorld) -> None:
    """Too little room is the task's fault."""
    await tried(tasks.world, "label")
    cut = Reply("", finish_reason="length", headers={"x-litellm-call-id": "label"})
    tasks.chat.script.extend([cut, "BULLISH"])

    answer = await tasks.post("/sentiment", {"text": "Up it goes."})

    assert answer.json()["routing"]["reasons"] == ["cut", "accepted"]
    assert await outcomes(tasks.world) == {AnswerOutcome.RUN: 1}
