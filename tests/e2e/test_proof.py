"""The proof matrix on a real proxy: what fails is red, the gate holds in every worker, nothing is woken.

On the same proxy, which has an Ollama: switches that have its models in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from neuronode_router.domain.names import TASK_ALIASES
from tests.e2e.conftest import ADMIN
from tests.support.ollama import OllamaServer, Served, running_ollama
from tests.support.place import FAILING, FALLING, PROFILES, PROVIDER_KEY, Place
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

IDLE, WARM, SLOW = "idle", "warm", "slow"
RED = {("specialized", "strategy"), ("specialized", "trading_analysis")}


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    """An Ollama that has three models and has loaded none."""
    with running_ollama(
        Served(IDLE), Served(WARM, load_seconds=0.5), Served(SLOW, load_seconds=60)
    ) as server:
        yield server


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, ollama: OllamaServer
) -> Iterator[Proxy]:
    """Two workers whose gate refuses what is not proven."""
    place = Place(
        directory=tmp_path_factory.mktemp("strict"),
        upstream=upstream.url,
        deployments=tuple(
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"ollama_chat/{name}",
                    "api_base": ollama.url,
                    **({"num_ctx": 2048, "keep_alive": "1h"} if name != IDLE else {}),
                },
            }
            for name in (IDLE, WARM, SLOW)
        ),
    )
    environ = {
        "NEURONODE_PROOF_GATE": "enforce",
        "NEURONODE_WRITE_LIMIT": "1000/second",
        "NEURONODE_WARM_DRAIN": "1",
    }
    with Proxy(place, workers=2, environ=environ) as running:
        yield running


@pytest.fixture
def client(strict: Proxy) -> Iterator[httpx.Client]:
    """The administrator, who lets `premium` be active."""
    with strict.client() as client:
        client.post(f"{ADMIN}/switch", json={"profile": "premium", "force": True}).raise_for_status()
        yield client


def prove(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.post("/admin/proof/validate", params={"live": "1", **query}, timeout=120)
    assert PROVIDER_KEY not in answer.text
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def states(client: httpx.Client) -> Mapping[tuple[str, str], dict[str, Any]]:
    cells = client.get("/admin/proof/matrix").raise_for_status().json()["cells"]
    return {(cell["profile"], cell["task"]): cell for cell in cells}


def test_what_fails_is_red_and_everything_else_green(client: httpx.Client, upstream: Upstream) -> None:
    """Each group is asked once, itself: no retry, no fallback, no cache; price and latency are kept."""
    before = upstream.counts()

    with client.stream(
        "POST",
        "/admin/proof/validate",
        params={"live": "1"},
        headers={"Accept": "text/event-stream"},
        timeout=120,
    ) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    live = json.loads(lines[-1])["live"]

    found = states(client)
    after = upstream.counts()
    assert {cell for cell, about in found.items() if about["state"] == "red"} == RED
    assert {about["why"] for cell, about in found.items() if cell in RED} == {"unavailable"}
    assert {about["state"] for cell, about in found.items() if cell not in RED} == {"green"}
    assert (live["done"], live["wanted"], len(lines)) == (55, 55, 56)
    asked = {name: after[name]["requests"] - before[name]["requests"] for name in after}
    assert {name: count for name, count in asked.items() if count} == {
        f"{task}_{profile}": 1 for profile in PROFILES for task in TASK_ALIASES if (profile, task) not in RED
    } | {f"{FALLING[0]}-fail-500": 1, f"{FAILING}-fail-503": 1}
    proven = found["balanced", "chat"]
    assert proven["cost_usd"] == pytest.approx(11e-6 + 3 * 2e-6)
    assert 0 < proven["latency_ms"] < 30_000


def test_the_gate_holds_and_force_is_audited(client: httpx.Client) -> None:
    """In whichever worker answers: red cells are named, forced ones stand in the audit log."""
    prove(client)

    refusals = [client.post(f"{ADMIN}/switch", json={"profile": "specialized"}) for _ in range(4)]
    proven = client.post(f"{ADMIN}/switch", json={"profile": "balanced"})
    forced = client.post(
        f"{ADMIN}/switch", json={"profile": "specialized", "force": True, "reason": "outage"}
    ).raise_for_status()
    entry = client.get("/admin/audit").json()["entries"][0]

    assert {refusal.status_code for refusal in refusals} == {409}
    assert {problem["path"] for problem in refusals[0].json()["problems"]} == {".".join(cell) for cell in RED}
    assert (proven.status_code, proven.json()["warnings"], proven.json()["complete"]) == (200, [], True)
    assert (forced.json()["complete"], len(forced.json()["warnings"])) == (True, 2)
    assert entry["reason"] == "forced past 2 unproven cells; outage"


def test_probes_are_neither_used_nor_measured(client: httpx.Client) -> None:
    """Usage and statistics know requests of clients only."""
    prove(client, profile="ultra_fast")

    usage = client.get("/admin/usage", params={"by": "served_group"}).raise_for_status().json()
    stats = client.get("/admin/router/stats").raise_for_status().json()

    assert (usage["total"]["requests"], usage["lines"]) == (0, [])
    assert all(not measured["window"] for measured in stats["deployments"])


def test_what_is_not_loaded_is_not_woken_unless_asked(client: httpx.Client, ollama: OllamaServer) -> None:
    """Its server sees no request for an answer until somebody says `wake`."""
    edit = client.put(
        f"{ADMIN}/ultra_fast/tasks/chat", json={"group": IDLE}, headers={"If-Match": "*"}
    ).raise_for_status()
    assert edit.json()["complete"]
    wait_until(lambda: known_as_idle(client), seconds=30, what="the monitor to know that it is not loaded")

    query = {"profile": "ultra_fast", "task": "chat"}
    (asleep,) = prove(client, **query)["live"]["cells"]
    loads = ollama.counts(IDLE)["loads"]
    (awake,) = prove(client, **query, wake="1")["live"]["cells"]

    assert (asleep["state"], asleep["group"], loads) == ("not_loaded", IDLE, 0)
    assert (awake["state"], ollama.counts(IDLE)["loads"]) == ("green", 1)


def known_as_idle(client: httpx.Client) -> bool:
    """Whether the worker that answers has asked the Ollama; a few answers are from both."""
    return all(
        [entry["loaded"] for entry in registry["deployments"] if entry["group"] == IDLE] == [False]
        for registry in (client.get("/admin/router/registry").json() for _ in range(6))
    )


@pytest.fixture
def mapped(client: httpx.Client) -> Iterator[Callable[[str], None]]:
    """Let a group answer `chat` of ultra_fast; afterwards it is as it was."""
    place, any_state = "/admin/profiles/ultra_fast/tasks/chat", {"If-Match": "*"}
    yield (
        lambda group: client.put(place, json={"group": group}, headers=any_state).raise_for_status() and None
    )
    client.post(f"{ADMIN}/switch", json={"profile": "premium", "force": True}).raise_for_status()
    client.put(place, json={"group": "chat_ultra_fast"}, headers=any_state).raise_for_status()


def test_a_switch_waits_until_a_local_model_is_in_memory_and_lets_it_go_after(
    client: httpx.Client, ollama: OllamaServer, mapped: Callable[[str], None]
) -> None:
    """Loaded once, as LiteLLM asks for it: the first real request finds it, and a switch back unloads it when idle."""
    mapped(WARM)
    order = {"profile": "ultra_fast", "force": True, "warm": "wait"}
    ask = {"model": "chat", "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 2}

    dry = client.post(f"{ADMIN}/switch", json={**order, "dry_run": True}).raise_for_status().json()
    receipt = client.post(f"{ADMIN}/switch", json=order, timeout=60).raise_for_status().json()
    answer = client.post("/v1/chat/completions", json=ask, timeout=60).raise_for_status()
    loads, window = ollama.counts(WARM)["loads"], ollama.loaded()["warm:latest"]["context_length"]
    client.post(f"{ADMIN}/switch", json={"profile": "premium", "force": True}).raise_for_status()
    wait_until(lambda: ollama.counts(WARM)["unloads"] == 1, seconds=20, what="the drain")

    assert [each["model"] for each in dry["warm"]["to_load"]] == ["warm:latest"]
    assert [each["model"] for each in receipt["warm"]["loaded"]] == ["warm:latest"]
    assert receipt["warm"]["waited_s"] >= 0.5
    assert (receipt["complete"], answer.headers["x-neuronode-group"]) == (True, WARM)
    assert (loads, window) == (1, 2048)


def test_who_hangs_up_while_a_model_is_loaded_has_not_switched(
    client: httpx.Client, mapped: Callable[[str], None]
) -> None:
    """Nothing is half done, and no worker goes on with it."""
    mapped(SLOW)
    order = {"profile": "ultra_fast", "force": True, "warm": "wait"}

    def warming() -> list[object]:
        workers = client.get(f"{ADMIN}/status").json()["workers"]
        return [each for worker in workers for each in worker["report"].get("warming", ())]

    with pytest.raises(httpx.ReadTimeout):
        client.post(f"{ADMIN}/switch", json=order, timeout=5)
    wait_until(lambda: not warming(), seconds=20, what="the end of the warm-up")

    assert client.get(f"{ADMIN}/status").json()["active_profile"] == "premium"
