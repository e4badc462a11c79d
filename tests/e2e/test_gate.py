"""What a caller may reach, by every call and every way of naming: judged by what the fake provider was asked for."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from neuronode_router.access import generate_key
from neuronode_router.domain.names import Tier
from tests.e2e.asking import answered_by, chat, decision
from tests.support.place import FALLING, Place
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

BOUND = "ultra_fast"
"""The profile that the key `bound` is bound to."""

DEPTH = 985
"""Brackets in brackets at which Python gives up where it must go through them."""

NESTED = "[" * DEPTH + "]" * DEPTH
PROMPT = [{"role": "user", "content": "hi"}]
PARTS = [{"role": "user", "parts": [{"text": "hi"}]}]
AUDIO = {"file": ("a.wav", b"RIFF", "audio/wav")}
IMAGE = {"image": ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")}
LINE = (
    b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "tier_complex"}}'
)
LINES = {"file": ("a.jsonl", LINE, "application/jsonl")}
BATCH = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}

Send = Callable[[httpx.Client, str], httpx.Response]


def posted(path: str, **body: Any) -> Callable[..., httpx.Response]:
    """Return a call with the model in its body, and whatever else it is given."""
    return lambda client, name, **more: client.post(path, json={"model": name, **body, **more})


def formed(path: str, files: Mapping[str, Any], **fields: str) -> Send:
    """Return a call with the model in a form."""
    return lambda client, name: client.post(path, data={"model": name, **fields}, files=files)


NAMED: Mapping[str, Callable[..., httpx.Response]] = {
    "chat": posted("/v1/chat/completions", messages=PROMPT),
    "chat stream": posted("/v1/chat/completions", messages=PROMPT, stream=True),
    "completions": posted("/v1/completions", prompt="hi"),
    "embeddings": posted("/v1/embeddings", input="hi"),
    "responses": posted("/v1/responses", input="hi"),
    "responses stream": posted("/v1/responses", input="hi", stream=True),
    "compact": posted("/v1/responses/compact", input="hi"),
    "messages": posted("/v1/messages", messages=PROMPT, max_tokens=9),
    "messages stream": posted("/v1/messages", messages=PROMPT, max_tokens=9, stream=True),
    "generateContent": lambda client, name: client.post(
        f"/v1beta/models/{name}:generateContent", json={"contents": PARTS}
    ),
    "interactions": posted("/v1beta/interactions", input="hi"),
    "images": posted("/v1/images/generations", prompt="hi"),
    "image edits": formed("/v1/images/edits", IMAGE, prompt="hi"),
    "speech": posted("/v1/audio/speech", input="hi", voice="alloy"),
    "transcriptions": formed("/v1/audio/transcriptions", AUDIO),
    "moderations": posted("/v1/moderations", input="hi"),
    "videos": posted("/v1/videos", prompt="hi"),
    "path": lambda client, name: client.post(
        f"/openai/deployments/{name}/chat/completions", json={"model": "tier_fast", "messages": PROMPT}
    ),
    "engines path": lambda client, name: client.post(
        f"/engines/{name}/chat/completions", json={"model": "tier_fast", "messages": PROMPT}
    ),
    "engines path alone": lambda client, name: client.post(
        f"/engines/{name}/chat/completions", json={"messages": PROMPT}
    ),
    "query": lambda client, name: client.post(
        f"/v1/chat/completions?model={name}", json={"model": "tier_fast", "messages": PROMPT}
    ),
    "comma": lambda client, name: chat(client, f"tier_fast, {name}"),
    "fastest": lambda client, name: chat(client, f"tier_fast,{name}", fastest_response=True),
}
"""Calls by which an unrestricted caller reaches any group."""

WIRES = [
    *(
        "chat",
        "chat stream",
        "responses",
        "responses stream",
        "messages",
        "messages stream",
        "generateContent",
    ),
    *("embeddings", "completions"),
]
"""Those of the calls that say who answered."""

COUNTS: Mapping[str, Send] = {
    "count tokens": posted("/v1/messages/count_tokens", messages=PROMPT),
    "input tokens": posted("/v1/responses/input_tokens", input="hi"),
    "countTokens": lambda client, name: client.post(
        f"/v1beta/models/{name}:countTokens", json={"contents": PARTS}
    ),
}
"""Calls that send the prompt to a provider to have its tokens counted."""

UNSEEN: Mapping[str, Send] = {
    "files": formed("/v1/files", LINES, purpose="batch"),
    "batches": posted("/v1/batches", **BATCH),
    "realtime secret": posted("/v1/realtime/client_secrets", session={"type": "realtime"}),
    "redirected": posted("/v1/chat/completions", messages=PROMPT, deployment_id="tier_complex"),
    "redirected prompt": posted("/v1/completions", prompt="hi", deployment_id="tier_complex"),
    "redirected body": posted("/v1/responses", input="hi", extra_body={"model": "tier_complex"}),
    "other provider": posted("/v1/chat/completions", messages=PROMPT, custom_llm_provider="anthropic"),
    "model id": posted("/v1/chat/completions", messages=PROMPT, model_id="tier_complex"),
    "route of models": posted(
        "/v1/chat/completions", messages=PROMPT, extra_body={"models": ["tier_complex"], "route": "fallback"}
    ),
    "engine": posted("/v1/completions", prompt="hi", engine="tier_complex"),
    "retrieval": posted(
        "/v1/rag/query",
        messages=PROMPT,
        retrieval_config={"vector_store_id": "vs1", "custom_llm_provider": "openai"},
    ),
    "ingestion": posted("/v1/rag/ingest", ingest_options={"embedding": {"model": "tier_complex"}}),
    "vector store": posted("/v1/vector_stores/vs1/search", query="hi", custom_llm_provider="openai"),
    "assistants": posted("/v1/assistants"),
    "threads": posted("/v1/threads/t/runs", assistant_id="a"),
    "transcription session": posted("/v1/realtime/transcription_sessions"),
    "video extension": posted("/v1/videos/v1/remix", prompt="hi"),
    "decisions": posted("/v1/decisions", messages=PROMPT),
    "health": lambda client, name: client.get("/health", params={"model": name}),
}
"""Calls of which nobody can check what is asked in the end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a call: the answer, and whom the provider was asked for."""

    answer: httpx.Response
    seen: set[str]


@dataclass(frozen=True, slots=True)
class Callers:
    """The keys of a proxy, and the provider behind it."""

    proxy: Proxy
    keys: Mapping[str, str]
    upstream: Upstream

    def ask(self, key: str, send: Callable[[httpx.Client], httpx.Response]) -> Asked:
        """Call with a key."""
        before = self.upstream.counts()
        with self.proxy.client(self.keys[key]) as client:
            answer = send(client)
        after = self.upstream.counts()
        return Asked(answer, {name for name in after if after[name]["requests"] > before[name]["requests"]})

    def chat(self, key: str, name: str, **body: Any) -> Asked:
        """Send a chat request."""
        return self.ask(key, lambda client: chat(client, name, **body))


def placed(upstream: Upstream, group: str, location: str | None) -> dict[str, Any]:
    """Return a deployment of a group at a place: it is asked for by group and place."""
    params = {"model": f"openai/{group}-{location}", "api_base": f"{upstream.url}/v1", "api_key": "none"}
    note = {} if location is None else {"neuronode": {"location": location}}
    return {"model_name": group, "litellm_params": params, "model_info": note}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Callers]:
    """A proxy of its own, since these tests make deployments fail, with a key for each kind of caller."""
    capped = {"low": generate_key("low"), "capped": generate_key("capped", tasks=("auto", "auto:complex"))}
    generated = {name: (plain, replace(entry, max_tier=Tier.FAST)) for name, (plain, entry) in capped.items()}
    generated |= {
        "narrow": generate_key("narrow", tasks=("classification",)),
        "chooser": generate_key("chooser", profiles=("balanced",)),
        "ordinary": generate_key("ordinary"),
        "bound": generate_key("bound"),
        "watched": generate_key("watched", profiles=("watchful",)),
    }
    resident, entry = generate_key("resident")
    generated["resident"] = (resident, replace(entry, residency=("local",)))
    place = Place(
        directory=tmp_path_factory.mktemp("gate"),
        upstream=upstream.url,
        keys=[entry for _, entry in generated.values()],
        litellm={"context_window_fallbacks": [{"tier_fast": ["tier_complex"]}]},
        deployments=[
            placed(upstream, "away", "us"),
            placed(upstream, "mixed", "us"),
            placed(upstream, "mixed", None),
        ],
    )
    with Proxy(place) as proxy, proxy.client() as admin:
        admin.put("/admin/bindings/key/bound", json={"profile": BOUND}).raise_for_status()
        yield Callers(proxy, {name: plain for name, (plain, _) in generated.items()}, upstream)


@pytest.mark.parametrize("call", [name for name in NAMED if name != "fastest"])
def test_who_is_unrestricted_reaches_any_group(callers: Callers, call: str) -> None:
    """Every call of the table asks the provider for the group it names."""
    asked = callers.ask("ordinary", lambda client: NAMED[call](client, "tier_complex"))

    assert "tier_complex" in asked.seen


@pytest.mark.parametrize("call", [*NAMED, *COUNTS])
@pytest.mark.parametrize("key", ["low", "capped", "narrow"])
def test_a_group_out_of_reach_is_asked_by_no_call(callers: Callers, key: str, call: str) -> None:
    """A capped key and a key for certain models are refused, whatever the call and wherever the name stands."""
    asked = callers.ask(key, lambda client: (NAMED | COUNTS)[call](client, "tier_complex"))

    assert asked.answer.status_code == 403, asked.answer.text
    assert asked.seen == set()


@pytest.mark.parametrize("call", [*NAMED, *COUNTS])
def test_a_capped_key_may_call_what_is_below_its_cap(callers: Callers, call: str) -> None:
    """A cap closes nothing else."""
    asked = callers.ask("low", lambda client: (NAMED | COUNTS)[call](client, "tier_fast"))

    assert asked.seen == {"tier_fast"}, asked.answer.text


@pytest.mark.parametrize("call", UNSEEN)
@pytest.mark.parametrize("key", ["low", "narrow", "bound"])
def test_what_cannot_be_checked_is_refused_for_who_is_limited(callers: Callers, key: str, call: str) -> None:
    """Files, batches, secrets and redirected requests reach no provider, and the error says why."""
    name = "classification" if key == "narrow" else "tier_fast"

    asked = callers.ask(key, lambda client: UNSEEN[call](client, name))

    assert asked.answer.status_code == 403, asked.answer.text
    assert "cannot be checked" in asked.answer.text
    assert asked.seen == set()


def test_what_cannot_be_checked_is_counted_as_refused(callers: Callers) -> None:
    """Each call once, whether LiteLLM's hooks hear of it or the door alone."""
    before = refused(callers)
    assert before is not None

    for send in UNSEEN.values():
        callers.ask("narrow", lambda client, send=send: send(client, "classification"))

    counted = before + len(UNSEEN)
    wait_until(lambda: refused(callers) == counted, seconds=30, what="the refusals", longest_pause=1)


