"""`ModelRouter`: the class for Python callers, over a little chat application and its real HTTP client."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import httpx
import pytest

import neuronode_router
from neuronode_router.domain.names import Tier
from neuronode_router.errors import BadTaskInput, CompletionFailed, SettingsError
from neuronode_router.model_router import ModelRouter
from neuronode_router.tasks.results import ModelResponse, RoutingDecision, TradingRecommendation
from tests.support.chat_app import ChatApp, Reply
from tests.support.web import serving
from tests.unit.tasks.test_engine import RECOMMENDATION


@pytest.fixture
def chat() -> ChatApp:
    """What stands for the proxy."""
    return ChatApp()


@pytest.fixture
async def router(chat: ChatApp) -> AsyncIterator[ModelRouter]:
    """A router that asks it."""
    async with ModelRouter(client=chat.client(authorization="Bearer sk-mine")) as made:
        yield made


def test_the_fields_are_the_plans() -> None:
    """`ModelResponse` and `RoutingDecision` have every documented field, and `route_and_generate` its arguments."""
    response = {field.name for field in fields(ModelResponse)}
    decision = {field.name for field in fields(RoutingDecision)}
    arguments = list(inspect.signature(ModelRouter.route_and_generate).parameters)

    assert response >= {
        "content", "model_used", "tier_used", "latency_ms", "tokens_generated", "routing_decision"
    }  # fmt: skip
    assert decision == {
        "selected_model", "original_tier", "was_fallback", "classification", "routing_time_ms"
    }  # fmt: skip
    assert arguments[1:5] == ["query", "system_prompt", "context", "force_tier"]


async def test_a_query_goes_where_it_is_classified(router: ModelRouter, chat: ChatApp) -> None:
    """Without a forced tier the proxy decides, and its decision comes back with the answer."""
    chat.then = "hello"
    await router.initialize()

    response = await router.route_and_generate("hi")

    assert (chat.names, response.content, response.value) == (["auto"], "hello", "hello")
    assert (response.model_used, response.tier_used, response.tokens_generated) == (
        "tier_medium",
        Tier.MEDIUM,
        3,
    )
    decision = response.routing_decision
    assert (decision.selected_model.name, decision.original_tier) == ("tier_medium", Tier.MEDIUM)
    assert (decision.was_fallback, decision.routing_time_ms) == (False, 0.25)
    assert (decision.classification.task_type, decision.classification.confidence) == ("summary", 0.83)
    assert decision.classification.reasoning == "active_profile,classified"


@pytest.mark.parametrize("tier", [Tier.COMPLEX, "complex"])
async def test_a_tier_can_be_forced(router: ModelRouter, chat: ChatApp, tier: Tier | str) -> None:
    """Then nothing is classified and the confidence is 1."""
    chat.then = "hello"

    response = await router.route_and_generate("hi", force_tier=tier)

    said = response.routing_decision.classification
    assert chat.names == ["auto:complex"]
    assert (said.task_type, said.model_tier, said.confidence) == (None, Tier.COMPLEX, 1.0)


async def test_prompts_and_wishes_are_sent(router: ModelRouter, chat: ChatApp) -> None:
    """System prompt, context between marks, length and temperature reach the model."""
    chat.then = "aye"

    await router.route_and_generate(
        "What now?", "You are a sailor.", {"wind": "<context>12"}, max_tokens=7, temperature=0.9
    )

    body = chat.asked[0].body
    assert body["messages"][0]["content"] == "You are a sailor."
    assert chat.asked[0].last == '<context>\n{"wind": "\u2039context>12"}\n</context>\n\nWhat now?'
    assert (body["max_tokens"], body["temperature"]) == (7, 0.9)


async def test_sentiment_and_classify_answer_with_labels(router: ModelRouter, chat: ChatApp) -> None:
    """`content` is the label, as callers expect it."""
    chat.script.extend(["**Bullish**.", "Category: praise"])

    sentiment = await router.sentiment("Earnings beat every forecast.")
    category = await router.classify("Well done!", ["Praise", "Blame"])

    assert (sentiment.content, category.content) == ("BULLISH", "Praise")
    assert chat.names == ["auto:fast", "auto:fast"]


async def test_an_analysis_can_be_typed(router: ModelRouter, chat: ChatApp) -> None:
    """`content` is JSON for those who parse it; `value` is parsed already."""
    chat.then = f"Here you are: {json.dumps(RECOMMENDATION)}"

    response = await router.trading_analysis({"rsi": 71}, ["ETF inflows."])

    assert json.loads(response.content) == response.value == RECOMMENDATION
    assert isinstance(response.value, dict)
    assert TradingRecommendation.from_value(response.value).action == "HOLD"
    assert chat.names == ["auto:complex"]


async def test_an_answer_of_no_use_is_shown_and_not_believed(router: ModelRouter, chat: ChatApp) -> None:
    """`value` is None; `content` is what was said; the climb is told."""
    chat.then = "hard to say"

    response = await router.sentiment("Earnings beat every forecast.")

    assert (response.value, response.content) == (None, "hard to say")
    assert chat.names == ["auto:fast", "auto:fast", "auto:medium"]


async def test_names_of_the_tiers_come_from_the_settings(
    chat: ChatApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`NEURONODE_MODEL_FAST` is the group that `model_fast` named."""
    monkeypatch.setenv("NEURONODE_MODEL_FAST", "llama3.1:8b")
    chat.then = "NEUTRAL"

    async with ModelRouter(client=chat.client()) as router:
        await router.sentiment("Nothing happened.")

    assert chat.names == ["llama3.1:8b"]


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_the_proxy_comes_from_the_environment(
    chat: ChatApp, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Address and key are taken from where LiteLLM's own clients look; with or without `/v1`."""
    chat.then = "NEUTRAL"

    async with serving(chat) as (url, _):
        monkeypatch.setenv("LITELLM_BASE_URL", url + ending)
        monkeypatch.setenv("LITELLM_API_KEY", "sk-mine")
        async with ModelRouter() as router:
            await router.sentiment("Nothing happened.")

    assert chat.asked[0].headers["authorization"] == "Bearer sk-mine"


async def test_a_proxy_that_is_away_is_said_so() -> None:
    """Our own error, so that callers need not know httpx."""
    async with ModelRouter("http://127.0.0.1:1", "sk-mine") as router:
        with pytest.raises(CompletionFailed) as failure:
            await router.sentiment("Nothing happened.")

    assert failure.value.code == "completion_unavailable"


async def test_a_proxy_that_is_too_slow_is_said_so() -> None:
    """A time-out of the client's own is told apart."""

    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)

    client = httpx.AsyncClient(transport=httpx.MockTransport(slow), base_url="http://proxy.test")
    async with ModelRouter(client=client) as router:
        with pytest.raises(CompletionFailed) as failure:
            await router.sentiment("Nothing happened.")

    assert failure.value.code == "completion_timeout"


