"""Answers on their way out: what an error lacks is laid on, and a stream that its client left is told of, once."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from litellm.proxy._types import UserAPIKeyAuth
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from neuronode_router.background import Failures
from neuronode_router.errors import HoldsPersonalData
from neuronode_router.litellm_plugin import outgoing
from neuronode_router.litellm_plugin.hooks import gate
from neuronode_router.litellm_plugin.hooks.answer_headers import AnswerHeaders
from neuronode_router.litellm_plugin.hooks.refusing import answer
from neuronode_router.routing.tokens import estimate
from tests.support.work import steps

App = Callable[[Any, Any, Any], Awaitable[None]]
TOLD = "The harbour lay still, and nobody knew whose boat it had once been. " * 20
WORDS = [f"{word} " for word in TOLD.split()]
SSE = "text/event-stream"


def wire(kind: str, word: str) -> dict[str, Any]:
    """Return an event of a stream, with what stands around the word there."""
    return {
        "gemini": {
            "candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 9},
            "modelVersion": "gemini-2.5-flash",
        },
        "completions": {"id": "c-1", "object": "text_completion", "choices": [{"text": word, "index": 0}]},
        "chat": {"id": "c-1", "model": "m", "choices": [{"delta": {"role": "assistant", "content": word}}]},
        "messages": {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": word},
        },
        "responses": {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "delta": word},
    }[kind]


class Way:
    """The way out around an application of a test, and what comes out of it."""

    def __init__(self, inner: App) -> None:
        self.failures = Failures()
        self.out: list[dict[str, Any]] = []
        self.left: list[int] = []
        self.hears: Callable[[int], None] = self.left.append
        app = FastAPI()
        app.router.middleware_stack = self._with(inner)
        outgoing.watch(app, self.failures)
        self._way = app.router.middleware_stack

    def _with(self, inner: App) -> App:
        async def begun(scope: Any, receive: Any, send: Any) -> None:
            going = outgoing.current()
            if going is not None:
                going.left = self.hears
            await inner(scope, receive, send)

        return begun

    async def ask(self, method: str = "POST", *, stays: bool = True) -> dict[str, str]:
        """Return the headers of the answer. Who does not stay is gone at once."""

        async def receive() -> dict[str, Any]:
            if stays:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            self.out.append(message)

        await self._way({"type": "http", "method": method, "path": "/"}, receive, send)
        return {name.decode(): value.decode("latin-1") for name, value in self.out[0]["headers"]}


def left_after(kind: str, words: list[str]) -> App:
    """Return an application whose client is gone after these words: nothing ends its stream."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"Content-Type", SSE.encode() + b"; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in words:
            body = f"data: {json.dumps(wire(kind, word))}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})

    return inner


@pytest.mark.parametrize("kind", ["gemini", "completions", "chat", "messages", "responses"])
@pytest.mark.parametrize("many", [1, 40])
async def test_a_stream_that_is_left_tells_what_was_sent(kind: str, many: int) -> None:
    """About as many tokens as its words have, on every wire, also of a stream that is not kept as a whole."""
    way = Way(left_after(kind, WORDS * many))

    await way.ask()

    (told,) = way.left
    assert 0.8 < told / (estimate([TOLD]) * many) < 1.2
    assert way.failures.total == 0


