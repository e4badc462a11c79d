"""The tools for agents over HTTP: each call of one is a request to the admin API with the key of whoever asks.

It must not know the tools, nor decide who may what: the routes that they ask do. Without sessions, so that any worker
may answer any request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import httpx
from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from admin_api.http.guard import MAX_BODY_BYTES, Call, Caller
from neuronode_router.agents.tool import AdminCall
from neuronode_router.errors import NeuronodeError, NotAllowed, NotReady

PATH = "/agents/mcp"
"""Two steps: LiteLLM keeps `/<name>/mcp` for MCP servers of its own."""
INNER_PREFIX = "/neuronode"
NOT_PASSED_ON = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "origin",
        "transfer-encoding",
    }
)


class ToolRefused(NeuronodeError):
    """The admin API refused what a tool asked for its caller."""

    code = "tool_refused"


async def answer_agent(call: Caller, request: Request) -> Response:
    """The tools for agents (Model Context Protocol, streamable HTTP). Each may what the caller's key may."""
    if call.host.agents == "off":
        raise NotAllowed(
            "This proxy offers agents no tools.", fix="Start it with NEURONODE_MCP=read or =write."
        )
    try:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from neuronode_router.agents.server import agent_server
    except ImportError as error:
        raise NotReady(
            "The SDK of the Model Context Protocol is not installed here, or too old.",
            fix="Install the version of mcp that requirements.lock names where the proxy runs, and start it again.",
        ) from error
    async with inner_client(request) as client:
        server = agent_server(asking(client), writes=call.host.agents == "write")
        manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
        )
        async with manager.run():
            return await collected(manager.handle_request, request, call)


def inner_client(request: Request) -> httpx.AsyncClient:
    """Return a client of this very application that sends what the caller of `request` is known by."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in NOT_PASSED_ON and not name.startswith("mcp-")
    }
    client = request.client or ("127.0.0.1", 0)
    transport = httpx.ASGITransport(request.app, raise_app_exceptions=False, client=(client[0], client[1]))
    return httpx.AsyncClient(transport=transport, base_url=f"http://proxy{INNER_PREFIX}", headers=headers)


def asking(client: httpx.AsyncClient) -> AdminCall:
    """Return how tools ask the admin API through a client."""

    async def call(
        method: str, path: str, *, params: Mapping[str, object] | None = None, body: object = None
    ) -> Mapping[str, Any]:
        named: dict[str, Any] = {name: value for name, value in (params or {}).items() if value is not None}
        answer = await client.request(method, path, params=named, json=body)
        document = answer.json() if "json" in answer.headers.get("content-type", "") else None
        if not answer.is_success or not isinstance(document, dict):
            _refuse(answer.status_code, document if isinstance(document, dict) else {})
        return document

    return call


def _refuse(status: int, document: Mapping[str, Any]) -> NoReturn:
    problems = [f"{each['message']} {each['fix']}" for each in document.get("problems", ())]
    text = " ".join([str(document.get("detail", f"The proxy answered {status}.")), *problems])
    raise ToolRefused(text, fix=str(document.get("fix", "")))


async def collected(app: ASGIApp, request: Request, call: Call) -> Response:
    """Return what an application that answers at once sends for a request, as one response."""
    body = await request.body()
    sent: list[Message] = []
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if pending:
            return pending.pop()
        await call.gone()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**request.scope}, receive, send)
    headers = Headers(raw=sent[0]["headers"])
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Response(content, sent[0]["status"], {"Content-Type": headers.get("content-type", "text/plain")})
