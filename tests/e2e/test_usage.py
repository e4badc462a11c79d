"""Two hundred requests of all kinds through a real proxy of two workers: the books say what the provider says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from neuronode_router.access import AccessKey, generate_key
from tests.support.agent import over_http, tools_of, why_slow
from tests.support.place import FALLING, PROVIDER_KEY, Place
from tests.support.proxy import MASTER_KEY, Proxy
from tests.support.recorder_names import RECORD, RECORDER
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CANARY = "canary-7f3b9e21"
"""Stands in every prompt, and in a name that no group has."""

UNPRICED = "unpriced_group"
LEFT, BROKEN, CACHED, FAILING = "tier_complex", "tier_medium", "tier_fast", "chat_balanced"
"""Groups of their own for what a provider counts otherwise than LiteLLM: cut answers, cached ones, errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePlace(Place):
    """With a cache that requests may ask for, and a group that nobody has priced."""

    def _config(self) -> dict[str, Any]:
        config = Place._config(self)
        config["litellm_settings"] |= {
            "cache": True,
            "cache_params": {"type": "local", "mode": "default_off"},
        }
        params = {"model": f"openai/{UNPRICED}", "api_base": f"{self.upstream}/v1", "api_key": PROVIDER_KEY}
        config["model_list"].append({"model_name": UNPRICED, "litellm_params": params})
        return config


@dataclass(frozen=True, slots=True)
class Kind:
    """How often which request is sent, and how it is to be counted."""

    count: int
    name: str
    outcome: str = "answered"
    path: str = "/v1/chat/completions"
    stream: bool = False
    prompt: str = "hi"
    leaves: bool = False
    cached: bool = False


MESSAGES, RESPONSES, COMPLETIONS, EMBEDDINGS = (
    "/v1/messages",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
)
KINDS = (
    Kind(44, "classification"),
    Kind(24, "extraction", stream=True),
    Kind(14, "summary", path=MESSAGES),
    Kind(12, "summary", path=MESSAGES, stream=True),
    Kind(10, "sentiment", path=RESPONSES),
    Kind(10, "sentiment", path=RESPONSES, stream=True),
    Kind(8, "rag_query", path=COMPLETIONS),
    Kind(6, "rag_query", path=COMPLETIONS, stream=True),
    Kind(8, "embed", path=EMBEDDINGS),
    Kind(6, "task_synthesis"),
    Kind(6, "ultra_fast/strategy"),
    Kind(4, "@profile/cost_effective", stream=True),
    Kind(6, UNPRICED),
    Kind(8, f"specialized/{FALLING[0].rpartition('_')[0]}"),
    Kind(4, FALLING[0], stream=True),
    Kind(8, FAILING, "unavailable", prompt="fail-500"),
    Kind(4, FAILING, "rate_limit", prompt="fail-429"),
    Kind(2, FAILING, "unavailable", prompt="fail-503", stream=True),
    Kind(2, FAILING, "unavailable", path=RESPONSES, prompt="fail-500"),
    Kind(2, f"sk-{CANARY}", "not_found"),
    Kind(2, LEFT, "cancelled", prompt="words-40 pause-40", stream=True, leaves=True),
    Kind(2, BROKEN, "unavailable", prompt="words-9 break-stream", stream=True),
)
CACHED_KIND = Kind(1, CACHED, cached=True)
TOTAL = 200


