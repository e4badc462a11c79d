"""The probe against a real Ollama that loads, unloads, goes, comes back and hangs; and against what is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from neuronode_router.health import ollama_wire
from neuronode_router.health.ollama import OllamaHost, Place, read_places
from neuronode_router.health.ollama_probe import HostProbe, OllamaProbes
from neuronode_router.routing.inventory import ProbedFacts
from tests.support.ollama import OllamaServer, Served, running_ollama
from tests.support.waiting import eventually
from tests.support.web import serving

HAS = Served("llama3.1:8b", context_length=4096)
BIG = Served("big", context_length=8192)


@pytest.fixture(scope="module")
def server() -> Iterator[OllamaServer]:
    """One Ollama for the module; each test leaves it running."""
    with running_ollama(HAS, BIG) as running:
        yield running


def new_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with new_client() as opened:
        yield opened


def entries(address: str, *served: str, **params: Any) -> list[dict[str, Any]]:
    """Return a model list with a deployment for each name; its id is the name."""
    return [
        {
            "model_name": "tier_fast",
            "litellm_params": {"model": name, "api_base": address, **params},
            "model_info": {"id": name},
        }
        for name in served
    ]


def probe_of(places: dict[str, Place], client: httpx.AsyncClient) -> HostProbe:
    """Return the probe of the only host."""
    (host,) = {place.host for place in places.values()}
    probe = HostProbe(host, client)
    probe.tags = {place.tag for place in places.values()}
    return probe


def seen(found: ProbedFacts | None) -> ProbedFacts | None:
    """Return what is said of presence and window alone."""
    return found and ProbedFacts(found.available, found.loaded, found.context_window)


async def test_what_is_there_loaded_and_how_wide(server: OllamaServer, client: httpx.AsyncClient) -> None:
    """Present, loaded and the window are found out for every way to name it, and nothing is loaded by asking."""
    names = ("ollama_chat/llama3.1:8b", "ollama/big", "openai/big:latest", "ollama_chat/never-pulled")
    listed = entries(server.url, *names[:2], names[3]) + entries(f"{server.url}/v1", names[2])
    places = dict(read_places(listed))
    probe = probe_of(places, client)
    asker = httpx.Client(base_url=server.url, timeout=30, trust_env=False)

    await probe.ask()
    before = {name: seen(probe.found(place)) for name, place in places.items()}
    loads = [server.counts(each.tag)["loads"] for each in (HAS, BIG)]
    asker.post("/api/generate", json={"model": "big", "keep_alive": -1})
    await probe.ask()
    loaded = probe.found(places["ollama/big"])
    asker.post("/api/generate", json={"model": "big", "keep_alive": 0})
    await probe.ask()
    unloaded = probe.found(places["ollama/big"])
    asker.close()

    assert before == {
        "ollama_chat/llama3.1:8b": ProbedFacts(available=True, loaded=False, context_window=4096),
        "ollama/big": ProbedFacts(available=True, loaded=False, context_window=8192),
        "openai/big:latest": ProbedFacts(available=True, loaded=False, context_window=8192),
        "ollama_chat/never-pulled": ProbedFacts(available=False, loaded=False, context_window=4096),
    }
    assert loads == [0, 0]
    assert (loaded and loaded.loaded, unloaded and unloaded.loaded) == (True, False)


async def test_the_deployments_own_window_counts(server: OllamaServer, client: httpx.AsyncClient) -> None:
    """`num_ctx` goes with each request, and Ollama grants no more than the weights can do."""
    narrow = dict(read_places(entries(server.url, "ollama_chat/big", num_ctx=2048)))
    wide = dict(read_places(entries(server.url, "ollama_chat/big", num_ctx=65536)))
    probe = probe_of(narrow, client)

    await probe.ask()

    windows = [probe.found(places["ollama_chat/big"]) for places in (narrow, wide)]
    assert [found and found.context_window for found in windows] == [2048, 8192]


async def test_one_lost_answer_is_no_outage_and_two_are(
    server: OllamaServer, client: httpx.AsyncClient
) -> None:
    """A host that is gone loses its deployments with the second failure, and has them back with the first answer."""
    places = dict(read_places(entries(server.url, "ollama_chat/llama3.1:8b")))
    probe, place = probe_of(places, client), places["ollama_chat/llama3.1:8b"]
    await probe.ask()

    server.kill()
    said = []
    for _ in range(2):
        await probe.ask()
        said.append(probe.found(place))
    assert server.process.stdin is not None
    server.process.stdin.close()
    server.start()
    await probe.ask()

    assert [found and found.available for found in said] == [True, False]
    assert seen(probe.found(place)) == ProbedFacts(available=True, loaded=False, context_window=4096)


async def test_a_host_that_hangs_costs_one_timeout(
    server: OllamaServer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen Ollama is waited for once per question, then it counts as away."""
    monkeypatch.setattr(ollama_wire, "TIMEOUT_SECONDS", 0.2)
    places = dict(read_places(entries(server.url, "ollama_chat/big")))
    probe = probe_of(places, client)
    server.freeze()
    try:
        async with asyncio.timeout(2):
            await probe.ask()
            await probe.ask()
        frozen = probe.found(places["ollama_chat/big"])
    finally:
        server.thaw()
    monkeypatch.setattr(ollama_wire, "TIMEOUT_SECONDS", 5.0)
    await probe.ask()

    assert frozen == ProbedFacts(available=False)
    assert seen(probe.found(places["ollama_chat/big"])) == ProbedFacts(
        available=True, loaded=False, context_window=8192
    )