def refused(callers: Callers) -> int | None:
    """Return how many requests usage has that were refused; None where it is asked too often."""
    with callers.proxy.client() as admin:
        answer = admin.get("/admin/usage", params={"by": "outcome"})
    if answer.status_code == 429:
        return None
    lines = answer.raise_for_status().json()["lines"]
    return {line["names"]["outcome"]: int(line["figures"]["requests"]) for line in lines}.get(
        "refused_access", 0
    )


def deep(path: str, **body: Any) -> Send:
    """Return a call whose body Python's reader gives up on, and LiteLLM's does not."""
    return lambda client, name: client.post(
        path,
        content=json.dumps({"model": name, **body})[:-1] + f', "x": {NESTED}}}',
        headers={"content-type": "application/json"},
    )


BY_NO_HOOK: Mapping[str, Send] = {
    **{name: UNSEEN[name] for name in ("retrieval", "assistants", "health", "transcription session")},
    "deep count": deep("/v1/messages/count_tokens", messages=PROMPT),
    "deep input count": deep("/v1/responses/input_tokens", input="hi"),
    "token counter": posted("/utils/token_counter?call_endpoint=true", messages=PROMPT),
}
"""Calls that LiteLLM sends out without telling our admission."""


@pytest.mark.parametrize("call", BY_NO_HOOK)
@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("low", "tier_complex"),
        ("narrow", "strategy_premium"),
        ("bound", "chat"),
        ("ordinary", "@profile/balanced"),
    ],
)
def test_no_call_by_no_hook_goes_where_its_caller_may_not(
    callers: Callers, key: str, name: str, call: str
) -> None:
    """Neither above a cap nor beside a list, a binding or a grant."""
    asked = callers.ask(key, lambda client: BY_NO_HOOK[call](client, name))

    assert asked.seen == set()
    assert asked.answer.status_code in (400, 403), asked.answer.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("key", "name", "advisor"),
    [
        ("low", "tier_fast", "tier_complex"),
        ("narrow", "classification", "strategy_premium"),
        ("ordinary", "chat", "@profile/balanced"),
    ],
)
def test_a_tools_model_is_a_name_like_any_other(
    callers: Callers, key: str, name: str, advisor: str, *, stream: bool
) -> None:
    """A tool that asks a model of its own is refused with a model that its caller may not ask."""
    tools = [{"type": "advisor_20260301", "name": "advisor", "model": advisor}]

    asked = callers.ask(key, lambda client: NAMED["messages"](client, name, tools=tools, stream=stream))

    assert asked.answer.status_code == 403, asked.answer.text
    assert asked.seen == set()


