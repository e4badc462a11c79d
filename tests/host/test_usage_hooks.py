"""The hooks that tell when a request has ended: they exist in LiteLLM, and each request counts once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import litellm
import pytest
from fastapi import FastAPI, HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.common_utils.proxy_rate_limit_error import ProxyRateLimitError
from litellm.types.router import RouterRateLimitErrorBasic

from neuronode_router.errors import LeavesResidency
from neuronode_router.litellm_plugin import outgoing
from neuronode_router.litellm_plugin.hooks.request_metadata import (
    ASKED,
    WENT,
    mark_fail_open,
    note_asked,
    note_size,
)
from neuronode_router.litellm_plugin.hooks.usage import FAILED_SECONDS, LOST_SECONDS, Groups, UsageHooks
from neuronode_router.litellm_plugin.router.prices import group_notes, listed_price
from neuronode_router.routing.inventory import read_inventory
from neuronode_router.routing.tokens import estimate
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome, UsageKey
from neuronode_router.usage.prices import Price
from tests.host.routers import bridged
from tests.support.upstream import Upstream

HOOKS = (
    "async_log_success_event",
    "async_log_failure_event",
    "async_post_call_failure_hook",
)
USER = UserAPIKeyAuth(team_id="a")
DEPLOYMENTS = {f"id-{group}": group for group in ("chat", "failing", "rescue", "ours")}


class CountingHooks:
    """Hooks with a clock to turn, and what it counted."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.buffer = UsageBuffer()
        groups = Groups(
            lambda info: (DEPLOYMENTS.get(str(info["model_id"])), False),
            {"chat", "rescue"}.__contains__,
            price_of={"id-chat": Price(0.001, 0.002)}.get,
        )
        self.hooks = UsageHooks(buffer=self.buffer, groups=groups, clock=lambda: self.now)

    def counted(self) -> list[FinishedRequest]:
        batch = self.buffer.take()
        assert self.hooks.failures.total == 0
        return list(batch.requests) if batch else []


@pytest.fixture
def counting() -> CountingHooks:
    return CountingHooks()


def mark(group: str = "chat") -> dict[str, Any]:
    why = {"reason": "active_profile", "steps": ["classified"]}
    return {"revision": 3, "profile": "p", "task": "t", "tier": "fast", "group": group, **why}


def logged(request_mark: object, **changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "model_id": "id-chat", "model_group": "chat", "prompt_tokens": 11, "completion_tokens": 3,
        "response_cost": 17e-6, "cost_breakdown": None, "cache_hit": None, "stream": False, "startTime": 1.0,
        "completionStartTime": 1.0, "endTime": 2.0, "error_information": None,
        "metadata": {"user_api_key_team_id": "a"},
    }  # fmt: skip
    params = {"metadata": {"neuronode": request_mark}}
    return {"standard_logging_object": payload | changes, "litellm_params": params, "litellm_call_id": "c-1"}


@pytest.mark.parametrize("hook", HOOKS)
def test_our_hooks_take_what_litellm_gives_by_name(hook: str) -> None:
    """LiteLLM calls hooks by keyword: every parameter it declares is one of ours."""
    theirs = inspect.signature(getattr(CustomLogger, hook)).parameters
    ours = inspect.signature(getattr(UsageHooks, hook)).parameters

    assert set(ours) == set(theirs)
    assert hook in vars(UsageHooks), "LiteLLM looks in the class itself"


async def test_a_saved_attempt_and_its_answer_are_one_request(counting: CountingHooks) -> None:
    """The failure of an attempt, before any answer began, counts for nothing; the answer counts, as a fallback."""
    one = mark()

    await counting.hooks.async_log_failure_event(
        logged(one) | {"exception": TimeoutError()}, None, None, None
    )
    counting.hooks.begins(answering(one), USER, None)
    await counting.hooks.async_log_success_event(logged(one, model_id="id-rescue"), None, None, None)
    await counting.hooks.async_log_success_event(logged(one), None, None, None)
    counting.now += 2 * LOST_SECONDS
    counting.hooks.sweep()

    (found,) = counting.counted()
    expected = UsageKey(
        *("p", 3, "t", "fast", "chat", "rescue", "id-rescue", "a", "active_profile"),
        outcome=RequestOutcome.ANSWERED,
        location="unknown",
    )
    assert found.key == expected
    assert found.fallback
    assert found.steps == ("classified",)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_refusal_names_no_deployment_unless_one_was_asked(
    counting: CountingHooks, *, asked: bool
) -> None:
    """LiteLLM's log of a failure names one of the group's all the same; what went out before is told."""
    refusal = RuntimeError()
    refusal.__cause__ = LeavesResidency("It would leave.")
    one = mark() | ({ASKED: "id-chat", WENT: ["us"]} if asked else {})
    data = answering(one) | {"standard_logging_object": logged(one)["standard_logging_object"]}

    await counting.hooks.async_post_call_failure_hook(data, refusal, USER)

    (found,) = counting.counted()
    assert found.key.outcome == RequestOutcome.REFUSED_RESIDENCY
    assert (found.key.deployment, found.key.location) == (("id-chat", "us") if asked else ("", ""))


