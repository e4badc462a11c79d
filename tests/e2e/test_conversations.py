"""A coding agent's conversation under switches between four providers that refuse what another one has signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import pytest
import yaml

from tests.e2e.asking import decision
from tests.support.place import FIRST_PROFILE, PROVIDER_KEY, Place
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.signing import CACHED_TOKENS
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

ADMIN = "/admin/profiles"
GROUPS = {
    "premium": ("gpt", "openai/gpt-5-signs-oai", "/oai/v1"),
    "balanced": ("claude", "anthropic/claude-sonnet-4-5-signs-ant", "/ant"),
    "cost_effective": ("lookalike", "anthropic/claude-sonnet-4-5-signs-bee", "/bee"),
    "ultra_fast": ("compatible", "openai/gpt-5-signs-cat", "/cat/v1"),
    "specialized": ("broken", "openai/gpt-5-signs-oai-fail-503", "/oai/v1"),
}
"""By profile: the group that answers everything, what LiteLLM calls it, and where it is asked."""
RESCUE = "claude"
"""Where LiteLLM sends what the broken group of `specialized` cannot answer: to another provider."""
BETWEEN = 3
"""Turns between two switches."""
SWITCHES = {3: "balanced", 6: "cost_effective", 9: "ultra_fast", 12: "premium", 15: "balanced"}
"""Before which turns which profile is switched to: three times in the middle of a tool loop."""
TURNS = BETWEEN * (1 + len(SWITCHES))
LOOK = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPlace(Place):
    """Each profile sends everything to a group of a provider of its own."""

    def write(self) -> None:
        """Write everything, with the groups of those providers."""
        Place.write(self)
        for profile, (group, _, _) in GROUPS.items():
            file = self.profiles / f"{profile}.yaml"
            document = yaml.safe_load(file.read_text())
            document["tasks"] |= {"chat": group, "summary": group}
            document["tiers"] = {tier: [group] for tier in ("fast", "medium", "complex")}
            file.write_text(yaml.safe_dump(document, sort_keys=False))

    def _config(self) -> dict[str, Any]:
        config = Place._config(self)
        for group, name, path in GROUPS.values():
            params = {"model": name, "api_base": self.upstream + path, "api_key": PROVIDER_KEY}
            prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
            info = {**prices, "cache_read_input_token_cost": 1e-7}
            config["model_list"].append({"model_name": group, "litellm_params": params, "model_info": info})
        config["router_settings"]["fallbacks"].append({"broken": [RESCUE]})
        return config


class Agent(Protocol):
    """A client that keeps a conversation in one wire format."""

    def say(self, client: httpx.Client, name: str) -> httpx.Response:
        """Send the next turn, and remember the answer."""


@dataclass
class ChatAgent:
    """Chat completions: the assistant's messages come back as they were."""

    topic: str
    turns: list[dict[str, Any]] = field(default_factory=list)

    def say(self, client: httpx.Client, name: str) -> httpx.Response:
        """Ask, or hand in what the tool found."""
        calls = self.turns[-1].get("tool_calls") if self.turns else None
        if calls:
            self.turns += [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls]
        else:
            self.turns.append({"role": "user", "content": f"{self.topic} {len(self.turns)}"})
        tool = {"type": "function", "function": {"name": "look", "parameters": LOOK}}
        body = {"messages": self.turns, "tools": [tool], "reasoning_effort": "low", "seed": 7}
        answer = client.post("/v1/chat/completions", json={"model": name, **body})
        if answer.is_success:
            self.turns.append(answer.json()["choices"][0]["message"])
        else:
            self.turns.append({"role": "assistant", "content": "an error"})
        return answer


@dataclass
class MessagesAgent:
    """Anthropic's messages, with thinking."""

    topic: str
    turns: list[dict[str, Any]] = field(default_factory=list)

    def say(self, client: httpx.Client, name: str) -> httpx.Response:
        """Ask, or hand in what the tool found."""
        last = self.turns[-1]["content"] if self.turns else []
        calls = [part["id"] for part in last if isinstance(part, dict) and part["type"] == "tool_use"]
        content: Any = [{"type": "tool_result", "tool_use_id": call, "content": "ok"} for call in calls]
        self.turns.append({"role": "user", "content": content or f"{self.topic} {len(self.turns)}"})
        body = {
            "messages": self.turns,
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "tools": [{"name": "look", "description": "Look.", "input_schema": LOOK}],
        }
        answer = client.post("/v1/messages", json={"model": name, **body})
        said = answer.json()["content"] if answer.is_success else [{"type": "text", "text": "an error"}]
        self.turns.append({"role": "assistant", "content": said})
        return answer


