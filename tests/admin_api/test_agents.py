"""The tools for agents over HTTP, asked by the official SDK's client with each caller's key."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp.client.client import Client

from admin_api.agents.routes import PATH
from admin_api.router import PREFIX, SECOND_PREFIX
from neuronode_router.agents.tools import UsageArguments
from neuronode_router.usage.finished import UsageKey
from tests.admin_api.world import KNOWN_CALL, World
from tests.support.agent import ask, over_http, refusal, tools_of, why_slow
from tests.support.usage import finished
from tests.support.web import serving

READS = {
    *("status", "plan", "explain", "usage", "deployments", "requests", "residency"),
    *("rollout_status", "policy_show", "policy_preview"),
}
WRITES = {
    *("switch", "rollback", "policy_release"),
    *("rollout_start", "rollout_promote", "rollout_pause", "rollout_resume", "rollout_abort"),
}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@asynccontextmanager
async def agent(world: World, caller: str = "admin", prefix: str = PREFIX) -> AsyncIterator[Client]:
    """Yield an agent with a caller's key."""
    async with (
        serving(world.app) as (url, _),
        over_http(f"{url}{prefix}{PATH}", world.keys[caller]) as client,
    ):
        yield client


@pytest.mark.parametrize("call_id", [".", "..", "a/b", "../profiles/status"])
async def test_a_call_id_leads_nowhere_else(world: World, call_id: str) -> None:
    """An agent that made one up is told so, not that the proxy has no such tool."""
    async with agent(world) as client:
        said = await refusal(client, "explain", call_id=call_id)

    assert "call id" in said


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
async def test_an_agent_finds_out_why_a_request_was_slow(world: World, prefix: str) -> None:
    """By tools alone: it was this request, not its group, and what each other profile would have cost."""
    for _ in range(20):
        world.buffer.count(finished(at=time.time(), latency_ms=100.0))
    world.buffer.count(finished(call_id="slow-one", at=time.time(), latency_ms=9000.0))

    async with agent(world, prefix=prefix) as client:
        answer = await why_slow(client, "slow-one")

    assert (answer.slower_than_usual, answer.because) == (True, "this request alone")
    assert answer.cost_under["balanced"] == pytest.approx(11 * 0.5e-6 + 3 * 1e-6)
    assert answer.cost_under.keys() >= {"balanced", "premium"}


async def test_status_plan_usage_and_deployments(world: World) -> None:
    """Each read tool shows what its routes show."""
    async with agent(world) as client:
        assert await tools_of(client) == READS
        status = await ask(client, "status")
        plan = await ask(client, "plan", profile="balanced", hours=24)
        usage = await ask(client, "usage", by="profile,task", hours=1)
        whole = await ask(client, "deployments")
        group = whole["deployments"][0]["group"]
        part = await ask(client, "deployments", group=group)

    assert status["why"] == "premium: what was put in force last"
    assert status["active_profile"] == plan["active_profile"] == "premium"
    assert {change["task"] for change in plan["changes"]} == status["active_mappings"].keys()
    assert plan["forecast"]["requests"] == usage["total"]["requests"] == 1
    assert {each["group"] for each in part["deployments"]} == {group}
    assert len(part["deployments"]) < len(whole["deployments"])


async def test_a_switch_needs_the_operators_word_and_the_callers_right(world: World) -> None:
    """Write tools are not there until they are switched on, and refuse whoever may not switch."""
    async with agent(world) as client:
        assert "There is no tool of this name" in await refusal(
            client, "switch", profile="balanced", reason="x"
        )
    world.agents = "write"

    async with agent(world, "viewer") as client:
        said = await refusal(client, "switch", profile="balanced", reason="an agent's idea")
    async with agent(world) as client:
        assert await tools_of(client) == READS | WRITES
        looked = await ask(client, "switch", profile="balanced", reason="look", dry_run=True)
        receipt = await ask(client, "switch", profile="balanced", reason="evening rate")
        back = await ask(client, "rollback", reason="not yet")

    assert "administrator" in said
    assert (looked["changed"], looked["revision"]) == (True, 1)
    assert (receipt["profile"], receipt["complete"]) == ("balanced", True)
    assert (back["profile"], back["revision"]) == ("premium", 3)


async def test_requests_and_their_residency(world: World) -> None:
    """The newest requests, one of which can be explained, and where they went."""
    async with agent(world) as client:
        listed = await ask(client, "requests", limit=1)
        explained = await ask(client, "explain", call_id=listed["requests"][0]["call_id"])
        audit = await ask(client, "residency", within="local,eu", hours=1)
    async with agent(world, "member") as client:
        said = await refusal(client, "residency", team="b")

    assert len(listed["requests"]) == 1
    assert explained["request"]["call_id"] == KNOWN_CALL
    assert audit["required"] == ["local", "eu"]
    assert audit["requests"] == audit["within"] + audit["elsewhere"] + audit["unknown"] == 1
    assert "own team" in said