HANGS = re.compile(r"/events|/stream|/drain|/shutdown|/sso|/login|/logout|/mcp|/lazy/")
"""Routes that answer for ever, or do more to the proxy than answer."""


LOOKS = re.compile(r"health|model")
"""Routes that are also tried by GET."""


def checkable(name: str) -> dict[str, Any]:
    """Return a body of what can be checked: its name alone decides whether it may pass."""
    return {
        "model": name,
        "messages": PROMPT,
        "contents": PARTS,
        "max_tokens": 9,
        **dict.fromkeys(("input", "prompt", "query"), "hi"),
        "documents": ["a"],
        "voice": "alloy",
    }


def everything(name: str) -> dict[str, Any]:
    """Return a body in which every kind of call finds what it asks for: much of it is refused who is limited."""
    return {
        **checkable(name),
        **dict.fromkeys(("state", "name"), "hi"),
        "session": {"type": "realtime", "model": name},
        "retrieval_config": {"vector_store_id": "vs1", "custom_llm_provider": "openai"},
        "ingest_options": {"embedding": {"model": name}, "vector_store": {"custom_llm_provider": "openai"}},
        "litellm_params": {"model": f"openai/{name}"},
        **BATCH,
    }


Sent = tuple[str, str, dict[str, Any] | None]
"""Method, path and body."""