@dataclass
class ResponsesAgent:
    """The Responses API, the whole history each time, with encrypted reasoning."""

    topic: str
    items: list[dict[str, Any]] = field(default_factory=list)

    def say(self, client: httpx.Client, name: str) -> httpx.Response:
        """Ask, or hand in what the tool found."""
        last = self.items[-1] if self.items else {}
        self.items.append(_next_item(last, f"{self.topic} {len(self.items)}"))
        answer = client.post("/v1/responses", json={"model": name, "input": self.items, **RESPONSES})
        said = [{"role": "assistant", "content": "an error"}]
        self.items += answer.json()["output"] if answer.is_success else said
        return answer


@dataclass
class ChainingAgent:
    """The Responses API, only what is new: the provider keeps the rest."""

    topic: str
    last: dict[str, Any] = field(default_factory=dict)
    response: str | None = None

    def say(self, client: httpx.Client, name: str) -> httpx.Response:
        """Ask, or hand in what the tool found."""
        body = {"input": [_next_item(self.last, self.topic)], **RESPONSES, "store": True}
        if self.response:
            body["previous_response_id"] = self.response
        answer = client.post("/v1/responses", json={"model": name, **body})
        if answer.is_success:
            self.last, self.response = answer.json()["output"][-1], answer.json()["id"]
        else:
            self.last = {}
        return answer


RESPONSES: dict[str, Any] = {
    "tools": [{"type": "function", "name": "look", "parameters": LOOK}],
    "include": ["reasoning.encrypted_content"],
    "store": False,
}


def _next_item(last: dict[str, Any], question: str) -> dict[str, Any]:
    if last.get("type") == "function_call":
        return {"type": "function_call_output", "call_id": last["call_id"], "output": "ok"}
    return {"role": "user", "content": question}