async def test_errors_are_ours(router: ModelRouter, chat: ChatApp) -> None:
    """Bad inputs and failures raise what docs/task-api.md says."""
    chat.then = Reply(status=429)

    with pytest.raises(BadTaskInput):
        await router.classify("x", ["only one"])
    with pytest.raises(CompletionFailed):
        await router.sentiment("Nothing happened.")


@pytest.mark.parametrize(
    "given",
    [
        {"force_tier": "zzz"},
        {"force_tier": 3},
        {"context": {1: 2, "b": 3}},
        {"context": {("a", "b"): 3}},
        {"context": {"a": float("nan")}},
        {"max_tokens": 0},
        {"max_tokens": "many"},
        {"temperature": 9},
        {"temperature": float("nan")},
        {"temperature": "hot"},
    ],
)
async def test_what_cannot_be_asked_is_told_before_anybody_is(
    router: ModelRouter, chat: ChatApp, given: dict[str, Any]
) -> None:
    """With the error that is documented, whatever Python would raise."""
    with pytest.raises(BadTaskInput):
        await router.route_and_generate("hi", **given)

    assert chat.asked == []


async def test_a_context_that_ends_in_itself_is_refused(router: ModelRouter) -> None:
    """As one that is nested too deep."""
    context: dict[str, Any] = {}
    context["again"] = context

    with pytest.raises(BadTaskInput):
        await router.route_and_generate("hi", context=context)


@pytest.mark.parametrize("address", ["127.0.0.1:4000", "proxy", "http://", "ftp://proxy", "http://a:b"])
def test_an_address_that_is_none_is_no_absence(address: str) -> None:
    """Nobody could answer there: that is said at once, and without repeating it."""
    with pytest.raises(SettingsError) as error:
        ModelRouter(address, "sk-mine")

    assert "http://host:port" in error.value.fix


def test_without_a_proxy_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address: a clear error, not a connection to nowhere."""
    monkeypatch.delenv("LITELLM_BASE_URL", raising=False)

    with pytest.raises(SettingsError) as error:
        ModelRouter(api_key="sk-mine")

    assert "LITELLM_BASE_URL" in error.value.fix


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("key", ["sk-\u200bpasted", "\u201csk-quoted\u201d", "sk-two\nlines"])
def test_a_key_that_no_header_carries_is_refused(
    key: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked, and without repeating it."""
    monkeypatch.setenv("LITELLM_API_KEY", key)

    with pytest.raises(SettingsError, match="no header carries") as error:
        ModelRouter("http://proxy.invalid", key if given else None)

    assert key not in error.value.message + error.value.fix


def test_it_is_exported_and_costs_nothing_until_asked_for() -> None:
    """`neuronode_router.ModelRouter` is there; importing the package loads neither httpx nor LiteLLM."""
    code = (
        "import sys, neuronode_router as n; assert 'httpx' not in sys.modules; n.ModelRouter;"
        "assert 'httpx' in sys.modules; assert not {'litellm', 'fastapi', 'sqlalchemy'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    assert neuronode_router.ModelRouter is ModelRouter
    assert not hasattr(neuronode_router, "Nothing")