async def test_an_agent_leads_a_rollout(world: World) -> None:
    """By the same receipts as anybody else, one rollout after the other; what does not run cannot be ended."""
    world.agents = "write"

    async with agent(world) as client:
        looked = await ask(client, "rollout_start", profile="balanced", reason="look", dry_run=True)
        idle = await ask(client, "rollout_status")
        said = await refusal(client, "rollout_abort", reason="a mistake")
        began = await ask(client, "rollout_start", profile="balanced", reason="try", steps=[5, 100], hold=60)
        status = await ask(client, "rollout_status")
        acts = [await ask(client, f"rollout_{act}", reason="so") for act in ("pause", "resume", "abort")]
        over = await ask(client, "rollout_status", rollout=status["running"]["id"])
        await ask(client, "rollout_start", profile="balanced", reason="again")
        promoted = await ask(client, "rollout_promote", reason="good")

    assert (looked["dry_run"], idle["running"]) == (True, None)
    assert "No rollout runs" in said
    assert (began["profile"], status["running"]["share"]) == ("premium", 5)
    assert [act["complete"] for act in acts] == [True] * 3
    assert over["phase"] == "aborted"
    assert promoted["profile"] == "balanced"


async def test_an_agent_sees_the_policy_and_releases_a_hold(world: World) -> None:
    """What is active now and why, what will be, and the end of what a person holds, where writes are allowed."""
    window = {"name": "always", "zone": "UTC", "then": {"profile": "cost_effective"}}
    async with world.client() as admin:
        policy = {"default": "balanced", "schedule": [window]}
        await admin.put(f"{PREFIX}/policy", json=policy, headers={"If-Match": "*"})
        await admin.post(f"{PREFIX}/profiles/switch", json={"profile": "premium"})

    async with agent(world) as client:
        shown = await ask(client, "policy_show")
        status = await ask(client, "status")
        foreseen = await ask(client, "policy_preview", days=2)
        assert "There is no tool of this name" in await refusal(client, "policy_release", reason="x")
    world.agents = "write"
    async with agent(world, "viewer") as client:
        said = await refusal(client, "policy_release", reason="an agent's idea")
    async with agent(world) as client:
        released = await ask(client, "policy_release", reason="lunch is over")

    assert (shown["now"]["level"], shown["now"]["why"]) == ("manual", status["why"])
    assert [one["profile"] for one in foreseen["stretches"]] == ["premium"]
    assert "administrator" in said
    assert (released["profile"], released["complete"]) == ("cost_effective", True)


async def test_a_tool_sees_what_the_callers_key_may_see(world: World) -> None:
    """A member is refused a forecast over everybody's requests, and explains its own team's request."""
    async with agent(world, "member") as client:
        said = await refusal(client, "plan", profile="balanced")
        own = await ask(client, "explain", call_id=KNOWN_CALL)
    async with agent(world, "stranger") as client:
        others = await refusal(client, "explain", call_id=KNOWN_CALL)

    assert own["request"]["team"] == "a"
    assert "needs the role admin or viewer" in said
    assert "team" in others


async def test_what_is_refused_says_how_to_mend_it(world: World) -> None:
    """An agent reads the problem and the fix of the admin API, and which argument is wrong."""
    async with agent(world) as client:
        unknown = await refusal(client, "plan", profile="nothing")
        grouping = await refusal(client, "usage", by="nonsense")
        argument = await refusal(client, "usage", hours=-1)
        surplus = await refusal(client, "status", profile="balanced")

    assert "balanced" in unknown
    assert "served_group" in grouping
    assert argument.startswith("hours:")
    assert surplus.startswith("profile:")


async def test_nobody_gets_in_without_a_key(world: World) -> None:
    """No key and an unknown key are refused before the protocol begins, as everywhere in the admin API."""
    async with world.client(None) as nobody, world.client("wrong") as wrong:
        answers = [await client.post(PREFIX + PATH, json=INITIALIZE) for client in (nobody, wrong)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert {answer.json()["code"] for answer in answers} == {"not_authenticated"}


async def test_an_operator_can_close_it(world: World) -> None:
    """`off` refuses everybody."""
    world.agents = "off"

    async with world.client("admin") as client:
        answer = await client.post(PREFIX + PATH, json=INITIALIZE)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_an_agent_is_told_every_grouping() -> None:
    """Those of the report, in its order."""
    told = UsageArguments.model_json_schema()["properties"]["by"]["description"]

    assert f"commas: {', '.join(UsageKey._fields)}." in told