BY_THE_PROXY = {
    "a key's limit": (ProxyRateLimitError(detail="Three a minute."), "refused_limit"),
    "a budget": (litellm.BudgetExceededError(current_cost=2.0, max_budget=1.0), "refused_limit"),
    "a model out of bounds": (HTTPException(status_code=401, detail="Not yours."), "authentication"),
    "a name that nobody has": (HTTPException(status_code=404, detail="What?"), "not_found"),
    "a guardrail": (HTTPException(status_code=400, detail="No."), "bad_request"),
}


@pytest.mark.parametrize("why", BY_THE_PROXY)
async def test_what_the_proxy_said_no_to_failed_at_no_group(counting: CountingHooks, why: str) -> None:
    """LiteLLM's log names the group it would have asked: whoever is told of errors would look there."""
    error, outcome = BY_THE_PROXY[why]
    data = answering(mark()) | {"standard_logging_object": logged(None)["standard_logging_object"]}

    await counting.hooks.async_post_call_failure_hook(data, error, USER)

    (found,) = counting.counted()
    assert (found.key.outcome, found.key.chosen_group) == (outcome, "chat")
    assert (found.key.served_group, found.key.deployment, found.key.location) == ("", "", "")
    assert not found.fallback


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (litellm.AuthenticationError(message="whose key?", llm_provider="p", model="m"), "authentication"),
        (litellm.NotFoundError(message="no such model", llm_provider="p", model="m"), "not_found"),
        (RouterRateLimitErrorBasic("chat"), "rate_limit"),
    ],
)
async def test_what_a_group_said_no_to_is_its_own(
    counting: CountingHooks, error: Exception, outcome: str
) -> None:
    """The provider that refuses our key or model; and whose deployments LiteLLM has all taken out."""
    one = mark() | ({} if outcome == "rate_limit" else {ASKED: "id-chat", WENT: ["us"]})
    data = answering(one) | {"standard_logging_object": logged(one)["standard_logging_object"]}

    await counting.hooks.async_post_call_failure_hook(data, error, USER)

    (found,) = counting.counted()
    assert (found.key.outcome, found.key.served_group) == (outcome, "chat")


@pytest.mark.parametrize(("why", "arm"), [("a key's limit", ""), ("a guardrail", "canary")])
async def test_a_callers_limit_is_no_error_of_an_arm(counting: CountingHooks, why: str, arm: str) -> None:
    """Who asks again and again beyond his own limit would end a rollout."""
    data = answering(mark() | {"arm": "canary", "compared": True})

    await counting.hooks.async_post_call_failure_hook(data, BY_THE_PROXY[why][0], USER)

    (found,) = counting.counted()
    assert found.key.arm == arm


def answering(request_mark: object) -> dict[str, Any]:
    return {"metadata": {"neuronode": request_mark}, "litellm_call_id": "c-1"}


async def test_a_failed_request_counts_once_whatever_else_is_told(counting: CountingHooks) -> None:
    """Failure hook, failure log and the headers of the error answer together are one error."""
    one = mark()
    data = answering(one) | {"standard_logging_object": None}

    await counting.hooks.async_log_failure_event(logged(one), None, None, None)
    await counting.hooks.async_post_call_failure_hook(data, TimeoutError(), USER)
    await counting.hooks.async_post_call_failure_hook(data, TimeoutError(), USER)
    counting.hooks.begins(data, USER, None)
    counting.now += 2 * LOST_SECONDS
    counting.hooks.sweep()

    (found,) = counting.counted()
    assert (found.key.outcome, found.cost, found.latency_ms) == (RequestOutcome.TIMEOUT, None, None)


