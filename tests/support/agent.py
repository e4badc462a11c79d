"""A scripted agent: the official SDK's client, and the questions that an operator would put to one.

It must not know what is behind the tools.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


@dataclass(frozen=True, slots=True)
class Answered:
    """What the agent found out about one request."""

    slower_than_usual: bool
    because: str
    cost_under: dict[str, float | None]


@asynccontextmanager
async def over_http(url: str, key: str) -> AsyncIterator[Client]:
    """Yield an agent that has an address and a key."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return what a tool answers. Raises `AssertionError` with its words where it refuses."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return dict(result.structured_content)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """Return in which words a tool refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return " ".join(getattr(part, "text", "") for part in result.content)


async def tools_of(client: Client) -> set[str]:
    """Return the names of the tools that are offered."""
    return {tool.name for tool in (await client.list_tools()).tools}


async def why_slow(client: Client, call_id: str) -> Answered:
    """Answer "why was this request slow, and what would it have cost elsewhere" by tools alone."""
    found = await ask(client, "explain", call_id=call_id)
    request, usual = found["request"], found["usual_last_24_hours"]
    slower = request["latency_ms"] > 2 * usual["latency_p50_ms"]
    because = "fallback" if request["fallback"] else "group" if not slower else "this request alone"
    return Answered(
        slower_than_usual=slower,
        because=because,
        cost_under={one["profile"]: one["cost_usd"] for one in request["alternatives"]},
    )
