"""Outcomes are taken from answers as LiteLLM logs them: plain, streamed, and only where the chosen group answered."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, cast

import litellm
import pytest
from litellm import ModelResponse, Router, Usage
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.auto.diverted import DivertedOf
from neuronode_router.auto.history_writer import DecisionRecorder
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.classifier.history import FeedbackOutcome
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.litellm_plugin.hooks.outcomes import OutcomeHooks
from neuronode_router.routing.sufficiency import RequestKind
from neuronode_router.usage.prices import Price
from tests.support.waiting import eventually

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DEMANDED = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA}}


class Heard:
    """A recorder that only listens."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, FeedbackOutcome, tuple[str, ...]]] = []
        self.answers: list[str] = []

    def answered(self, call_id: str, *, caller: str) -> None:
        self.answers.append(call_id)

    def outcome(self, call_id: str, kind: FeedbackOutcome, *, callers: tuple[str, ...]) -> None:
        self.outcomes.append((call_id, kind, callers))


class Logged(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """Tells when LiteLLM has logged."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def async_log_success_event(self, *_: object, **__: object) -> None:
        self.calls += 1


class Counted:
    """Outcomes that only listen to what learning diverted."""

    def __init__(self) -> None:
        self.diverts: list[tuple[DivertedOf, float | None]] = []

    def diverted(self, of: DivertedOf, *, saved_usd: float | None) -> None:
        self.diverts.append((of, saved_usd))


@pytest.mark.parametrize(
    ("priced", "group", "saved"),
    [(True, "large", 7e-6), (False, "large", None), (True, "priceless", None)],
)
async def test_what_learning_saved_is_counted_at_both_prices(
    monkeypatch: pytest.MonkeyPatch, priced: bool, group: str, saved: float | None
) -> None:
    """The same tokens at the price of the group that the text alone would have chosen; None where one is unknown."""
    counted, prices = Counted(), {"large": Price(2e-6, 3e-6), "priceless": None}
    hooks = OutcomeHooks(
        cast(DecisionRecorder, Heard()),
        group_of=lambda info: (str(info["model_id"]).removeprefix("id-"), False),
        outcomes=cast(Outcomes, counted),
        price_of=prices.__getitem__,
    )
    monkeypatch.setattr(litellm, "callbacks", [hooks])
    about = {"label": "summary", "tier": "complex", "group": group}
    mark = {"tiers": {"chat": "fast"}, "group": "chat", "asked": "id-chat", "profile": "p", "tier": "fast"}
    usage = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    choice = {"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}

    await answered(
        ModelResponse(choices=[choice], model="x", usage=usage),
        mark=mark | {"steps": ["learned"], "diverted_from": about},
        info={"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6} if priced else {},
    )

    ((of, usd),) = counted.diverts
    assert of == DivertedOf(RequestKind("p", "summary"), Step.LEARNED, Tier.COMPLEX, Tier.FAST)
    assert usd == (saved and pytest.approx(saved))
    assert hooks.failures.total == 0


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """What our hook tells of LiteLLM's calls."""
    found = Heard()
    hooks = OutcomeHooks(
        cast(DecisionRecorder, found),
        group_of=lambda info: (str(info["model_id"]).removeprefix("id-"), False),
    )
    monkeypatch.setattr(litellm, "callbacks", [hooks])
    yield found
    assert hooks.failures.total == 0


async def answered(
    content: str | ModelResponse,
    *,
    stream: bool = False,
    mark: dict[str, Any] | None = None,
    provider: str = "openai",
    info: dict[str, Any] | None = None,
    **body: Any,
) -> None:
    """Have a router answer one request, and wait until that is logged."""
    logged = Logged()
    litellm.callbacks.append(logged)
    about = {"tiers": {"chat": "fast"}, "group": "chat", "asked": "id-chat"} if mark is None else mark
    params = {"model": f"{provider}/x", "api_key": "k"}
    router = Router([{"model_name": "chat", "litellm_params": params, "model_info": info or {}}])
    answer = await router.acompletion(
        model="chat",
        messages=[{"role": "user", "content": "one?"}],
        mock_response=content,
        metadata={"neuronode": about, "user_api_key_hash": "hash"},
        litellm_call_id="call-1",
        stream=stream,
        **body,
    )
    if stream:
        async for _ in answer:
            pass
    await eventually(lambda: logged.calls)


def test_our_hook_takes_what_litellm_gives_by_name() -> None:
    """LiteLLM calls hooks by keyword, and looks for them in the class itself."""
    theirs = inspect.signature(CustomLogger.async_log_success_event).parameters

    assert set(inspect.signature(OutcomeHooks.async_log_success_event).parameters) == set(theirs)
    assert "async_log_success_event" in vars(OutcomeHooks)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("content", "kind"),
    [('{"n": 1}', FeedbackOutcome.SUFFICED), ("n is 1", FeedbackOutcome.LABEL_FAILURE)],
)
async def test_the_form_that_was_demanded_is_looked_for(
    heard: Heard, content: str, kind: FeedbackOutcome, *, stream: bool
) -> None:
    """Once a request, under its call id and its caller's hash."""
    await answered(content, stream=stream, response_format=DEMANDED)

    assert heard.outcomes == [("call-1", kind, ("hash",))]


@pytest.mark.parametrize(
    ("provider", "limits", "kinds"),
    [
        ("openai", {}, [FeedbackOutcome.UNANSWERED]),
        ("openai", {"max_tokens": 9}, []),
        ("openai", {"max_completion_tokens": 9}, []),
        ("gemini", {"max_tokens": 9}, []),
        ("gemini", {}, [FeedbackOutcome.UNANSWERED]),
        ("ollama", {"max_tokens": 9}, []),
        ("bedrock", {"max_tokens": 9}, []),
    ],
)
async def test_an_answer_that_broke_off_without_a_limit_is_not_good(
    heard: Heard, provider: str, limits: dict[str, int], kinds: list[FeedbackOutcome]
) -> None:
    """However the provider names the limit."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "And"}, "finish_reason": "length"}
    cut = ModelResponse(choices=[choice], model="x")

    await answered(cut, provider=provider, **limits)

    assert [kind for _, kind, _ in heard.outcomes] == kinds


@pytest.mark.parametrize(
    ("mark", "body"),
    [
        (None, {}),
        ({"group": "chat", "asked": "id-chat"}, {"response_format": DEMANDED}),
        ({"tiers": {}, "group": "chat", "asked": "id-rescue"}, {"response_format": DEMANDED}),
        ({}, {"response_format": DEMANDED}),
    ],
    ids=["nothing demanded", "no auto request", "another group answered", "failed open"],
)
async def test_of_other_answers_nothing_is_learned(heard: Heard, mark: Any, body: dict[str, Any]) -> None:
    """Where nothing can be checked, the tier was not `auto`'s, or another group answered: what is asked next says
    nothing either then.
    """
    await answered("n is 1", mark=mark, **body)

    assert heard.outcomes == []
    assert heard.answers == (["call-1"] if mark is None else [])