async def test_asking_goes_on_in_the_background(server: OllamaServer, client: httpx.AsyncClient) -> None:
    """Loading is noticed, a deployment that is new in the list is asked for, one that left it is forgotten."""
    probes = OllamaProbes(new_client, random=lambda: 0.5, interval=0.02)
    probes.follow(read_places(entries(server.url, "ollama_chat/big")))
    await eventually(lambda: "ollama_chat/big" in probes.found())

    await client.post(f"{server.url}/api/generate", json={"model": "big", "keep_alive": -1}, timeout=30)
    await eventually(lambda: probes.found()["ollama_chat/big"].loaded)
    probes.follow(read_places(entries(server.url, "ollama/llama3.1:8b")))
    await eventually(lambda: any(found.context_window == 4096 for found in probes.found().values()))
    known = probes.found()
    await client.post(f"{server.url}/api/generate", json={"model": "big", "keep_alive": 0}, timeout=30)
    await probes.stop()

    expected = ProbedFacts(available=True, loaded=False, context_window=4096)
    assert {name: seen(found) for name, found in known.items()} == {"ollama/llama3.1:8b": expected}
    assert probes.found() == {}


class Impostor:
    """Answers on an Ollama's paths as it was told, and remembers what was asked."""

    def __init__(self) -> None:
        self.tags: Any = {"models": [{"name": "a:latest", "digest": "1"}]}
        self.status = 200
        self.ps_status = 200
        self.broken: dict[str, bytes | int] = {}
        """What /api/show says of a model: another status, or what is no JSON; b"" is no end."""
        self.delay = 0.0
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.running = self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.asked.append(request.url.path)
        self.headers = dict(request.headers)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.delay)
        self.running -= 1
        broken = None
        if request.url.path == "/api/show":
            broken = self.broken.get((await request.json())["model"])
        await (self._answer(request.url.path) if broken is None else _broken(broken))(scope, receive, send)

    def _answer(self, path: str) -> Response:
        if self.status in {301, 307}:
            return RedirectResponse("/elsewhere", self.status)
        if path == "/api/show":
            return JSONResponse({"model_info": {}, "parameters": "num_ctx 2048"})
        if path == "/api/ps":
            return JSONResponse({"models": []}, self.ps_status)
        if isinstance(self.tags, bytes):
            return StreamingResponse(endless(self.tags), self.status)
        if isinstance(self.tags, str):
            return PlainTextResponse(self.tags, self.status)
        return JSONResponse(self.tags, self.status)


def _broken(how: bytes | int) -> Response:
    if isinstance(how, int):
        return JSONResponse({"error": "invalid file magic"}, how)
    return PlainTextResponse(how) if how else StreamingResponse(endless(b" "))