@pytest.fixture(scope="module")
def paths(callers: Callers) -> Mapping[str, Iterable[str]]:
    """The methods of every route that the application tells of: writing that page takes it 6 s of a core."""
    with callers.proxy.client() as admin:
        found: dict[str, Any] = admin.get("/openapi.json", timeout=120).raise_for_status().json()["paths"]
    return found


def requests_with(paths: Mapping[str, Iterable[str]], name: str) -> list[Sent]:
    """Return requests of a name to every route, also where a path has a model."""
    return [
        (method, re.sub(r"\{[^}]*\}", "x1", re.sub(r"\{[^}]*model[^}]*\}", name, path)), body)
        for path, methods in paths.items()
        for method in methods
        if (method in ("post", "put", "patch") or LOOKS.search(path)) and not HANGS.search(path)
        for body in ([None] if method == "get" else [checkable(name), everything(name)])
    ]


def crawled(client: httpx.Client, requests: list[Sent], name: str) -> Counter[int]:
    """Send the requests and return how often each status was answered."""
    statuses: Counter[int] = Counter()
    for method, path, body in requests:
        query = {"model": name} if body is None else None
        with contextlib.suppress(httpx.TransportError):  # some of LiteLLM's fail, and uvicorn hangs up
            statuses[client.request(method, path, params=query, json=body).status_code] += 1
    return statuses


@pytest.mark.parametrize(
    ("key", "name", "group"),
    [
        ("low", "tier_complex", "tier_complex"),
        pytest.param("ordinary", "@profile/balanced", "chat_balanced", marks=pytest.mark.campaign),
    ],
)
def test_no_route_of_this_litellm_goes_where_its_caller_may_not(
    callers: Callers, paths: Mapping[str, Iterable[str]], key: str, name: str, group: str
) -> None:
    """Every route that the application tells of, also those that nobody here has heard of."""
    requests = requests_with(paths, name)
    statuses: Counter[int] = Counter()

    def every(client: httpx.Client) -> httpx.Response:
        statuses.update(crawled(client, requests, name))
        return client.get("/health/liveliness")

    asked = callers.ask(key, every)

    assert len(requests) > 400
    assert statuses.total() > 0.9 * len(requests), statuses
    assert group not in asked.seen
    assert asked.answer.status_code == 200


def test_the_same_request_goes_where_its_caller_may(
    callers: Callers, paths: Mapping[str, Iterable[str]]
) -> None:
    """Else the search above would find nothing wherever it looked."""
    sent = [each for each in requests_with(paths, "tier_fast") if each[1].endswith("/chat/completions")]

    def both(client: httpx.Client) -> httpx.Response:
        crawled(client, sent, "tier_fast")
        return client.get("/health/liveliness")

    assert "tier_fast" in callers.ask("low", both).seen


