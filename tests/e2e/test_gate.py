"""What a caller may reach, by every call and every way of naming: judged by what the fake provider was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.asking import answered_by, chat, decision
from tests.e2e.conftest import ADMIN
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

BOUND = "ultra_fast"
"""The profile that the key `bound` is bound to."""

PROMPT = [{"role": "user", "content": "hi"}]
PARTS = [{"role": "user", "parts": [{"text": "hi"}]}]
AUDIO = {"file": ("a.wav", b"RIFF", "audio/wav")}
IMAGE = {"image": ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")}
LINES = {"file": ("a.jsonl", b'{"custom_id": "1", "body": {"model": "tier_complex"}}', "application/jsonl")}
BATCH = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}

Send = Callable[[httpx.Client, str], httpx.Response]


def posted(path: str, **body: Any) -> Send:
    """Return a call with the model in its body."""
    return lambda client, name: client.post(path, json={"model": name, **body})


def formed(path: str, files: Mapping[str, Any], **fields: str) -> Send:
    """Return a call with the model in a form."""
    return lambda client, name: client.post(path, data={"model": name, **fields}, files=files)


NAMED: Mapping[str, Send] = {
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
    "query": lambda client, name: client.post(
        f"/v1/chat/completions?model={name}", json={"model": "tier_fast", "messages": PROMPT}
    ),
    "comma": lambda client, name: chat(client, f"tier_fast, {name}"),
    "fastest": lambda client, name: chat(client, f"tier_fast,{name}", fastest_response=True),
}
"""Calls by which an unrestricted caller reaches any group."""

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
}
"""Calls of which nobody can check what is asked in the end."""


@pytest.fixture(scope="module", autouse=True)
def bound(proxy: Proxy) -> Iterator[None]:
    """The key `bound` is bound while these tests run."""
    with proxy.client() as client:
        path = "/admin/bindings/key:bound"
        client.put(path, json={"profile": BOUND}).raise_for_status()
        yield
        client.delete(path).raise_for_status()


@contextmanager
def watched(upstream: Upstream) -> Iterator[set[str]]:
    """Give a set that holds afterwards whom the provider was asked for."""
    seen: set[str] = set()
    before = upstream.counts()
    yield seen
    after = upstream.counts()
    seen |= {name for name in after if after[name]["requests"] > before[name]["requests"]}


@pytest.mark.parametrize("call", NAMED)
def test_who_is_unrestricted_reaches_any_group(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, call: str
) -> None:
    """Every call of the table asks the provider for the group it names."""
    with proxy.client(keys["ordinary"]) as client, watched(upstream) as seen:
        NAMED[call](client, "tier_complex")

    assert "tier_complex" in seen


@pytest.mark.parametrize("call", [*NAMED, *COUNTS])
@pytest.mark.parametrize("key", ["low", "capped", "narrow"])
def test_a_group_out_of_reach_is_asked_by_no_call(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, key: str, call: str
) -> None:
    """A capped key and a key for certain models are refused, whatever the call and wherever the name stands."""
    send = (NAMED | COUNTS)[call]

    with proxy.client(keys[key]) as client, watched(upstream) as seen:
        answer = send(client, "tier_complex")

    assert answer.status_code == 403, answer.text
    assert seen == set()


@pytest.mark.parametrize("call", [name for name in NAMED if "path" not in name and name != "query"])
def test_a_capped_key_may_call_what_is_below_its_cap(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, call: str
) -> None:
    """A cap closes nothing else."""
    with proxy.client(keys["low"]) as client, watched(upstream) as seen:
        NAMED[call](client, "tier_fast")

    assert seen == {"tier_fast"}


@pytest.mark.parametrize("call", UNSEEN)
@pytest.mark.parametrize("key", ["low", "narrow", "bound"])
def test_what_cannot_be_checked_is_refused_for_who_is_limited(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, key: str, call: str
) -> None:
    """Files, batches, secrets and redirected requests reach no provider, and the error says why."""
    name = "classification" if key == "narrow" else "tier_fast"

    with proxy.client(keys[key]) as client, watched(upstream) as seen:
        answer = UNSEEN[call](client, name)

    assert answer.status_code == 403, answer.text
    assert "cannot be checked" in answer.text or key == "narrow"
    assert seen == set()


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

CALLS: Mapping[str, Callable[..., httpx.Response]] = {
    "chat": lambda client, name, **more: chat(client, name, prompt="fail-503", **more),
    "chat stream": lambda client, name, **more: chat(client, name, prompt="fail-503", stream=True, **more),
    "responses": lambda client, name, **more: client.post(
        "/v1/responses", json={"model": name, "input": "fail-503", **more}
    ),
    "messages": lambda client, name, **more: client.post(
        "/v1/messages",
        json={
            "model": name,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "fail-503"}],
            **more,
        },
    ),
}


@pytest.mark.parametrize("shape", FALLBACKS)
@pytest.mark.parametrize(
    ("key", "name", "bad", "reached"),
    [
        ("low", "tier_fast", "tier_complex", {"tier_fast", "rescue"}),
        ("low", "auto", "auto:complex", {"tier_fast", "rescue"}),
        ("low", "chat", "tier_complex", {"chat_premium", "rescue"}),
        ("ordinary", "chat", "@profile/balanced", {"chat_premium", "rescue"}),
        ("ordinary", "chat", "balanced/summary", {"chat_premium", "rescue"}),
        ("chooser", "chat", "@profile/balanced", {"chat_premium", "rescue", "chat_balanced"}),
        ("ordinary", "auto:fast", "tier_complex", {"tier_fast", "tier_medium", "tier_complex", "rescue"}),
        ("bound", "chat", "summary", {f"chat_{BOUND}", f"summary_{BOUND}", "rescue"}),
    ],
)
def test_fallbacks_of_every_shape_go_where_the_caller_may(
    proxy: Proxy,
    admin: httpx.Client,
    keys: Mapping[str, str],
    upstream: Upstream,
    key: str,
    name: str,
    bad: str,
    reached: set[str],
    shape: str,
) -> None:
    """Where everything fails, all that a caller may reach is asked, and nothing else."""
    body = FALLBACKS[shape](name, bad, "rescue")

    with proxy.client(keys[key]) as client, watched(upstream) as seen:
        CALLS["chat"](client, name, **body)

    assert seen == reached


@pytest.mark.parametrize("call", CALLS)
def test_fallbacks_hold_for_every_wire(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, call: str
) -> None:
    """What holds for fallbacks in chat requests holds in the others and in streams."""
    with proxy.client(keys["low"]) as client, watched(upstream) as seen:
        CALLS[call](client, "tier_fast", fallbacks=[{"model": "tier_complex"}, "rescue"])

    assert seen == {"tier_fast", "rescue"}


@pytest.mark.parametrize("field", ["context_window_fallbacks", "content_policy_fallbacks"])
def test_other_kinds_of_fallbacks_do_not_lift_a_cap(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, field: str
) -> None:
    """A client's fallbacks for an outgrown window do not lead above its cap, nor do the operator's."""
    theirs = {field: [{"tier_fast": ["tier_complex", "rescue"]}]}

    with proxy.client(keys["low"]) as client:
        with watched(upstream) as client_s:
            chat(client, "tier_fast", prompt="fail-413", **theirs)
        with watched(upstream) as operator_s:
            chat(client, "tier_fast", prompt="fail-413")
        with watched(upstream) as of_a_ladder:
            chat(client, "auto", prompt="fail-413")
    with proxy.client(keys["ordinary"]) as client, watched(upstream) as unrestricted:
        chat(client, "tier_fast", prompt="fail-413")

    assert client_s == ({"tier_fast", "rescue"} if field.startswith("context") else {"tier_fast"})
    assert operator_s == {"tier_fast"}
    assert of_a_ladder == {"tier_fast"}
    assert unrestricted == {"tier_fast", "tier_complex"}


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
def test_each_of_several_names_is_judged(
    proxy: Proxy,
    admin: httpx.Client,
    keys: Mapping[str, str],
    upstream: Upstream,
    key: str,
    name: str,
    reached: set[str],
) -> None:
    """Between commas a name means what it means alone; one that is refused refuses the request."""
    with proxy.client(keys[key]) as client, watched(upstream) as seen:
        answer = chat(client, name)

    assert answer.status_code == (200 if reached else 403)
    assert seen == reached


def test_a_binding_holds_for_calls_that_only_litellm_knew(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream
) -> None:
    """A task that is asked for an image or speech is answered by the profile that the caller is bound to."""
    with proxy.client(keys["bound"]) as client, watched(upstream) as seen:
        for call in ("images", "speech", "moderations", "compact"):
            NAMED[call](client, "chat")

    assert seen == {f"chat_{BOUND}"}


@pytest.mark.parametrize("key", ["low", "narrow", "bound", "ordinary"])
def test_a_body_that_cannot_be_read_leads_past_nothing(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream, key: str
) -> None:
    """Nested brackets in every place of a body lead no limited caller past admission, and nobody into an error of ours."""
    deep: Any = []
    for _ in range(985):
        deep = [deep]
    bodies: list[dict[str, Any]] = [
        {"fallbacks": deep},
        {"fallbacks": [{"*": deep}]},
        {"fallbacks": [{"model": "rescue", "fallbacks": deep}]},
        {"extra_body": deep},
        {"tools": deep},
        {"metadata": {"tags": deep}},
    ]

    for body in bodies:
        with proxy.client(keys[key]) as client, watched(upstream) as seen:
            answer = chat(client, "classification", **body)
        assert seen <= {f"classification_{BOUND if key == 'bound' else 'premium'}"}, body
        assert answer.status_code < 500 or key != "ordinary" or seen


def test_a_deployment_s_id_is_judged_by_its_group(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], upstream: Upstream
) -> None:
    """A capped key does not reach a group by the id of one of its deployments; an unrestricted key does."""
    rows = admin.get("/model/info").raise_for_status().json()["data"]
    heavy = next(row["model_info"]["id"] for row in rows if row["model_name"] == "tier_complex")

    with proxy.client(keys["low"]) as low, watched(upstream) as seen:
        refused = [
            chat(low, heavy).status_code,
            chat(low, f"tier_fast,{heavy}").status_code,
            chat(low, "openai/tier_complex").status_code,
        ]
        chat(low, "tier_fast", prompt="fail-503", fallbacks=[heavy])
    with proxy.client(keys["ordinary"]) as ordinary:
        reached = chat(ordinary, heavy)

    assert refused == [403, 403, 403]
    assert seen == {"tier_fast"}
    assert answered_by(reached) == "tier_complex"


def test_a_task_is_a_grant_of_the_operator_s(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str]
) -> None:
    """A capped key reaches what the profile maps a task to, whatever it asks for beside it."""
    with proxy.client(keys["low"]) as client:
        answer = chat(client, "strategy")

    assert answered_by(answer) == "strategy_premium"
    assert decision(answer)["reason"] == "active_profile"
