"""What clients send to a real proxy, in every wire format, and what the answers say about themselves."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.e2e.asking import answered_by, chat, decision
from tests.e2e.conftest import ADMIN
from tests.support.place import FAILING, FALLING
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e


def switch(admin: httpx.Client, profile: str) -> int:
    """Switch in every worker and return the revision."""
    receipt = admin.post(f"{ADMIN}/switch", json={"profile": profile}).raise_for_status().json()
    assert receipt["complete"]
    return int(receipt["revision"])


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"input": "hi"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_every_wire_format_follows_the_switch(
    admin: httpx.Client, path: str, fields: dict[str, object], *, stream: bool
) -> None:
    """Plain and streamed, the answer comes from the active profile's group and its headers say so."""
    revision = switch(admin, "balanced")

    answer = admin.post(path, json={"model": "extraction", "stream": stream, **fields})

    assert answer.status_code == 200
    assert "extraction_balanced" in answer.text
    assert decision(answer) == {
        "profile": "balanced",
        "revision": str(revision),
        "task": "extraction",
        "group": "extraction_balanced",
        "reason": "active_profile",
        "fallback": "0",
        "location": "local",
    }


def test_embeddings_pass_through(admin: httpx.Client, upstream: Upstream) -> None:
    """A name that is none of ours is served as LiteLLM alone would serve it."""
    before = upstream.counts()["embed"]["requests"]

    answer = admin.post("/v1/embeddings", json={"model": "embed", "input": ["a", "b"]})

    assert len(answer.raise_for_status().json()["data"]) == 2
    assert decision(answer)["reason"] == "passthrough"
    assert upstream.counts()["embed"]["requests"] == before + 1


def test_a_group_named_directly_is_served_untouched(admin: httpx.Client) -> None:
    """A smart alias answers under its own name, whatever profile is active."""
    switch(admin, "balanced")

    answer = chat(admin, "classification_premium")

    assert answered_by(answer) == "classification_premium"
    assert decision(answer)["reason"] == "passthrough"
    assert "profile" not in decision(answer)


def test_a_stable_alias_means_balanced(admin: httpx.Client) -> None:
    """`task_<alias>` answers from balanced whatever is active."""
    switch(admin, "ultra_fast")

    answer = chat(admin, "task_summary")

    assert answered_by(answer) == "summary_balanced"
    assert decision(answer)["reason"] == "stable_alias"


def test_the_groups_own_fallbacks_apply_to_a_task(admin: httpx.Client, upstream: Upstream) -> None:
    """LiteLLM ignores a target's fallbacks behind an alias; behind a task they work, and the headers say so."""
    switch(admin, "specialized")
    before = upstream.counts()[f"{FALLING[0]}-fail-500"]["requests"]

    plain = chat(admin, "strategy")
    streamed = chat(admin, "strategy", stream=True)

    assert answered_by(plain) == FALLING[1]
    assert FALLING[1] in streamed.text
    for answer in (plain, streamed):
        assert decision(answer)["fallback"] == "1"
        assert decision(answer)["group"] == FALLING[1]
        assert decision(answer)["profile"] == "specialized"
    assert upstream.counts()[f"{FALLING[0]}-fail-500"]["requests"] == before + 2


@pytest.mark.parametrize("stream", [False, True])
def test_error_answers_carry_the_decision(admin: httpx.Client, *, stream: bool) -> None:
    """A provider's error reaches the client with the headers that say where the request went."""
    revision = switch(admin, "specialized")

    answer = chat(admin, "trading_analysis", stream=stream)

    assert answer.status_code == 503
    assert decision(answer)["profile"] == "specialized"
    assert decision(answer)["revision"] == str(revision)
    assert decision(answer)["group"] == FAILING


def test_a_stream_keeps_the_revision_it_was_admitted_under(admin: httpx.Client) -> None:
    """A switch in mid-stream neither cuts the stream nor lets another group write its rest."""
    prompt = "words-20 pause-20"
    body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": prompt}]}

    with admin.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        first = next(line for line in lines if "chat_premium" in line)
        switch(admin, "balanced")
        rest = list(lines)

    assert answer.headers["x-neuronode-profile"] == "premium"
    names = {_content(line) for line in [first, *rest]} - {""}
    assert names == {"chat_premium"}
    assert "data: [DONE]" in rest
    assert answered_by(chat(admin, "chat")) == "chat_balanced"


def _content(line: str) -> str:
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: "))["choices"]
    return "".join(choice["delta"].get("content") or "" for choice in choices).strip()


def test_every_wire_passes_our_hooks(admin: httpx.Client) -> None:
    """After requests of every format, streamed and plain, LiteLLM answered none past the hooks that measure."""
    problems = admin.get(f"{ADMIN}/status").raise_for_status().json()["problems"]

    assert [problem for problem in problems if problem["code"] in ("wire_unseen", "part_off")] == []
