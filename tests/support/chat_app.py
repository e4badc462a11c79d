"""A proxy's chat completions as a little ASGI application: answers by a script, with our headers, and remembers.

It must not know tasks. Without LiteLLM it stands in for the proxy where only the conversation with it is tested.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

CANARY = "sk-provider-canary-91ab"
"""Stands in every error body, as in a provider's own words."""

TIERS = ("fast", "medium", "complex")


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request is answered with."""

    text: str | None = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Instead of those a routed answer would have, name by name; "" leaves one out."""
    sure: float | None = None
    """Probability of the text's one token, where the provider tells it."""
    finish_reason: str = "stop"
    raw: bytes | None = None
    """The whole body, instead of a completion."""
    error_type: str = "None"
    error: str = f"no, with {CANARY}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    client: Sequence[Any] | None

    @property
    def name(self) -> str:
        """What was sent as `model`."""
        return str(self.body["model"])

    @property
    def last(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])


class ChatApp:
    """Answers with `script`, one reply after the other, then with `then` for good."""

    def __init__(self, *script: Reply | str, then: Reply | str = "") -> None:
        self.script = deque(script)
        self.then = then
        self.asked: list[Asked] = []
        self.answered = 0
        self.hold: asyncio.Event | None = None
        """While it is not set, nobody is answered."""
        self.listed: Sequence[str] | None = ()
        """Names that any key may ask; None: the key may not even ask that."""
        self.auto_tier = "medium"
        """What `auto` is classified as."""

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client of it."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self), base_url="http://proxy.test", headers=headers
        )

    @property
    def names(self) -> list[str]:
        """What was sent as `model`, in order."""
        return [asked.name for asked in self.asked]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == "/v1/models":
            await _list(send, self.listed)
            return
        assert scope["path"] == "/v1/chat/completions"
        body = json.loads((await receive())["body"])
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(body, headers, scope.get("client"))
        self.asked.append(asked)
        if self.hold is not None:
            await self.hold.wait()
        reply = self.script.popleft() if self.script else self.then
        await _answer(send, asked, Reply(reply) if isinstance(reply, str) else reply, auto=self.auto_tier)
        self.answered += 1


async def _list(send: Send, names: Sequence[str] | None) -> None:
    status = 200 if names is not None else 403
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send(
        {
            "type": "http.response.body",
            "body": json.dumps({"data": [{"id": name} for name in names or ()]}).encode(),
        }
    )


async def _answer(send: Send, asked: Asked, reply: Reply, *, auto: str) -> None:
    headers = _routed(asked, auto) | {"content-type": "application/json"} | dict(reply.headers)
    body = (
        reply.raw or json.dumps(_completion(asked, reply) if reply.status == 200 else _error(reply)).encode()
    )
    pairs = [(name.encode(), value.encode()) for name, value in headers.items() if value]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _routed(asked: Asked, auto: str) -> dict[str, str]:
    name = asked.name
    tier = auto if name == "auto" else name.removeprefix("auto:")
    headers = {"x-neuronode-fallback": "0", "x-neuronode-group": name, "x-neuronode-reason": "passthrough"}
    if tier not in TIERS:
        return headers
    how = "classified" if name == "auto" else "forced_tier"
    decision = {
        "wanted": tier,
        "task": "summary" if name == "auto" else None,
        "confidence": 0.83 if name == "auto" else None,
        "took_ms": 0.25,
        "in_force": True,
    }
    if asked.headers.get("x-neuronode-explain") == "1":
        headers["x-neuronode-explain"] = json.dumps(decision)
    return headers | {
        "x-neuronode-tier": tier,
        "x-neuronode-group": f"tier_{tier}",
        "x-neuronode-reason": f"active_profile,{how}",
    }


def _completion(asked: Asked, reply: Reply) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": reply.finish_reason}
    choice["message"] = {"role": "assistant", "content": reply.text}
    if reply.sure is not None and asked.body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": reply.text, "logprob": math.log(reply.sure)}]}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return {"id": "c", "object": "chat.completion", "model": asked.name, "choices": [choice], "usage": usage}


def _error(reply: Reply) -> dict[str, Any]:
    return {"error": {"message": reply.error, "type": reply.error_type, "code": str(reply.status)}}
