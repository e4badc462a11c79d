"""Models are loaded with the options that LiteLLM itself sends, and before a window of the policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import litellm
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neuronode_router.background import Failures
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import Policies
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.health.ollama import RUNNER, Defaults
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.warm_wiring import WarmWiring
from neuronode_router.policy.document import OutageTarget
from neuronode_router.policy.file import parse_policy
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.settings import Settings
from neuronode_router.storage.lease import Lease
from neuronode_router.warm.needs import read_fleet
from neuronode_router.warm.wire import OllamaServers
from tests.host.routers import bridged
from tests.support.control import HOST, MemorySource
from tests.support.migrated import migrated
from tests.support.waiting import eventually
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

    async def has(request: Request) -> Response:
        listed = [{"name": "small:latest", "size": 10}] if request.url.path == "/api/tags" else []
        return JSONResponse({"models": listed})

    routes = [Route(path, answer, methods=["POST"]) for path in ANSWERS]
    app = Starlette(routes=[*routes, Route("/api/tags", has), Route("/api/ps", has)])
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


POLICY = b"""
schedule:
  - name: night
    zone: UTC
    from: "22:00"
    to: "06:00"
    then: {profile: premium}
default: balanced
"""
BEFORE_TEN = 1_795_989_480.0
"""2026-11-29 21:58 UTC."""


async def test_models_are_loaded_before_their_window_by_the_worker_that_acts(
    asked: tuple[str, list[tuple[str, dict[str, Any]]]], tmp_path: Path
) -> None:
    """Not earlier than set, not by others, and not where it is switched off."""
    url, heard = asked
    now = BEFORE_TEN - 3600
    params = {"model": "ollama_chat/small:latest", "api_base": url}
    entries = [{"model_name": "chat_premium", "litellm_params": params, "model_info": {"id": "one"}}]
    store = ControlStore(migrated(tmp_path / "control.db"), clock=lambda: now)
    manager = ProfileManager(store=store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(()))
    policies = Policies(
        manager=manager,
        store=store.policies,
        facts=lambda *_: {},
        probes=OutageProbes(nobody),
        members=lambda _: (),
        lease=Lease(store.database, "policy", holder="me", ttl=10, clock=lambda: now),
        host=lambda: HOST,
        place=PolicyPlace(tmp_path / "policy.yaml", FilesMemory(tmp_path / "policy.seen")),
        clock=lambda: now,
    )
    policy, problems = parse_policy(POLICY)
    assert policy is not None, problems
    await manager.reload(actor=FILES)
    await policies.take_up(policy, actor=Actor("anna"))
    state = await manager.current()
    assert state is not None
    current = CurrentSnapshot()
    current.take(build_snapshot(state, HOST))
    environ = {"NEURONODE_CONFIG": str(tmp_path / "c.yaml")}
    wiring, off = (
        WarmWiring(
            bridged(litellm.Router(model_list=entries)),
            settings=Settings.load({**environ, **more}),
            environ={},
            client=lambda: httpx.AsyncClient(trust_env=False),
            current=current,
            state=manager.current,
            policies=lambda: policies,
            watch=lambda *_: None,
            failures=Failures(),
        )
        for more in ({}, {"NEURONODE_WARM_AHEAD": "0"})
    )

    await policies.turn()
    await wiring.ahead()
    now = BEFORE_TEN
    await off.ahead()
    policies.leads, led = False, policies.leads
    await wiring.ahead()
    assert (led, heard) == (True, [])
    policies.leads = True
    await wiring.ahead()
    await eventually(lambda: heard)

    assert heard == [("/api/generate", {"model": "small:latest", "stream": False})]
    for each in (wiring, off):
        await each.warming.stop()
    store.close()


async def nobody(target: OutageTarget, number: int) -> bool:
    """Nobody is asked."""
    raise AssertionError(target, number)