async def endless(piece: bytes) -> AsyncIterator[bytes]:
    while True:
        yield piece
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ("Not found", 404),
        ({"error": "no key"}, 401),
        ("<html>", 200),
        ({"models": "many"}, 200),
        ({"models": [{}]}, 200),
        (json.dumps({"models": []})[:-1], 200),
        ({}, 307),
        (b" " * 65536, 200),
    ],
)
async def test_what_is_no_ollama_takes_nothing_out(
    client: httpx.AsyncClient, tags: object, status: int
) -> None:
    """Behind such an address requests may well be answered: it is said that it is no Ollama, and no more."""
    impostor = Impostor()
    impostor.tags, impostor.status = tags, status
    async with serving(impostor) as (url, _):
        place = Place(OllamaHost(url), "a:latest")
        probe = HostProbe(place.host, client)

        await probe.ask()
        await probe.ask()

    assert probe.found(place) is None
    assert (probe.foreign, probe.failures) == (True, 0)
    assert "/elsewhere" not in impostor.asked, "a redirect would carry the key to somebody else"


async def test_a_gateway_without_its_ollama_is_away(client: httpx.AsyncClient) -> None:
    """502 and its like say that nobody is behind it."""
    impostor = Impostor()
    impostor.status = 502
    async with serving(impostor) as (url, _):
        place = Place(OllamaHost(url), "a:latest")
        probe = HostProbe(place.host, client)
        await probe.ask()
        await probe.ask()

    assert seen(probe.found(place)) == ProbedFacts(available=False)
    assert not probe.foreign


async def test_an_address_that_cannot_be_is_away(client: httpx.AsyncClient) -> None:
    """Nonsense in the configuration ends no loop."""
    for address in ("http://", "gpu:11434", "http://[::1", "http://\x00/"):
        probe = HostProbe(OllamaHost(address), client)
        await probe.ask()
        assert probe.failures == 1, address


async def test_windows_are_asked_for_once_and_keys_are_sent(client: httpx.AsyncClient) -> None:
    """/api/show is asked again when what the name stands for changes, under the deployment's own key."""
    impostor = Impostor()
    impostor.ps_status = 404
    async with serving(impostor) as (url, _):
        (place,) = read_places(entries(url, "ollama_chat/a", api_key="sk-1")).values()
        probe = HostProbe(place.host, client)
        probe.tags = {place.tag}
        await probe.ask()
        await probe.ask()
        asked = impostor.asked.count("/api/show")
        found = probe.found(place)
        impostor.tags = {"models": [{"name": "a:latest", "digest": "2"}]}
        await probe.ask()

    assert (asked, impostor.asked.count("/api/show")) == (1, 2)
    assert impostor.headers["authorization"] == "Bearer sk-1"
    assert seen(found) == ProbedFacts(available=True, loaded=None, context_window=2048)


@pytest.mark.parametrize("how", [500, 503, 404, b"<html>", b""], ids=str)
async def test_one_broken_model_takes_no_other_out(
    client: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    how: bytes | int,
) -> None:
    """What is known of the others stays known, and new ones are asked for; the log names the broken one, once."""
    monkeypatch.setattr(ollama_wire, "TIMEOUT_SECONDS", 0.3)
    impostor = Impostor()
    impostor.broken = {"a:latest": how}
    impostor.tags = {"models": [{"name": name, "digest": "1"} for name in ("a:latest", "b:latest")]}
    async with serving(impostor) as (url, _):
        places = read_places(entries(url, "ollama_chat/a", "ollama_chat/b"))
        probe = HostProbe(next(iter(places.values())).host, client)
        probe.tags = {place.tag for place in places.values()}
        for _ in range(3):
            await probe.ask()
        found = {name: probe.found(place) for name, place in places.items()}

    assert (probe.failures, probe.foreign) == (0, False)
    assert seen(found["ollama_chat/b"]) == ProbedFacts(available=True, loaded=False, context_window=2048)
    assert found["ollama_chat/a"] is not None
    assert found["ollama_chat/a"].available
    assert caplog.text.count("a:latest") == (how != 404)


async def test_a_host_is_never_asked_twice_at_the_same_time() -> None:
    """However slow it is, and however many deployments it serves: one question at a time."""
    impostor = Impostor()
    impostor.delay = 0.02
    probes = OllamaProbes(new_client, random=lambda: 0.5, interval=0.001)
    async with serving(impostor) as (url, _):
        places = read_places(entries(url, "ollama_chat/a", "ollama/a", "ollama_chat/b"))
        for _ in range(5):
            probes.follow(places)
            await asyncio.sleep(0)
        await eventually(lambda: len(impostor.asked) > 8)
        await probes.stop()

    assert impostor.most == 1