FALLBACKS: Mapping[str, Callable[[str, str, str], dict[str, Any]]] = {
    "names": lambda _, bad, good: {"fallbacks": [bad, good]},
    "parameters": lambda _, bad, good: {"fallbacks": [{"model": bad}, {"model": good}]},
    "by group": lambda name, bad, good: {"fallbacks": [{name: [bad, good]}]},
    "everywhere": lambda _, bad, good: {"fallbacks": [{"*": [bad, good]}]},
    "mixed": lambda _, bad, good: {"fallbacks": [{"model": bad}, good]},
    "parameters by group": lambda name, bad, good: {"fallbacks": [{name: [{"model": bad}, good]}]},
    "nested": lambda _, bad, good: {"fallbacks": [{"model": good, "user": "x", "fallbacks": [bad]}]},
    "without its caller": lambda _, bad, good: {
        "fallbacks": [{"model": good, "metadata": {}, "litellm_metadata": {}, "fallbacks": [bad]}]
    },
    "settings": lambda name, bad, good: {"router_settings_override": {"fallbacks": [{name: [bad, good]}]}},
}
"""From the name that is asked, a name out of reach and one within to a body's fallbacks."""

FAILING = [{"role": "user", "content": "fail-503"}]
NESTED_SHAPES = ("nested", "without its caller")

CALLS: Mapping[str, Callable[..., httpx.Response]] = {
    "chat": lambda client, name, **more: chat(client, name, prompt="fail-503", **more),
    "chat stream": lambda client, name, **more: chat(client, name, prompt="fail-503", stream=True, **more),
    "responses": lambda client, name, **more: client.post(
        "/v1/responses", json={"model": name, "input": "fail-503", **more}
    ),
    "responses stream": lambda client, name, **more: client.post(
        "/v1/responses", json={"model": name, "input": "fail-503", "stream": True, **more}
    ),
    "messages stream": lambda client, name, **more: client.post(
        "/v1/messages",
        json={"model": name, "max_tokens": 9, "messages": FAILING, "stream": True, **more},
    ),
    "messages": lambda client, name, **more: client.post(
        "/v1/messages", json={"model": name, "max_tokens": 9, "messages": FAILING, **more}
    ),
}


@pytest.mark.parametrize("shape", FALLBACKS)
@pytest.mark.parametrize(
    ("key", "name", "other", "reached"),
    [
        ("low", "tier_fast", "tier_complex", {"tier_fast", "rescue"}),
        ("low", "auto", "auto:complex", {"tier_fast", "rescue"}),
        ("low", "chat", "tier_complex", {"chat_premium", "rescue"}),
        ("ordinary", "chat", "@profile/balanced", {"chat_premium", "rescue"}),
        ("chooser", "chat", "@profile/balanced", {"chat_premium", "rescue", "chat_balanced"}),
        ("ordinary", "auto:fast", "native", {"tier_fast", "tier_medium", "tier_complex", "rescue", "native"}),
        ("bound", "chat", "summary", {f"chat_{BOUND}", f"summary_{BOUND}", "rescue"}),
    ],
)
def test_fallbacks_of_every_shape_go_where_the_caller_may(
    callers: Callers, key: str, name: str, other: str, reached: set[str], shape: str
) -> None:
    """Where everything fails, all that a caller may reach is asked, and nothing else."""
    body = FALLBACKS[shape](name, other, "rescue")

    asked = callers.chat(key, name, prompt="fail-503", **body)

    if shape in NESTED_SHAPES:  # LiteLLM does not go on to fallbacks of fallbacks
        assert {"rescue"} < asked.seen <= reached
    else:
        assert asked.seen == reached, asked.answer.text


@pytest.mark.parametrize("call", CALLS)
def test_fallbacks_hold_for_every_wire(callers: Callers, call: str) -> None:
    """What holds for fallbacks in chat requests holds in the others and in streams."""
    body = {"fallbacks": [{"model": "tier_complex"}, "rescue"]}

    asked = callers.ask("low", lambda client: CALLS[call](client, "tier_fast", **body))

    assert asked.seen == {"tier_fast", "rescue"}


