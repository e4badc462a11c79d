"""Answers in each of LiteLLM's shapes, read as what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import litellm
import pytest
from litellm.types.utils import Choices, Message

from neuronode_router.litellm_plugin.hooks.answers import EndedCall, full_answer, said_of
from neuronode_router.tasks.agreement import Said

CALL = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}


def chat(reason: str = "stop", **message: Any) -> litellm.ModelResponse:
    """Return an answer of the chat format."""
    return litellm.ModelResponse(choices=[Choices(finish_reason=reason, message=Message(**message))])


def responses(*items: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    """Return an answer of the responses format."""
    return {"output": list(items), "status": status}


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return an item that says something."""
    return {"type": "message", "content": list(parts)}


ANSWERS: list[tuple[object, Said | None]] = [
    (chat(content="Hi."), Said("Hi.")),
    (chat("length", content="Hi"), Said("Hi", ended=False)),
    (chat("content_filter", content=""), Said(refused=True)),
    (chat("tool_calls", content=None, tool_calls=[CALL]), Said(calls=(("find", '{"q": 1}'),))),
    (
        responses({"type": "reasoning"}, message({"type": "output_text", "text": "Hi."})),
        Said("Hi."),
    ),
    (responses(message({"type": "output_text", "text": "H"}), status="incomplete"), Said("H", ended=False)),
    (responses(message({"type": "refusal", "refusal": "No."})), Said("No.", refused=True)),
    (
        responses({"type": "function_call", "name": "find", "arguments": "{}"}),
        Said(calls=(("find", "{}"),)),
    ),
    (
        {
            "content": [
                {"type": "text", "text": "Hi."},
                {"type": "tool_use", "name": "find", "input": {"q": 1}},
            ],
            "stop_reason": "tool_use",
        },
        Said("Hi.", (("find", '{"q": 1}'),)),
    ),
    ({"content": [], "stop_reason": "refusal"}, Said(refused=True)),
    ({"content": [{"type": "text", "text": "H"}], "stop_reason": "max_tokens"}, Said("H", ended=False)),
    ({"data": []}, None),
    (None, None),
    (litellm.ModelResponse(choices=[]), None),
]


@pytest.mark.parametrize(("response", "said"), ANSWERS, ids=range(len(ANSWERS)))
def test_what_an_answer_says(response: object, said: Said | None) -> None:
    """Text, calls of tools, whether it is a refusal and whether it came to its end."""
    assert said_of(response) == said


def test_what_is_kept_of_an_answer() -> None:
    """Times by LiteLLM's clock, the cost, and the form that was demanded; of a stream without a payload too."""
    began = datetime.now(UTC)
    kwargs = {"stream": True, "completion_start_time": began + timedelta(seconds=1), "response_cost": 0.25}
    call = EndedCall(kwargs, chat(content='{"n": 1}'), began, began + timedelta(seconds=3))

    found = full_answer(call, form={"type": "json_object"}, limited=False)

    assert found is not None
    facts = found.facts
    assert (facts.latency_ms, facts.first_token_ms, facts.cost_usd) == (3000, 1000, 0.25)
    assert (facts.length, facts.formed, facts.refused) == (8, True, False)
    assert full_answer(EndedCall({}, None, began, began), form=None, limited=False) is None


def test_an_answer_is_timed_from_when_its_provider_was_asked() -> None:
    """A stream's begin is its request's: guardrails and attempts that failed are between the two."""
    began = datetime.now(UTC)
    kwargs = {
        "stream": True,
        "api_call_start_time": began + timedelta(seconds=5),
        "completion_start_time": began + timedelta(seconds=6),
    }

    found = full_answer(
        EndedCall(kwargs, chat(content="Hi."), began, began + timedelta(seconds=8)), form=None, limited=False
    )

    assert found is not None
    assert (found.facts.latency_ms, found.facts.first_token_ms) == (3000, 1000)
