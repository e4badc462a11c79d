"""A fake LLM provider as a child process: answers with the name of the deployment asked, counts, obeys.

It must not know LiteLLM or the plugin. A request tells it how to behave by words anywhere in its body, so
a deployment can be named `flaky-fail-500` for good, and a single prompt can ask for a long stream:
`slow-<ms>` waits first, `fail-<status>` answers an error, `words-<n>` sets the length, `pause-<ms>` waits
between chunks, `break-stream` closes the connection in mid-stream, `echo-<word>` is said instead of the name, and so
is the text of `say-<base64url>`; `sure-<percent>` is its probability, told to who asks for logprobs.
`GET /counts` tells, per deployment name, requests and the tokens billed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import re
import socket
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tests.support import wire

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_DIRECTIVE = re.compile(rb"\b(slow|fail|words|pause|sure)-(\d{1,4})\b|\b(break-stream)\b")
_ECHO = re.compile(rb"\becho-(\w{1,64})\b")
_SAY = re.compile(rb"\bsay-([\w-]{1,4096}={0,2})")
_WIRES: dict[str, tuple[Callable[[str, int], dict[str, Any]], Callable[[str, int], Iterator[str]]]] = {
    "/chat/completions": (wire.chat, wire.chat_events),
    "/completions": (wire.completion, wire.completion_events),
    "/responses": (wire.responses, wire.responses_events),
    "/messages": (wire.anthropic, wire.anthropic_events),
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What the body of a request asked for; times in milliseconds."""

    slow: int = 0
    fail: int = 0
    words: int = 3
    pause: int = 0
    breaks: bool = False
    sure: int = 0
    """Percent; 0 tells nothing."""
    echo: str | None = None

    @classmethod
    def read(cls, body: bytes) -> Orders:
        """Find the directives anywhere in `body`; the last of a kind wins. Never raises."""
        numbers: dict[str, int] = {}
        breaks = False
        for kind, number, cut in _DIRECTIVE.findall(body):
            breaks = breaks or bool(cut)
            if kind:
                numbers[kind.decode()] = int(number)
        echo, say = _ECHO.search(body), _SAY.search(body)
        said = base64.urlsafe_b64decode(say[1]) if say else echo[1] if echo else None
        return cls(**numbers, breaks=breaks, echo=said.decode() if said is not None else None)


class Provider:
    """The ASGI application and its counts."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await _answer(send, 200, self.counts)
            return
        body = await _read(receive)
        orders = Orders.read(body)
        asked = json.loads(body)
        name = asked["model"]
        count = self.counts[name]
        count["requests"] += 1
        if orders.slow:
            await asyncio.sleep(orders.slow / 1000)
        if orders.fail:
            count["failed"] += 1
            await _answer(send, orders.fail, wire.error(orders.fail))
            return
        count["prompt_tokens"] += wire.PROMPT_TOKENS
        if scope["path"].endswith("/embeddings"):
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            await _answer(send, 200, wire.embeddings(name, len(texts)))
            return
        count["completion_tokens"] += orders.words
        count["schemas"] += "response_format" in asked
        path = next(path for path in _WIRES if scope["path"].endswith(path))
        whole, events = _WIRES[path]
        said = orders.echo or name
        if asked.get("stream"):
            count["streams"] += 1
            await _stream(send, events(said, orders.words), orders)
        else:
            body_of_answer = whole(said, orders.words)
            if orders.sure and asked.get("logprobs"):
                body_of_answer["choices"][0]["logprobs"] = wire.logprobs(said, orders.sure / 100)
            await _answer(send, 200, body_of_answer)


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, body: object) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def _stream(send: Send, events: Iterator[str], orders: Orders) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for index, event in enumerate(events):
        if orders.breaks and index == 2:
            raise ConnectionAbortedError("told to break the stream")
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        if orders.pause:
            await asyncio.sleep(orders.pause / 1000)
    await send({"type": "http.response.body", "body": b""})


class Upstream:
    """The provider as a child process; a context manager that ends it."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "tests.support.upstream", "--port", str(self.port)]
        self._child = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Upstream:
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport) as client:
            client.get(f"{self.url}/counts").raise_for_status()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(10)

    def counts(self) -> dict[str, Counter[str]]:
        """Return requests, failures, streams and tokens per deployment name since the start."""
        found: dict[str, dict[str, int]] = httpx.get(f"{self.url}/counts").json()
        return defaultdict(Counter, {name: Counter(counts) for name, counts in found.items()})


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    with contextlib.suppress(KeyboardInterrupt):
        # A provider that hangs up on idle connections would race with the proxy's next request and blame it.
        keep: dict[str, Any] = {"timeout_keep_alive": 3600, "access_log": False, "lifespan": "off"}
        uvicorn.run(Provider(), port=port, log_level="critical", loop="uvloop", **keep)


if __name__ == "__main__":
    main()