@pytest.mark.parametrize("key", ["low", "ordinary"])
def test_fallbacks_for_an_outgrown_window_do_not_lift_a_cap(callers: Callers, key: str) -> None:
    """Neither those of the client nor those of the operator lead above it."""
    theirs = [{"tier_fast": ["tier_complex", "rescue"]}]

    of_client = callers.chat(key, "tier_fast", prompt="fail-413", context_window_fallbacks=theirs)
    of_operator = callers.chat(key, "tier_fast", prompt="fail-413")
    of_task = callers.chat(key, "auto:fast", prompt="fail-413")

    above = {"tier_complex"} if key == "ordinary" else set()
    assert of_client.seen == {"tier_fast", "rescue"} | above
    assert of_operator.seen == {"tier_fast"} | above
    assert of_task.seen <= {"tier_fast"} | ({"tier_medium", "tier_complex"} if above else set())


@pytest.mark.parametrize(
    ("key", "name", "reached"),
    [
        ("ordinary", "chat,@profile/balanced", set()),
        ("ordinary", "chat, balanced/chat", set()),
        ("chooser", "chat,@profile/balanced", {"chat_premium", "chat_balanced"}),
        ("bound", "chat,summary", {f"chat_{BOUND}", f"summary_{BOUND}"}),
        ("low", "auto:complex,chat", {"tier_fast", "chat_premium"}),
        ("narrow", "classification,chat", set()),
    ],
)
def test_each_of_several_names_is_judged(callers: Callers, key: str, name: str, reached: set[str]) -> None:
    """Between commas a name means what it means alone; one that is refused refuses the request."""
    asked = callers.chat(key, name)

    assert asked.answer.status_code == (200 if reached else 403)
    assert asked.seen == reached


def test_a_binding_holds_for_calls_that_only_litellm_knew(callers: Callers) -> None:
    """A task that is asked for an image or speech is answered by the profile that the caller is bound to."""
    for call in ("images", "speech", "moderations", "compact"):
        asked = callers.ask("bound", lambda client, call=call: NAMED[call](client, "chat"))  # type: ignore[misc]

        assert asked.seen == {f"chat_{BOUND}"}, call


@pytest.mark.parametrize("key", ["low", "narrow", "bound", "ordinary"])
@pytest.mark.parametrize(
    "field",
    [
        f'"fallbacks": {NESTED}',
        f'"fallbacks": [{{"*": {NESTED}}}]',
        f'"fallbacks": [{{"model": "rescue", "fallbacks": {NESTED}}}]',
        f'"extra_body": {NESTED}',
        f'"tools": {NESTED}',
        f'"metadata": {{"tags": {NESTED}}}',
    ],
    ids=["fallbacks", "fallbacks by group", "fallbacks of fallbacks", "body", "tools", "tags"],
)
@pytest.mark.parametrize("name", ["classification", "auto", "classification,@profile/balanced"])
def test_a_body_that_cannot_be_read_leads_past_nothing(
    callers: Callers, key: str, field: str, name: str
) -> None:
    """Brackets in every place of a body lead nobody past what decides."""
    content = f'{{"model": "{name}", "messages": [{{"role": "user", "content": "hi"}}], {field}}}'
    typed = {"content-type": "application/json"}

    asked = callers.ask(
        key, lambda client: client.post("/v1/chat/completions", content=content, headers=typed)
    )

    within = {
        "narrow": {"classification_premium"},
        "bound": {f"classification_{BOUND}", "tier_fast", "tier_medium", "tier_complex"},
        "low": {"classification_premium", "tier_fast"},
        "ordinary": {"classification_premium", "tier_fast", "tier_medium", "tier_complex"},
    }
    assert asked.seen <= within[key], asked.answer.text


def test_the_id_of_a_deployment_is_judged_by_its_group(callers: Callers) -> None:
    """A capped key does not reach a group by the id or the name of a deployment; an unrestricted key does."""
    with callers.proxy.client() as admin:
        rows = admin.get("/model/info").raise_for_status().json()["data"]
    heavy = next(row["model_info"]["id"] for row in rows if row["model_name"] == "tier_complex")

    refused = [callers.chat("low", name) for name in (heavy, f"tier_fast,{heavy}", "openai/tier_complex")]
    fallen = callers.chat("low", "tier_fast", prompt="fail-503", fallbacks=[heavy])

    assert [(asked.answer.status_code, asked.seen) for asked in refused] == [(403, set())] * 3
    assert fallen.seen == {"tier_fast"}
    assert answered_by(callers.chat("ordinary", heavy).answer) == "tier_complex"


def test_a_task_is_a_grant_of_the_operator(callers: Callers) -> None:
    """A capped key reaches what the profile maps a task to."""
    asked = callers.chat("low", "strategy")

    assert answered_by(asked.answer) == "strategy_premium"
    assert decision(asked.answer)["reason"] == "active_profile"