async def test_a_stream_is_not_kept_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long one no more is kept than of a shorter one, and what is kept is gone when it is over."""
    seen: list[outgoing.Outgoing] = []
    inner = left_after("chat", WORDS * 80)

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        going = outgoing.current()
        assert going is not None
        seen.append(going)
        assert sum(map(len, going._kept)) < outgoing.KEPT_BYTES + 1000

    await Way(noted).ask()

    assert seen[0]._kept == []
    assert outgoing.current() is None


async def test_a_client_that_goes_is_told_of_by_a_real_response() -> None:
    """Starlette ends a stream without a last message where its client has gone: that is leaving."""

    async def events() -> Any:
        for _ in range(100):
            await asyncio.sleep(0)
            yield f"data: {json.dumps(wire('gemini', 'word '))}\n\n"

    way = Way(StreamingResponse(events(), media_type=SSE))

    await way.ask(stays=False)

    assert len(way.left) == 1


async def test_who_leaves_before_the_first_word_has_left() -> None:
    """LiteLLM answers a client that is gone then with 499."""
    way = Way(JSONResponse({}, status_code=outgoing.CLIENT_GONE))

    await way.ask()

    assert way.left == [0]


@pytest.mark.parametrize(
    "answered",
    [
        StreamingResponse(iter([b"data: {}\n\n"]), media_type=SSE),
        PlainTextResponse("whole"),
        JSONResponse({"error": {}}, status_code=500),
    ],
    ids=["stream", "plain", "error"],
)
async def test_what_was_heard_to_its_end_is_not_left(answered: App) -> None:
    """Streams to their last message, and whole answers: of those LiteLLM tells."""
    way = Way(answered)

    await way.ask()

    assert way.left == []


async def test_an_error_of_ours_fails_no_answer() -> None:
    """Whoever hears of a client that left may fail: it is counted, and that is all."""
    way = Way(left_after("chat", WORDS))
    way.hears = {}.__getitem__

    await way.ask()

    assert (way.failures.total, len(way.out)) == (1, 1 + len(WORDS))


async def refused(
    status: int, said: dict[str, str], *, let_in: bool = True, error: Exception
) -> dict[str, str]:
    """Return the headers of an answer that LiteLLM makes of an error after its failure hook was called."""
    hooks = AnswerHeaders(lambda *_: {"x-neuronode-reason": "refused", "x-neuronode-group": "bücher"})

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        if let_in:
            gate.let(gate.FREE)
        await hooks.async_post_call_failure_hook({}, error, UserAPIKeyAuth())
        await JSONResponse({}, status_code=status, headers=said)(scope, receive, send)

    # As a server does it: what an earlier request has left is not this one's.
    return await asyncio.create_task(Way(inner).ask(), context=contextvars.Context())


async def test_an_error_says_what_litellm_left_out() -> None:
    """Where the request went and why it was refused, on the wires whose errors LiteLLM makes without asking."""
    refusal = answer(HoldsPersonalData("It holds an address.", fix="Take it out.", kinds=("email",)))

    said = await refused(403, {}, error=refusal)

    assert said["x-neuronode-reason"] == "refused"
    assert said["x-neuronode-refused"] == "refused_personal_data"
    assert said["x-neuronode-personal-data"] == "email"
    assert said["x-neuronode-group"] == "bücher"


async def test_what_litellm_says_goes_before_and_is_not_repeated() -> None:
    """Where it asks for headers the answer has them already; what is no error is left as it is."""
    there = {"X-Neuronode-Reason": "active_profile"}

    error = await refused(500, there, error=RuntimeError())
    answered = await refused(200, {}, error=RuntimeError())

    assert error["x-neuronode-reason"] == "active_profile"
    assert "x-neuronode-refused" not in error
    assert not any(name.startswith("x-neuronode") for name in answered)


async def test_who_was_not_let_in_hears_nothing() -> None:
    """Nothing is decided yet, and a mark in the body is the client's own words."""
    said = await refused(401, {}, let_in=False, error=RuntimeError())

    assert not any(name.startswith("x-neuronode") for name in said)


def test_a_message_costs_next_to_nothing() -> None:
    """An answer that succeeds pays a few steps for each message, whatever is in it."""
    going = outgoing.Outgoing(headers={"x-neuronode-reason": "refused"})
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE.encode())]}
    piece = {"type": "http.response.body", "body": b"data: {}\n\n" * 9, "more_body": True}

    assert steps(lambda: going.pass_on(start)) < 30
    assert steps(lambda: going.pass_on(piece)) < 20
    assert going.pass_on(start) is start