async def test_a_stream_that_breaks_counts_when_nothing_saves_it(counting: CountingHooks) -> None:
    """The failure log after the answer began is the end, unless the answer goes on within a minute."""
    broken, saved = mark(), mark()
    for one in (broken, saved):
        counting.hooks.begins(answering(one), USER, None)
        await counting.hooks.async_log_failure_event(
            logged(one) | {"exception": httpx.ReadError("cut")}, None, None, None
        )
    counting.hooks.sweep()
    await counting.hooks.async_log_success_event(logged(saved), None, None, None)
    early = counting.counted()
    counting.now += FAILED_SECONDS
    counting.hooks.sweep()

    assert [one.key.outcome for one in early] == [RequestOutcome.ANSWERED]
    (late,) = counting.counted()
    assert (late.key.outcome, late.completion_tokens, late.cost) == (RequestOutcome.UNAVAILABLE, 3, 17e-6)


def counted_after(seconds: float, counting: CountingHooks) -> FinishedRequest:
    """Return the one request that is counted then, and not a second earlier."""
    counting.now += seconds - 1
    counting.hooks.sweep()
    before = counting.counted()
    counting.now += 1
    counting.hooks.sweep()

    assert before == []
    (found,) = counting.counted()
    return found


async def test_an_answer_of_which_nothing_more_is_heard_is_lost(counting: CountingHooks) -> None:
    """After an hour it counts, with what its prompt was estimated at when a deployment was chosen, and at its price."""
    info: dict[str, object] = {"model_id": "id-chat"}
    counting.hooks.begins(answering(sized()), USER, None, info)

    found = counted_after(LOST_SECONDS, counting)

    assert (found.key.outcome, found.key.deployment, found.prompt_tokens, found.cost, found.output_cost) == (
        RequestOutcome.LOST,
        "id-chat",
        500,
        0.5,
        0.0,
    )


def sized() -> dict[str, Any]:
    found = mark()
    note_size(answering(found), 500)
    return found


async def leave(hooks: UsageHooks, one: dict[str, Any], tokens: int) -> None:
    """Have an answer begin on its way out, and its client leave after so many tokens."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        hooks.begins(answering(one), USER, None, {"model_id": "id-chat"})
        head = {"type": "http.response.start", "headers": [(b"content-type", b"text/event-stream")]}
        await send({**head, "status": 200})
        event = b'data: {"text": "0123456789012345"}\n\n'
        for _ in range(tokens // estimate(["0123456789012345"])):
            await send({"type": "http.response.body", "body": event, "more_body": True})

    async def sent(_: object) -> None:
        pass

    app = FastAPI()
    app.router.middleware_stack = inner
    outgoing.watch(app, hooks.failures)
    await app.router.middleware_stack({"type": "http", "method": "POST", "path": "/"}, None, sent)


async def test_a_stream_that_its_client_left_costs_what_was_sent(counting: CountingHooks) -> None:
    """Where LiteLLM has not told of it within a minute: the prompt and the words that went out, at the list's price."""
    await leave(counting.hooks, sized(), 100)

    found = counted_after(FAILED_SECONDS, counting)

    assert (found.key.outcome, found.key.served_group, found.prompt_tokens) == ("cancelled", "chat", 500)
    assert 80 < found.completion_tokens <= 120
    assert found.output_cost == pytest.approx(found.completion_tokens * 0.002)
    assert found.cost == pytest.approx(0.5 + found.output_cost)
    assert found.latency_ms is None


@pytest.mark.parametrize("told", ["before", "after"])
async def test_litellms_word_of_a_stream_that_was_left_goes_first(counting: CountingHooks, told: str) -> None:
    """It comes when the stream is closed, or a little later."""
    one = sized()
    if told == "before":
        await counting.hooks.async_log_success_event(logged(one), None, None, None)
    await leave(counting.hooks, one, 100)
    if told == "after":
        await counting.hooks.async_log_success_event(logged(one), None, None, None)
    counting.now += LOST_SECONDS
    counting.hooks.sweep()

    (found,) = counting.counted()
    assert (found.prompt_tokens, found.completion_tokens, found.cost) == (11, 3, 17e-6)