@pytest.mark.parametrize("name", ["chat,summary", "chat,auto:fast"])
def test_several_answers_claim_no_group_and_no_fallback(callers: Callers, name: str) -> None:
    """Of several that were asked at once, what differs between them is absent."""
    said = decision(callers.chat("ordinary", name).answer)

    assert said["profile"] == "premium"
    assert not said.keys() & {"group", "tier", "fallback", "task"}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("tier_fast", "tier_fast"),
        ("openai/tier_fast", "tier_fast"),
        ("task_chat", "chat_balanced"),
        ("chat", "chat_premium"),
    ],
)
def test_no_fallback_is_claimed_where_none_was_needed(
    callers: Callers, wire: str, name: str, group: str
) -> None:
    """Nor for a deployment's own name, on any wire."""
    asked = callers.ask("ordinary", lambda client: NAMED[wire](client, name))

    said = decision(asked.answer)
    assert (said["group"], said["fallback"]) == (group, "0")


@pytest.mark.parametrize("wire", WIRES)
def test_a_fallback_is_told_on_every_wire(callers: Callers, wire: str) -> None:
    """The group that answered and that it was a fallback, plain and streamed."""
    said = decision(callers.ask("ordinary", lambda client: NAMED[wire](client, FALLING[0])).answer)

    assert (said["group"], said["fallback"]) == (FALLING[1], "1")


def test_several_names_are_booked_as_often_as_the_provider_was_asked(callers: Callers) -> None:
    """Each of them under its own group."""

    def booked() -> Counter[tuple[str, str]]:
        with callers.proxy.client() as admin:
            lines = (
                admin.get("/admin/usage", params={"by": "served_group,outcome"})
                .raise_for_status()
                .json()["lines"]
            )
        return Counter(
            {
                (line["names"]["served_group"], line["names"]["outcome"]): line["figures"]["requests"]
                for line in lines
            }
        )

    names = "validation_primary,rag_query,rag_query"
    groups = {("validation_primary_premium", "answered"): 1, ("rag_query_premium", "answered"): 2}

    callers.chat("ordinary", names)

    wait_until(lambda: groups.items() <= booked().items(), what=f"books of {groups}")


@pytest.mark.parametrize(
    "field", ['"max_tokens": 1e400', '"temperature": NaN', '"user": "\\ud800"', '"stop": ["\\udc00"]']
)
def test_what_cannot_be_sent_is_refused_and_blames_nobody(callers: Callers, field: str) -> None:
    """A client's fault is a 400 before any provider is asked."""
    content = f'{{"model": "chat", "messages": [{{"role": "user", "content": "hi"}}], {field}}}'
    typed = {"content-type": "application/json"}

    asked = callers.ask(
        "ordinary", lambda client: client.post("/v1/chat/completions", content=content, headers=typed)
    )

    assert asked.answer.status_code == 400
    assert asked.seen == set()


@pytest.mark.parametrize("name", ["a\nb", "a\r\nx-evil: 1", "\x7f", "\u0085"])
def test_a_name_with_control_characters_is_refused(callers: Callers, name: str) -> None:
    """No header could say it."""
    assert callers.chat("ordinary", name).answer.status_code == 400


@pytest.mark.parametrize("call", [*NAMED, *COUNTS])
def test_no_call_leaves_the_place_of_its_caller(callers: Callers, call: str) -> None:
    """A key that must stay on own machines is refused a group elsewhere by every call, and no provider is asked."""
    asked = callers.ask("resident", lambda client: (NAMED | COUNTS)[call](client, "away"))

    assert asked.answer.status_code == 403, asked.answer.text
    assert asked.seen == set()
    # A provider's own 403 has neither, whatever the wire.
    assert decision(asked.answer)["refused"] == "refused_residency"
    assert call not in WIRES or "reason" in decision(asked.answer)


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_says_where_it_was_given(callers: Callers, wire: str) -> None:
    """Of a group at two places the one within is asked, on every wire, plain and streamed."""
    within = callers.ask("resident", lambda client: NAMED[wire](client, "mixed"))
    away = callers.ask("ordinary", lambda client: NAMED[wire](client, "away"))

    assert (within.seen, decision(within.answer)["location"]) == ({"mixed-None"}, "local")
    assert (away.seen, decision(away.answer)["location"]) == ({"away-us"}, "us")