AGENTS: dict[str, type[Agent]] = {
    "chat": ChatAgent,
    "messages": MessagesAgent,
    "responses": ResponsesAgent,
    "chained": ChainingAgent,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a proxy in front of those providers."""
    with Upstream() as provider:
        place = SigningPlace(directory=tmp_path_factory.mktemp("signing"), upstream=provider.url)
        environ = {"NEURONODE_USAGE_FLUSH_SECONDS": "0.2", "NEURONODE_WRITE_LIMIT": "100000/second"}
        with Proxy(place, environ=environ) as proxy, proxy.client() as found:
            yield found


def switch(client: httpx.Client, profile: str, **options: object) -> dict[str, Any]:
    receipt: dict[str, Any] = (
        client.post(f"{ADMIN}/switch", json={"profile": profile, **options}).raise_for_status().json()
    )
    assert receipt["complete"]
    return receipt


def transcript(
    client: httpx.Client, agent: Agent, name: str, **options: object
) -> tuple[list[httpx.Response], list[dict[str, Any]]]:
    """Return the answers of a conversation over 5 switches, and the receipts of these."""
    switch(client, FIRST_PROFILE, conversations="move")
    answers, receipts = [], []
    for turn in range(TURNS):
        if turn in SWITCHES:
            receipts.append(switch(client, SWITCHES[turn], **options))
        answers.append(agent.say(client, name))
    return answers, receipts


def failures(answers: list[httpx.Response]) -> list[str]:
    return [f"{turn}: {answer.text[:300]}" for turn, answer in enumerate(answers) if answer.is_error]


@pytest.mark.parametrize("name", ["chat", "auto"])
@pytest.mark.parametrize("kind", AGENTS)
def test_a_kept_conversation_stays_with_its_group(client: httpx.Client, kind: str, name: str) -> None:
    """Over five switches no turn fails and none is answered elsewhere; the receipts count the conversation."""
    answers, receipts = transcript(client, AGENTS[kind](f"keep {kind} {name}"), name)

    assert failures(answers) == []
    told = [decision(answer) for answer in answers]
    assert {one["group"] for one in told} == {"gpt"}
    assert all("kept" in one["reason"].split(",") for one in told[BETWEEN : 4 * BETWEEN])
    assert not any("moved" in one for one in told)
    if kind != "chained":
        assert (receipts[0]["conversations"], receipts[0]["held"]) == ("keep", 1)


@pytest.mark.parametrize("name", ["chat", "auto"])
@pytest.mark.parametrize("kind", AGENTS)
def test_a_moved_conversation_is_acceptable_everywhere(client: httpx.Client, kind: str, name: str) -> None:
    """Over five switches no turn fails, each goes where everybody goes, and the answers say what was taken out."""
    answers, receipts = transcript(client, AGENTS[kind](f"move {kind} {name}"), name, conversations="move")

    assert failures(answers) == []
    told = [decision(answer) for answer in answers]
    profiles = [FIRST_PROFILE, *SWITCHES.values()]
    assert [one["group"] for one in told] == [GROUPS[profiles[turn // BETWEEN]][0] for turn in range(TURNS)]
    assert "moved" not in told[0]
    assert any("moved" in one for one in told[BETWEEN:])
    assert {(receipt["conversations"], receipt["held"]) for receipt in receipts} == {("move", 0)}


@pytest.mark.parametrize("kind", AGENTS)
def test_a_fallback_to_another_provider_is_acceptable_too(client: httpx.Client, kind: str) -> None:
    """The first attempt goes to the provider that wrote the history, the fallback to one that did not."""
    agent = AGENTS[kind](f"fall {kind}")
    switch(client, FIRST_PROFILE, conversations="move")
    before = [agent.say(client, "chat") for _ in range(3)]

    switch(client, "specialized", conversations="move")
    after = [agent.say(client, "chat") for _ in range(3)]

    assert failures([*before, *after]) == []
    told = [decision(answer) for answer in after]
    assert [(one["group"], one["fallback"]) for one in told] == [(RESCUE, "1")] * 3
    # Where there is no Responses API LiteLLM takes the id itself, for a history that it may have kept.
    assert ("moved" in told[0]) is (kind != "chained")


def cached_tokens(client: httpx.Client) -> dict[str, int]:
    """Return what the books have of cached tokens, by group."""
    lines = client.get("/admin/usage", params={"by": "served_group"}).raise_for_status().json()["lines"]
    return {line["names"]["served_group"]: line["figures"]["cached_tokens"] for line in lines}


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        *((kind, "premium") for kind in ("chat", "messages", "responses")),
        *((kind, "balanced") for kind in ("messages", "responses")),
    ],
)
def test_what_a_provider_has_cached_is_metered(client: httpx.Client, kind: str, profile: str) -> None:
    """On every wire, of two providers, natively and translated; the forecast of a switch says what it is worth."""
    group = GROUPS[profile][0]
    switch(client, profile, conversations="move")
    before = cached_tokens(client).get(group, 0)

    AGENTS[kind](f"cached {kind}").say(client, "chat").raise_for_status()

    wait_until(lambda: cached_tokens(client).get(group, 0) == before + CACHED_TOKENS, what="the books")
    plan = client.post("/admin/plan", json={"profile": "cost_effective"}).raise_for_status().json()
    assert 0 < plan["caches"]["share"] < 1
    assert plan["caches"]["usd_per_day"] > 0


SIGNED = {"type": "thinking", "thinking": "hm", "signature": "sig-ant-1"}
BY_CLAUDE = " ".join(["claude-sonnet-4-5-signs-ant"] * 3)
BY_GPT = " ".join(["gpt-5-signs-oai"] * 3)
STREAMED = {
    "chat": (
        "balanced",
        "/v1/chat/completions",
        "messages",
        {"content": BY_CLAUDE, "thinking_blocks": [SIGNED]},
    ),
    "messages": (
        "balanced",
        "/v1/messages",
        "messages",
        {"content": [SIGNED, {"type": "text", "text": BY_CLAUDE}]},
    ),
    "responses": ("premium", "/v1/responses", "input", {"content": BY_GPT, "id": "msg_oai_1"}),
}
"""By wire: under which profile and where it is asked, where its turns stand, and what was streamed, signed."""


@pytest.mark.parametrize("kind", STREAMED)
def test_who_wrote_a_stream_is_known(client: httpx.Client, kind: str) -> None:
    """What its own provider signed is left alone in the next turn, though there was a revision a moment ago."""
    profile, path, place, signed = STREAMED[kind]
    switch(client, profile, conversations="move")
    question = {"role": "user", "content": f"streamed {kind}"}
    body = {"model": "chat", "max_tokens": 50}
    streamed = client.post(path, json={**body, place: [question], "stream": True})

    turns = [question, {"role": "assistant", **signed}, {"role": "user", "content": "go on"}]
    answer = client.post(path, json={**body, place: turns})

    assert streamed.is_success
    assert failures([answer]) == []
    assert "moved" not in decision(answer)


FOUND = {"type": "web_search_result", "url": "http://u", "title": "t", "encrypted_content": "found-ant-1"}
CITED = {"type": "web_search_result_location", "url": "http://u", "encrypted_index": "found-ant-1"}
SEARCHED = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [FOUND]},
]


def searched(kind: str, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer as a client sends it again, for which its provider has searched the web."""
    if kind == "messages":
        cited = [{**part, "citations": [CITED]} for part in answer["content"]]
        return [{"role": "assistant", "content": SEARCHED + cited}]
    thought, said = answer["output"]
    return [thought, {"type": "web_search_call", "id": "ws_oai_1", "status": "completed"}, said]


@pytest.mark.parametrize(
    ("kind", "place", "first", "second"),
    [("messages", "messages", "balanced", "cost_effective"), ("responses", "input", "premium", "ultra_fast")],
)
def test_what_a_provider_s_own_tools_found_moves_with_nobody(
    client: httpx.Client, kind: str, place: str, first: str, second: str
) -> None:
    """It is taken out for another provider, and left alone for the one that found it."""
    question, on = {"role": "user", "content": f"hosted {kind}"}, {"role": "user", "content": "go on"}

    def ask(turns: list[dict[str, Any]]) -> httpx.Response:
        return client.post(f"/v1/{kind}", json={"model": "chat", "max_tokens": 50, place: turns})

    switch(client, first, conversations="move")
    opened = ask([question])
    turns = [question, *searched(kind, opened.raise_for_status().json()), on]
    before = ask(turns)

    switch(client, second, conversations="move")
    after = ask(turns)

    assert failures([before, after]) == []
    assert "moved" not in decision(before)
    assert "hosted_tools" in decision(after)["moved"].split(",")


@pytest.mark.parametrize("rule", [{}, {"conversations": "move"}], ids=["keep", "move"])
@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("messages", "balanced", "cost_effective"), ("responses", "premium", "ultra_fast")],
)
def test_an_agent_that_opens_alike_later_is_another_one(
    client: httpx.Client, kind: str, before: str, after: str, rule: dict[str, str]
) -> None:
    """It goes where everybody goes by then; the earlier one stays, or moves without what was sealed."""
    first, second = (AGENTS[kind](f"alike {kind} {rule}") for _ in range(2))
    switch(client, before, conversations="move")
    begun = first.say(client, "chat")

    switch(client, after, **rule)
    alike, on = second.say(client, "chat"), first.say(client, "chat")

    assert failures([begun, alike, on]) == []
    assert decision(alike)["group"] == GROUPS[after][0]
    assert decision(on)["group"] == GROUPS[after if rule else before][0]


def test_examples_in_a_prompt_hold_nobody_back(client: httpx.Client) -> None:
    """Whoever sends a few of them with every request goes where everybody goes at once, and is not counted as held."""
    shots = [{"role": "user", "content": "Great!"}, {"role": "assistant", "content": "positive"}]
    switch(client, FIRST_PROFILE, conversations="move")

    def ask(number: int) -> str:
        turns = [*shots, {"role": "user", "content": f"review {number}"}]
        answer = client.post("/v1/chat/completions", json={"model": "chat", "messages": turns})
        return decision(answer.raise_for_status())["group"]

    before = {ask(number) for number in range(3)}
    held = switch(client, "balanced")["held"]

    assert (before, held) == ({"gpt"}, 0)
    assert {ask(number) for number in range(6)} == {"claude"}