async def test_whoever_stops_counts_what_nobody_told_of(counting: CountingHooks) -> None:
    """An answer that had begun is lost then, and counted as that; nothing more is waited for."""
    counting.hooks.begins(answering(mark()), USER, None)
    awaited = counting.hooks.awaits
    counting.hooks.sweep(last=True)

    (found,) = counting.counted()
    assert (awaited, counting.hooks.awaits) == (True, False)
    assert found.key.outcome == RequestOutcome.LOST


async def test_what_admission_did_not_see_is_not_counted(counting: CountingHooks) -> None:
    """Refused keys, pass-through bodies and calls of LiteLLM's own carry no mark of ours."""
    bare = logged(None)
    del bare["litellm_params"]["metadata"]["neuronode"]

    await counting.hooks.async_log_success_event(bare, None, None, None)
    await counting.hooks.async_post_call_failure_hook({"model": "x"}, ValueError(), USER)
    counting.hooks.begins({"model": "x"}, USER, None)

    assert counting.counted() == []


async def test_a_request_that_went_litellms_own_way_is_counted(counting: CountingHooks) -> None:
    """Once, with the group that answered. It was asked before our eyes, and no other one was chosen."""
    request: dict[str, Any] = {"metadata": {}}
    mark_fail_open(request)
    note_asked(request, "id-chat", "us")
    told = logged(None, model_group="an alias") | {"litellm_params": request}

    counting.hooks.begins(request, USER, None, {"model_id": "id-chat"})
    begun = counting.hooks.awaits
    for _ in range(2):
        await counting.hooks.async_log_success_event(told, None, None, None)

    (found,) = counting.counted()
    assert (found.key.reason, found.key.profile, found.key.served_group) == ("fail_open", "", "chat")
    assert (found.key.chosen_group, found.fallback, found.key.location) == ("chat", False, "us")
    assert (begun, counting.hooks.awaits, counting.hooks.unseen) == (True, False, {})


async def test_an_answer_that_passes_our_hooks_by_is_told(counting: CountingHooks) -> None:
    """A deployment answered that we did not see asked."""
    await counting.hooks.async_log_success_event(logged(mark()), None, None, None)

    assert counting.hooks.unseen == {"unknown": 1}


@pytest.mark.parametrize(
    ("asked", "expected"), [("id-rescue", ("id-rescue", "rescue")), (None, ("other", "chat"))]
)
async def test_an_id_that_litellm_made_for_a_clients_key_is_not_kept(
    counting: CountingHooks, asked: str | None, expected: tuple[str, str]
) -> None:
    """Whoever sends another key with each request makes no rows: it is the deployment we saw asked, else `other`.

    Nor does it say that our hooks were passed by.
    """
    for number in range(3):
        one = mark() | ({ASKED: asked} if asked else {})
        counting.hooks.begins(answering(mark()), USER, None, {"model_id": f"made-up-{number}"})
        await counting.hooks.async_log_success_event(
            logged(one, model_id=f"made-up-{number}"), None, None, None
        )
    counting.hooks.sweep(last=True)
    found = counting.counted()

    keys = {(one.key.deployment, one.key.served_group) for one in found if one.key.outcome == "answered"}
    assert keys == {expected}
    assert {one.key.deployment for one in found if one.key.outcome == "lost"} == {"other"}
    assert not counting.hooks.unseen


async def test_a_teams_own_model_is_no_fallback_and_keeps_its_name(counting: CountingHooks) -> None:
    """LiteLLM has no group of the name that the team asks for, only a deployment that is told by it."""
    own = mark("ours") | {"reason": "passthrough", "profile": None}

    await counting.hooks.async_log_success_event(logged(own, model_id="id-ours"), None, None, None)

    (found,) = counting.counted()
    assert (found.key.chosen_group, found.key.served_group, found.fallback) == ("ours", "ours", False)


async def test_a_callers_own_words_are_not_kept(counting: CountingHooks) -> None:
    """A name that no group has may be anything: it is kept as `other`."""
    await counting.hooks.async_post_call_failure_hook(answering(mark("tell me a secret")), ValueError(), USER)

    (found,) = counting.counted()
    assert found.key.chosen_group == "other"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        *[
            (name, name)
            for name in ("t", "task_t", "auto", "auto:fast", "@profile/p", "p/t", "p/auto", "chat")
        ],
        *[(name, "other") for name in ("tell me a secret", "@profile/my words", "p/my words")],
    ],
)
async def test_who_asked_and_for_what_is_kept(counting: CountingHooks, name: str, kept: str) -> None:
    """What the key is called, and the name it asked for, where that is a name of ours or of LiteLLM's."""
    one = mark() | {"name": name, "caller": "app-a"}

    await counting.hooks.async_log_success_event(logged(one), None, None, None)

    (found,) = counting.counted()
    assert (found.caller, found.asked) == ("app-a", kept)


