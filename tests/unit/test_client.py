"""The typed client against a real local server that speaks OpenAI's wire format."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator

import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from neuronode_router.client import NeuronodeClient, RoutingInfo, TaskType
from neuronode_router.domain.names import TASK_ALIASES
from neuronode_router.errors import SettingsError
from tests.support.web import serving

DECISION = {
    "x-neuronode-profile": "balanced",
    "x-neuronode-revision": "7",
    "x-neuronode-task": "classification",
    "x-neuronode-tier": "fast",
    "x-neuronode-group": "classification_balanced",
    "x-neuronode-reason": "active_profile",
    "x-neuronode-fallback": "0",
    "x-neuronode-embedded": "1",
}
QUESTION = [{"role": "user", "content": "spam or not?"}]
WORDS = ("not", " ", "spam")


def chunk(text: str) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n"


async def answer(request: Request) -> Response:
    """Answer like the proxy, and say which name and which override arrived."""
    body = await request.json()
    if request.headers["authorization"] != "Bearer right":
        return JSONResponse({"error": {"message": "wrong key"}}, status_code=401)
    if body.get("stream"):
        chunks = (chunk(word) for word in WORDS)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=DECISION)
    heard = f"{body['model']} {request.headers.get('x-neuronode-profile')} {request.headers.get('x-mine')}"
    message = {"role": "assistant", "content": heard}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    document = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
    return JSONResponse(document, headers=DECISION)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """The address of a server that answers chat completions."""
    async with serving(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])) as (
        url,
        _,
    ):
        yield url


async def test_a_task_is_asked_for_by_its_alias(address: str) -> None:
    """The task type goes out as the model name, and the decision comes back parsed."""
    async with NeuronodeClient(address, "right") as client:
        completion = await client.completion(TaskType.CLASSIFICATION, messages=QUESTION)

    assert completion.text == "classification None None"
    assert completion.routing == RoutingInfo(
        profile="balanced",
        revision=7,
        task="classification",
        tier="fast",
        group="classification_balanced",
        reason="active_profile",
        fallback=False,
        embedded=True,
    )


async def test_a_profile_is_asked_for_by_a_header(address: str) -> None:
    """An override goes out as a header, beside the caller's own headers; any task name is accepted."""
    async with NeuronodeClient(f"{address}/v1/", "right") as client:
        completion = await client.completion(
            "my_own_task", QUESTION, profile="premium", extra_headers={"x-mine": "kept"}
        )

    assert completion.text == "my_own_task premium kept"


@pytest.mark.parametrize("profile", ["größe", "a\r\nx-mine: b", "\ud800"])
async def test_a_profile_that_no_header_carries_is_refused(profile: str, address: str) -> None:
    """By an error of ours, before anything is sent."""
    async with NeuronodeClient(address, "right") as client:
        with pytest.raises(SettingsError, match="No header carries"):
            await client.completion("chat", QUESTION, profile=profile)


async def test_a_stream_knows_its_routing_before_the_first_chunk(address: str) -> None:
    """A streamed answer carries the decision at once and then every chunk in order."""
    async with (
        NeuronodeClient(address, "right") as client,
        await client.completion(TaskType.CHAT, QUESTION, stream=True) as stream,
    ):
        group_before_the_first_chunk = stream.routing.group
        texts = [part.choices[0].delta.content async for part in stream]

    assert group_before_the_first_chunk == "classification_balanced"
    assert tuple(texts) == WORDS


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_are_those_of_the_openai_package(address: str, stream: bool) -> None:
    """A refused key surfaces as openai's own error, streamed or not."""
    async with NeuronodeClient(address, "wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.completion(TaskType.CHAT, QUESTION, stream=stream)


def test_headers_of_a_proxy_without_the_plugin_are_no_error() -> None:
    """Missing and senseless headers give None, never an exception."""
    assert RoutingInfo.from_headers({}).revision is None
    for revision in ("²", "9" * 5000, "-1", "", "1e3"):
        assert RoutingInfo.from_headers({"x-neuronode-revision": revision}).revision is None


def test_a_group_is_named_as_it_can_be_asked() -> None:
    """Headers carry it percent-encoded where HTTP has not its letters."""
    assert RoutingInfo.from_headers({"x-neuronode-group": "%E6%A8%A1"}).group == "模"


@pytest.mark.parametrize("key", ["sk-\u200bpasted", "\u201csk-quoted\u201d", "sk-two\nlines", ""])
def test_a_key_that_no_header_carries_is_refused(key: str) -> None:
    """At once: a request would fail with an error of an encoder."""
    with pytest.raises(SettingsError, match="no header carries"):
        NeuronodeClient("http://proxy.invalid", key)


def test_task_types_are_the_tasks_that_profiles_map() -> None:
    """The client's tasks and the domain's are the same list."""
    assert tuple(TaskType) == TASK_ALIASES


def test_importing_the_package_does_not_import_openai() -> None:
    """The openai package costs a second: only making a client imports it."""
    check = "import sys, neuronode_router, neuronode_router.client; sys.exit('openai' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