@pytest.mark.parametrize("call", CALLS)
def test_no_fallback_leaves_the_place_of_its_caller(callers: Callers, call: str) -> None:
    """What is elsewhere is skipped on every wire, and what comes after it is asked."""
    body = {"fallbacks": [{"model": "away"}, "mixed", "rescue"]}

    asked = callers.ask("resident", lambda client: CALLS[call](client, "tier_fast", **body))

    assert {"tier_fast", "mixed-None"} <= asked.seen
    assert asked.seen <= {"tier_fast", "mixed-None", "rescue"}


def test_no_id_leads_to_another_place(callers: Callers) -> None:
    """A deployment that is named by its id is judged by itself, not by its group."""
    with callers.proxy.client() as admin:
        rows = admin.get("/model/info").raise_for_status().json()["data"]
    ids = {
        row["litellm_params"]["model"]: row["model_info"]["id"]
        for row in rows
        if row["model_name"] == "mixed"
    }

    refused = callers.chat("resident", ids["openai/mixed-us"])
    answered = callers.chat("resident", ids["openai/mixed-None"])

    assert (refused.answer.status_code, refused.seen) == (403, set())
    assert answered.seen == {"mixed-None"}


def test_the_books_say_that_nothing_left(callers: Callers) -> None:
    """By all places that were asked: of a request that failed elsewhere first, both."""
    callers.chat("ordinary", "chat,away")

    def places() -> dict[str, int]:
        with callers.proxy.client() as admin:
            found: dict[str, int] = admin.get("/admin/usage/residency").raise_for_status().json()["places"]
        return found

    callers.chat("ordinary", "away", prompt="fail-503", fallbacks=["rescue"])

    wait_until(lambda: {"local", "us", "local+us"} <= places().keys(), what="books of places")


MAIL = "Schreib an anna.meyer@firma.de"
SPOKEN: Mapping[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "chat": lambda client, name: NAMED["chat"](client, name, messages=[{"role": "user", "content": MAIL}]),
    "chat stream": lambda client, name: NAMED["chat stream"](
        client, name, messages=[{"role": "system", "content": MAIL}, *PROMPT]
    ),
    "completions": lambda client, name: NAMED["completions"](client, name, prompt=MAIL),
    "embeddings": lambda client, name: NAMED["embeddings"](client, name, input=["hi", MAIL]),
    "responses": lambda client, name: NAMED["responses"](client, name, instructions=MAIL),
    "messages": lambda client, name: NAMED["messages"](client, name, system=MAIL),
    "messages stream": lambda client, name: NAMED["messages stream"](client, name, system=MAIL),
    "generateContent": lambda client, name: client.post(
        f"/v1beta/models/{name}:generateContent", json={"contents": [{"role": "user", "parts": [{"text": MAIL}]}]}
    ),
    "speech": lambda client, name: NAMED["speech"](client, name, input=MAIL),
    "moderations": lambda client, name: NAMED["moderations"](client, name, input=MAIL),
    "images": lambda client, name: NAMED["images"](client, name, prompt=MAIL),
}  # fmt: skip


MUTE = frozenset({"speech", "moderations", "images"})
"""Calls that the fake provider counts, and does not answer."""


@pytest.fixture(scope="module")
def watchful(callers: Callers) -> str:
    """A profile with a rule for personal data: two of its tasks lead away, and one of its tiers is at home."""
    with callers.proxy.client() as admin:
        found = admin.get("/admin/profiles/balanced").raise_for_status()
        given = {
            key: found.json()[key]
            for key in ("description", "cost_level", "performance_level", "tasks", "tiers")
        }
        away = {"tasks": given["tasks"] | {"chat": "away", "summary": "away"}, "personal_data": "local"}
        made = admin.put(
            "/admin/profiles/watchful", json=given | away, headers={"if-match": found.headers["etag"]}
        )
        assert made.raise_for_status().json()["complete"]
    return "watchful"


@pytest.mark.parametrize("wire", SPOKEN)
def test_personal_data_leaves_by_no_wire(callers: Callers, watchful: str, wire: str) -> None:
    """A task whose group is away is answered at home, and the answer says why; without such data it goes away."""
    asked = callers.ask("watched", lambda client: SPOKEN[wire](client, f"{watchful}/chat"))
    away = callers.ask("watched", lambda client: SPOKEN[wire](client, "away"))
    plain = callers.chat("watched", f"{watchful}/chat")

    assert asked.seen == {"tier_complex"}
    assert away.seen == {"away-us"}
    assert plain.seen == {"away-us"}
    if wire not in MUTE:
        said = decision(asked.answer)
        assert (said["personal-data"], said["location"]) == ("email", "local")
        assert said["reason"].endswith("personal_data")