async def test_a_payload_that_is_not_litellms_fails_nothing() -> None:
    """An exception of ours is counted as such, and nothing else happens."""
    counting = CountingHooks()

    await counting.hooks.async_log_success_event(
        {"litellm_params": {"metadata": {"neuronode": mark()}}, "standard_logging_object": {}},
        None,
        None,
        None,
    )

    assert counting.hooks.failures.total == 1
    assert counting.buffer.take() is None


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
async def live(counting: CountingHooks, upstream: Upstream) -> AsyncIterator[litellm.Router]:
    """A real router over the fake provider, with the hooks as a callback."""

    def entry(group: str, name: str) -> dict[str, Any]:
        params = {"model": f"openai/{name}", "api_base": f"{upstream.url}/v1", "api_key": "none"}
        info = {"id": f"id-{group}", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
        return {"model_name": group, "litellm_params": params, "model_info": info}

    before = list(litellm.callbacks)
    litellm.logging_callback_manager.add_litellm_callback(counting.hooks)
    yield litellm.Router(
        model_list=[entry("chat", "chat"), entry("failing", "failing-fail-500"), entry("rescue", "rescue")],
        num_retries=0, fallbacks=[{"failing": ["rescue"]}],
    )  # fmt: skip
    litellm.logging_callback_manager.remove_callback_from_all_lists(counting.hooks)
    litellm.callbacks[:] = before


async def heard(
    counting: CountingHooks, condition: Callable[[list[FinishedRequest]], bool]
) -> list[FinishedRequest]:
    """Wait until what was counted is as expected, then a moment more for what would be too much."""
    found: list[FinishedRequest] = []
    async with asyncio.timeout(60):
        while not condition(found):
            await asyncio.sleep(0.02)
            found += counting.counted()
    return found


async def test_litellm_tells_of_each_answer_once(counting: CountingHooks, live: litellm.Router) -> None:
    """Plain, streamed and saved by a fallback: three requests, with LiteLLM's own tokens and dollars."""
    turns = [{"role": "user", "content": "Hello"}]

    await live.acompletion("chat", turns, metadata={"neuronode": mark()})
    stream = await live.acompletion(
        "chat", turns, stream=True, stream_options={"include_usage": True}, metadata={"neuronode": mark()}
    )
    async for _ in stream:
        pass
    await live.acompletion("failing", turns, metadata={"neuronode": mark("failing")})
    await live.acompletion("chat", turns, metadata={})

    found = await heard(counting, lambda found: len(found) >= 3)
    assert sorted((one.key.served_group, one.prompt_tokens, one.completion_tokens) for one in found) == [
        ("chat", 11, 3), ("chat", 11, 3), ("rescue", 11, 3),
    ]  # fmt: skip
    assert [one.cost for one in found] == [pytest.approx(17e-6)] * 3
    assert [one.first_token_ms is None for one in found].count(False) == 1


def test_prices_and_notes_come_from_the_live_list(live: litellm.Router) -> None:
    """The operator's price goes first, LiteLLM's map second, and a free entry of the map is no price."""

    def entries(**about: Any) -> list[dict[str, Any]]:
        return [{"model_name": "g", "litellm_params": {"model": about.pop("model")}, "model_info": about}]

    configured = listed_price(bridged(live).entries(), "chat")
    mapped = listed_price(entries(model="openai/gpt-4o"), "g")
    notes = group_notes(read_inventory(bridged(live).entries()))

    assert configured is not None
    assert (configured.prompt, configured.completion) == (1e-6, 2e-6)
    assert mapped is not None
    assert mapped.prompt > 0
    assert listed_price(entries(model="ollama/llama3.1"), "g") is None
    assert listed_price(entries(model="ollama/llama3.1", input_cost_per_token=0), "g") is not None
    assert listed_price(entries(model="openai/nobody-knows"), "g") is None
    assert listed_price(bridged(live).entries(), "nowhere") is None
    assert set(notes) == {"chat", "failing", "rescue"}
