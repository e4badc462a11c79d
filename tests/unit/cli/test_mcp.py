"""`neuronode mcp`: an agent starts it as it would start any server of its own, and talks to it over its pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from neuronode_router.agents.tools import offered
from tests.support.agent import ask, refusal, tools_of, why_slow
from tests.support.usage import finished
from tests.unit.cli.conftest import Remote, Terminal

START = "from neuronode_router.cli.main import main; main()"


def started(remote: Remote, *options: str, key: str | None = None) -> StdioServerParameters:
    """How an agent's configuration names this server."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-c", START, "mcp", *options],
        env={
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "LITELLM_BASE_URL": remote.url,
            "LITELLM_API_KEY": key or remote.world.keys["admin"],
        },
    )


async def test_an_agent_finds_out_why_a_request_was_slow(remote: Remote) -> None:
    """By tools alone, and what the request would have cost under another profile; writes are not offered."""
    for _ in range(20):
        remote.world.buffer.count(finished(at=time.time(), latency_ms=100.0))
    remote.world.buffer.count(finished(call_id="slow-one", at=time.time(), latency_ms=9000.0))

    async with Client(started(remote)) as client:
        tools = await tools_of(client)
        answer = await why_slow(client, "slow-one")

    assert tools == {tool.name for tool in offered(writes=False)}
    assert (answer.slower_than_usual, answer.because) == (True, "this request alone")
    assert answer.cost_under["balanced"] == pytest.approx(11 * 0.5e-6 + 3 * 1e-6)


async def test_with_allow_writes_it_switches_and_goes_back(remote: Remote) -> None:
    """The same receipts as from `neuronode profile switch`, and the same refusals."""
    async with Client(started(remote, "--allow-writes")) as client:
        receipt = await ask(client, "switch", profile="balanced", reason="evening rate")
        back = await ask(client, "rollback", reason="not yet")
        said = await refusal(client, "switch", profile="nothing", reason="a mistake")

    assert (receipt["profile"], receipt["complete"]) == ("balanced", True)
    assert (back["profile"], back["revision"]) == ("premium", 3)
    assert "balanced" in said


async def test_a_wrong_key_is_told_by_the_tool(remote: Remote) -> None:
    """The server starts all the same: an agent shows its user what a tool says, not why a process ended."""
    async with Client(started(remote, key="sk-nobody-knows-this")) as client:
        said = await refusal(client, "status")

    assert "LITELLM_API_KEY" in said
    assert "sk-nobody" not in said


def test_ctrl_c_ends_it_while_somebody_may_still_write(remote: Remote) -> None:
    """At once, with exit code 1, and in the words of every other command; the terminal keeps standard input open."""
    server = started(remote)
    with subprocess.Popen(
        [server.command, *server.args],
        env=server.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        client = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        first = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client}
        process.stdin.write(json.dumps(first) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]
        try:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 1
            assert process.stderr.read() == "Aborted!\n"
        finally:
            process.kill()


def test_without_the_sdk_it_says_what_to_install(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK is no dependency of the command line."""
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)

    outcome = neuronode("mcp")

    assert outcome.code == 1
    assert "Run scripts/install" in outcome.err