@pytest.fixture(scope="module")
def member() -> tuple[str, AccessKey]:
    """A key of a team."""
    return generate_key("search-service", team="search")


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    """A fake provider whose counts nobody else moves."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, provider: Upstream, member: tuple[str, AccessKey]
) -> Iterator[Proxy]:
    """Two workers that flush often."""
    directory = tmp_path_factory.mktemp("usage")
    place = UsagePlace(directory=directory, upstream=provider.url, keys=(member[1],), callbacks=(RECORDER,))
    environ = {RECORD: str(directory / "record.ndjson"), "NEURONODE_USAGE_FLUSH_SECONDS": "0.2"}
    with Proxy(place, workers=2, environ=environ | {"NEURONODE_WRITE_LIMIT": "1000/second"}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def sent(running: Proxy) -> Mapping[str, str]:
    """Send everything once; return a call id for each kind of outcome."""
    return asyncio.run(send_all(running))


@pytest.fixture(scope="module")
def books(running: Proxy, sent: Mapping[str, str]) -> list[dict[str, Any]]:
    """The lines of the report over everything, once all of it has arrived."""
    by = "profile,task,chosen_group,served_group,team,outcome,reason"

    def arrived() -> bool:
        return int(report(running)["total"]["requests"]) >= TOTAL

    wait_until(arrived, seconds=90, what="every request in the books")
    return list(report(running, by=by)["lines"])


def report(proxy: Proxy, **query: str) -> dict[str, Any]:
    """Read a usage report with the master key."""
    with proxy.client() as client:
        answer: dict[str, Any] = client.get("/admin/usage", params=query).raise_for_status().json()
        return answer


async def send_all(proxy: Proxy) -> Mapping[str, str]:
    """Send every kind, 16 at a time, each over a connection of its own so that both workers serve."""
    calls: dict[str, str] = {}
    free = asyncio.Semaphore(16)

    async def one(kind: Kind) -> None:
        async with free:
            answer = await ask(client, kind)
            calls.setdefault(kind.outcome, answer.headers.get("x-litellm-call-id", ""))

    requests = [kind for kind in KINDS for _ in range(kind.count)]
    async with connections(proxy, kept=0) as client:
        await asyncio.gather(*(one(kind) for kind in requests))
    async with connections(proxy, kept=1) as client:  # one connection, one worker, one cache
        for _ in range(TOTAL - len(requests)):
            await ask(client, CACHED_KIND)
    return calls


@asynccontextmanager
async def connections(proxy: Proxy, *, kept: int) -> AsyncIterator[httpx.AsyncClient]:
    headers, limits = {"authorization": f"Bearer {MASTER_KEY}"}, httpx.Limits(max_keepalive_connections=kept)
    async with httpx.AsyncClient(base_url=proxy.url, headers=headers, limits=limits, timeout=60) as client:
        yield client


async def ask(client: httpx.AsyncClient, kind: Kind) -> httpx.Response:
    """Send one request; a client that leaves reads a few lines only."""
    text = f"{kind.prompt} {CANARY}"
    body: dict[str, Any] = {"model": kind.name}
    if kind.path in (RESPONSES, EMBEDDINGS):
        body["input"] = text
    elif kind.path == COMPLETIONS:
        body["prompt"] = text
    else:
        body["messages"] = [{"role": "user", "content": text}]
    body |= {"max_tokens": 99} if kind.path == MESSAGES else {}
    body |= {"stream": True} if kind.stream else {}
    body |= {"cache": {"use-cache": True}} if kind.cached else {}
    async with client.stream("POST", kind.path, json=body) as answer:
        async for _ in answer.aiter_lines():
            if kind.leaves:
                break
    return answer


def test_every_request_is_counted_once_by_how_it_ended(books: list[dict[str, Any]]) -> None:
    """As many requests as were sent are in the books, each under its outcome: none twice, none missing."""
    expected: Counter[str] = Counter()
    for kind in KINDS:
        expected[kind.outcome] += kind.count
    rest = TOTAL - expected.total()
    expected["answered"] += 1
    expected["cached"] += rest - 1

    found: Counter[str] = Counter()
    for line in books:
        found[line["names"]["outcome"]] += line["figures"]["requests"]

    assert found == expected


def test_requests_and_tokens_are_those_the_provider_counted(
    books: list[dict[str, Any]], provider: Upstream
) -> None:
    """For every group that answers in full: the same requests, the same tokens of prompt and answer, exactly."""
    ours: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in books:
        if line["names"]["outcome"] != "cached":
            for figure in ("requests", "prompt_tokens", "completion_tokens"):
                ours[line["names"]["served_group"]][figure] += line["figures"][figure]
    theirs = provider.counts()
    whole = theirs.keys() - {LEFT, BROKEN, f"{FALLING[0]}-fail-500"}

    assert len(whole) > 10
    for name in whole:
        figures = {
            figure: theirs[name][figure] for figure in ("requests", "prompt_tokens", "completion_tokens")
        }
        assert {figure: ours[name][figure] for figure in figures} == figures, name
    assert ours[LEFT]["requests"] == theirs[LEFT]["requests"]
    assert ours[BROKEN]["requests"] == theirs[BROKEN]["requests"]


def test_a_saved_request_is_one_request_with_a_fallback(
    books: list[dict[str, Any]], provider: Upstream
) -> None:
    """The failed attempts are the provider's; in the books each is one answered request that fell back."""
    fell = [line for line in books if line["names"]["chosen_group"] == FALLING[0]]

    requests = sum(line["figures"]["requests"] for line in fell)
    assert requests == provider.counts()[f"{FALLING[0]}-fail-500"]["requests"] == 12
    assert sum(line["figures"]["fallbacks"] for line in fell) == requests
    assert {(line["names"]["served_group"], line["names"]["outcome"]) for line in fell} == {
        (FALLING[1], "answered")
    }


def test_dollars_are_litellms_own(books: list[dict[str, Any]], running: Proxy) -> None:
    """What LiteLLM logged as spend is what the books say, and what has no price is not zero."""
    rows = [json.loads(line) for line in (running.place.directory / "record.ndjson").read_text().splitlines()]
    spent = sum(row["cost"] for row in rows)
    unpriced = [line["figures"] for line in books if line["names"]["chosen_group"] == UNPRICED]

    assert spent > 0.001
    assert sum(line["figures"]["cost_usd"] or 0.0 for line in books) == pytest.approx(spent, abs=1e-6)
    assert [(figures["cost_usd"], figures["unpriced"], figures["priced"]) for figures in unpriced] == [
        (None, 6, 0)
    ]


