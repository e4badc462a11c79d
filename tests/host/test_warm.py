"""Models are loaded with the options that LiteLLM itself sends: an Ollama would load anew for others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import litellm
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neuronode_router.health.ollama import RUNNER, Defaults
from neuronode_router.warm.needs import read_fleet
from neuronode_router.warm.wire import OllamaServers
from tests.support.web import serving

OPTIONS = {
    "num_ctx": 2048,
    "num_gpu": 1,
    "num_thread": 2,
    "use_mmap": True,
    "temperature": 0.5,
    "keep_alive": "7m",
}
ANSWERS = {
    "/api/chat": {"message": {"role": "assistant", "content": "hello"}, "done": True, "done_reason": "stop"},
    "/api/generate": {"response": "hello", "done": True},
    "/api/embed": {"embeddings": [[0.1]], "prompt_eval_count": 1},
}


@pytest.fixture
async def asked() -> AsyncIterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A server that answers as an Ollama does, and what it was asked."""
    heard: list[tuple[str, dict[str, Any]]] = []

    async def answer(request: Request) -> Response:
        body = await request.json()
        heard.append((request.url.path, body))
        counts = {"prompt_eval_count": 1, "eval_count": 1}
        return JSONResponse({"model": body["model"], **counts, **ANSWERS[request.url.path]})

    app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path in ANSWERS])
    async with serving(app) as (url, _):
        yield url, heard


@pytest.mark.parametrize(
    ("prefix", "mode", "kept"),
    [("ollama_chat", None, "7m"), ("ollama", None, None), ("ollama", "embedding", "7m")],
)
async def test_a_load_says_what_a_request_says(
    asked: tuple[str, list[tuple[str, dict[str, Any]]]], prefix: str, mode: str | None, kept: str | None
) -> None:
    """Window, layers and threads as in the request that follows, and keep_alive where that has it."""
    url, heard = asked
    params = {"model": f"{prefix}/small:latest", "api_base": url, **OPTIONS}
    entry = {"model_name": "group", "litellm_params": params, "model_info": {"id": "one", "mode": mode}}
    router = litellm.Router(model_list=[entry], num_retries=0)
    servers = OllamaServers(lambda: httpx.AsyncClient(trust_env=False))

    (target,) = read_fleet([entry], Defaults(), lambda _: "local", vram_gib=None).of_groups(["group"])
    await servers.load(target)
    if mode == "embedding":
        await router.aembedding(model="group", input=["hello"])
    else:
        await router.acompletion(model="group", messages=[{"role": "user", "content": "hello"}])
    await servers.stop()

    (_, load), (_, request) = heard
    belonging = {name: value for name, value in request["options"].items() if name in RUNNER}
    assert load["options"] == belonging == {name: OPTIONS[name] for name in RUNNER if name in OPTIONS}
    assert load.get("keep_alive") == request.get("keep_alive") == kept
    assert load["model"] == request["model"]
    assert not load.get("prompt")
    assert not load.get("input")