def test_the_books_know_what_decided(books: list[dict[str, Any]]) -> None:
    """Profile, task, reason and group of each request are those of admission; unknown names are not kept."""
    by_task = {
        (line["names"]["task"], line["names"]["profile"], line["names"]["reason"]): line["names"][
            "served_group"
        ]
        for line in books
        if line["names"]["outcome"] == "answered"
    }

    assert by_task["classification", "premium", "active_profile"] == "classification_premium"
    assert by_task["synthesis", "balanced", "stable_alias"] == "synthesis_balanced"
    assert by_task["strategy", "ultra_fast", "override_name"] == "strategy_ultra_fast"
    assert by_task["", "", "passthrough"]
    (lost,) = [line["names"] for line in books if line["names"]["outcome"] == "not_found"]
    assert lost["chosen_group"] == "other"


def test_rates_and_times_are_plausible(running: Proxy, books: list[dict[str, Any]]) -> None:
    """Quantiles are there for what was answered, in order, and a first token comes before the end."""
    figures = report(running, by="task")["total"]
    streams = next(
        line for line in report(running, by="task")["lines"] if line["names"]["task"] == "extraction"
    )

    assert figures["requests"] == TOTAL
    assert 0 < figures["latency_p50_ms"] <= figures["latency_p95_ms"]
    assert 0 < streams["figures"]["first_token_p50_ms"] <= streams["figures"]["latency_p95_ms"]
    assert figures["error_rate"] == pytest.approx(20 / TOTAL)


def test_any_worker_explains_a_request(running: Proxy, sent: Mapping[str, str], books: list[Any]) -> None:
    """A call id of an answer leads to its decision and to its cost under every profile, whichever worker is asked."""
    for _ in range(4):
        with running.client() as client:
            answer = client.get(f"/admin/requests/{sent['answered']}/explain").raise_for_status().json()

        assert answer["outcome"] == "answered"
        assert {one["profile"] for one in answer["alternatives"]} >= {"premium", "balanced"}
        own = next(one for one in answer["alternatives"] if one["group"] == answer["chosen_group"])
        assert own["cost_usd"] == answer["cost_usd"]


async def test_an_agent_explains_a_request(running: Proxy, sent: Mapping[str, str], books: list[Any]) -> None:
    """By tools alone: how slow it was beside others, and what `cost_effective` would have cost."""
    async with over_http(f"{running.url}/admin/agents/mcp", MASTER_KEY) as agent:
        answer = await why_slow(agent, sent["answered"])
        tools = await tools_of(agent)

    assert answer.cost_under["cost_effective"] is not None
    assert "switch" not in tools


def test_a_plan_costs_what_the_groups_cost(running: Proxy, books: list[dict[str, Any]]) -> None:
    """All groups of this place have one price: another profile costs the same, the active one exactly what it did."""
    with running.client() as client:
        active, other = (
            client.post("/admin/plan", json={"profile": name}).raise_for_status().json()
            for name in ("premium", "balanced")
        )

    assert active["cost_after"]["usd"] == active["cost_before"]["usd"]
    assert active["followed"] == other["followed"] > 120
    assert other["cost_after"]["usd"] == pytest.approx(active["cost_before"]["usd"], rel=0.01)
    moved = {move["task"]: move["after"] for move in other["moves"] if move["before"] != move["after"]}
    assert moved["classification"] == "classification_balanced"
    assert other["findings"] == []


def test_members_see_their_own_team(running: Proxy, books: list[Any], member: tuple[str, AccessKey]) -> None:
    """What a team's key uses is the team's, and all that the team's key sees; other calls are nobody's to it."""
    plain, _ = member
    with running.client(plain) as client:
        before = client.get("/admin/usage").raise_for_status().json()["total"]["requests"]
        answer = client.post(
            "/v1/chat/completions",
            json={"model": "classification", "messages": [{"role": "user", "content": "hi"}]},
        ).raise_for_status()

        def counted() -> bool:
            lines = client.get("/admin/usage", params={"by": "team"}).raise_for_status().json()["lines"]
            return [(line["names"], line["figures"]["requests"]) for line in lines] == [
                ({"team": "search"}, 1)
            ]

        wait_until(counted, seconds=20, what="the team's request in the books")
        own = client.get(f"/admin/requests/{answer.headers['x-litellm-call-id']}/explain")

    assert before == 0
    assert own.raise_for_status().json()["team"] == "search"


def test_no_prompt_and_no_key_is_kept(
    running: Proxy, books: list[Any], member: tuple[str, AccessKey]
) -> None:
    """Texts of prompts, keys and made-up names are nowhere in the books' files."""
    kept = b"".join(
        path.read_bytes() for path in sorted((running.place.directory / ".neuronode").rglob("*.db*"))
    )

    assert b"classification_premium" in kept
    for secret in (CANARY, MASTER_KEY, member[0], PROVIDER_KEY):
        assert secret.encode() not in kept


def test_a_spreadsheet_gets_the_same(running: Proxy, books: list[Any]) -> None:
    """The CSV has the lines of the JSON, and says unpriced in words."""
    with running.client() as client:
        text = (
            client.get("/admin/usage", params={"by": "served_group", "format": "csv"}).raise_for_status().text
        )

    lines = text.splitlines()
    assert lines[0].startswith("start,served_group,requests,")
    assert len(lines) == len(report(running, by="served_group")["lines"]) + 1
    assert ",unpriced," in next(line for line in lines if UNPRICED in line)
