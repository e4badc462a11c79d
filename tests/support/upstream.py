"""A fake LLM provider as a child process: answers with the name of the deployment asked, counts, obeys.

It must not know LiteLLM or the plugin. It speaks the wires of OpenAI, Anthropic and Gemini. A request tells it how to
behave by words anywhere in its body or in the header `x-fake`, so a deployment can be named `flaky-fail-500` for good,
and a single prompt can ask for a long stream; of two words of a kind the later counts, the header's last:
`slow-<ms>` waits first, `slots-<n>` answers that many requests of this deployment at a time while others queue,
`fail-<status>` answers an error, `words-<n>` sets the length, `pause-<ms>` waits between chunks, `break-stream` closes
the connection in mid-stream, `break-body` before the body, `break-json` answers what is no JSON, `echo-<word>` is said
instead of the name, and so is the text of `say-<base64url>`; `sure-<percent>` is its probability, told to who asks for
logprobs.
A deployment named `signs-<word>` signs what it says and refuses what others have signed (see `signing`).
Calls of other kinds (images, speech, token counts) are counted and answered with 501.
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
import psutil
import uvicorn

from tests.support import signing, wire

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEADER = b"x-fake"

_DIRECTIVE = re.compile(rb"\b(slow|fail|words|pause|sure|slots)-(\d{1,4})\b|\b(break-(?:stream|body|json))\b")
_ECHO = re.compile(rb"\becho-(\w{1,64})\b")
_SAY = re.compile(rb"\bsay-([\w-]{1,4096}={0,2})")
_FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]+)\r\n')
_JSON_MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
_GEMINI_PATH = re.compile(r"/([^/]+):(generateContent|streamGenerateContent)$")


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format: a whole answer, the events of a stream, and an error, by the functions of `wire`."""

    whole: Callable[[str, int], dict[str, Any]]
    events: Callable[[str, int], Iterator[str]]
    error: Callable[[int], dict[str, Any]] = wire.error


_KNOWN = {
    b"Is this review positive or negative?": "positive",
    b"Anna lives in Berlin.": '{"city": "Berlin"}',
}
"""Questions it knows the answer to, and says once instead of its name."""
_GEMINI = Wire(wire.gemini, wire.gemini_events, wire.gemini_error)
_WIRES = {
    "/chat/completions": Wire(wire.chat, wire.chat_events),
    "/completions": Wire(wire.completion, wire.completion_events),
    "/responses": Wire(wire.responses, wire.responses_events),
    "/messages": Wire(wire.anthropic, wire.anthropic_events, wire.anthropic_error),
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What a request asked for; times in milliseconds."""

    slow: int = 0
    slots: int = 0
    """0: as many at a time as come."""
    fail: int = 0
    words: int = 3
    pause: int = 0
    breaks: str = ""
    """What is broken: `break-stream`, `break-body` or `break-json`."""
    sure: int = 0
    """Percent; 0 tells nothing."""
    echo: str | None = None

    @classmethod
    def read(cls, text: bytes) -> Orders:
        """Find the directives anywhere in `text`; the last of a kind wins. Never raises."""
        numbers: dict[str, int] = {}
        breaks = ""
        for kind, number, cut in _DIRECTIVE.findall(text):
            breaks = cut.decode() or breaks
            if kind:
                numbers[kind.decode()] = int(number)
        echo, say = _ECHO.search(text), _SAY.search(text)
        said = base64.urlsafe_b64decode(say[1]) if say else echo[1] if echo else None
        if known := next((answer for question, answer in _KNOWN.items() if question in text), None):
            return cls(**numbers | {"words": 1}, breaks=breaks, echo=known)
        return cls(**numbers, breaks=breaks, echo=said.decode() if said is not None else None)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: which deployment, in which wire, and how to answer."""

    name: str
    wire: Wire | None
    """None for embeddings, which are neither streamed nor counted in words."""
    stream: bool
    body: dict[str, Any]
    orders: Orders
    path: str = ""

    @property
    def maker(self) -> str | None:
        """The provider that signs, None for a deployment that signs nothing."""
        return signing.maker_of(self.name)

    @classmethod
    def read(cls, scope: Scope, content: bytes) -> Asked:
        """Read a request of any wire. Raises for one of none."""
        body: dict[str, Any] = json.loads(content)
        path: str = scope["path"]
        told = b" ".join([path.encode(), content, *(v for k, v in scope["headers"] if k == HEADER)])
        orders = Orders.read(told)
        if found := _GEMINI_PATH.search(path):
            return cls(found[1], _GEMINI, found[2].startswith("stream"), body, orders)
        if path.endswith("/embeddings"):
            return cls(body["model"], None, stream=False, body=body, orders=orders)
        chosen = next(known for suffix, known in _WIRES.items() if path.endswith(suffix))
        return cls(body["model"], chosen, bool(body.get("stream")), body, orders, path)


class Provider:
    """The ASGI application, its counts, and the queues of deployments with slots."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._slots: dict[str, asyncio.Semaphore] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await _answer(send, 200, self.counts)
            return
        content = await _read(receive)
        if not _is_known(scope["path"]):
            self.counts[_named(content)]["requests"] += 1
            await _answer(send, 501, wire.error(501))
            return
        asked = Asked.read(scope, content)
        self.counts[asked.name]["requests"] += 1
        async with self._slot(asked):
            await self._obey(asked, send)

    def _slot(self, asked: Asked) -> contextlib.AbstractAsyncContextManager[None]:
        """Return what a request holds while it is worked on: its place among `slots-<n>`, taken in order of arrival."""
        if not asked.orders.slots:
            return contextlib.nullcontext()
        return self._slots.setdefault(asked.name, asyncio.Semaphore(asked.orders.slots))

    async def _obey(self, asked: Asked, send: Send) -> None:
        orders, count = asked.orders, self.counts[asked.name]
        if orders.slow:
            await asyncio.sleep(orders.slow / 1000)
        refused = signing.refusal(asked.path, asked.body, asked.maker) if asked.maker else None
        if orders.fail or refused:
            count["failed"] += 1
            error = asked.wire.error if asked.wire else wire.error
            told = error(orders.fail or 400)
            if refused:
                told["error"]["message"] = refused
            await _answer(send, orders.fail or 400, told)
            return
        if orders.breaks in ("break-body", "break-json"):
            count["failed"] += 1
            await _broken(send, orders.breaks)
            return
        count["prompt_tokens"] += wire.PROMPT_TOKENS
        if asked.wire is None:
            texts = asked.body["input"] if isinstance(asked.body["input"], list) else [asked.body["input"]]
            await _answer(send, 200, wire.embeddings(asked.name, len(texts)))
            return
        count["completion_tokens"] += orders.words
        count["schemas"] += "response_format" in asked.body
        said = orders.echo or asked.name
        if asked.stream:
            count["streams"] += 1
            await _stream(send, asked.wire.events(said, orders.words), orders)
            return
        whole = asked.wire.whole(said, orders.words)
        if whole.get("object") == "chat.completion":  # LiteLLM keeps one spend log per id
            whole["id"] = f"fake-{asked.name}-{count['requests']}"
        if asked.maker:
            whole = signing.answer(asked.path, asked.body, asked.maker, whole)
        if orders.sure and asked.body.get("logprobs"):
            whole["choices"][0]["logprobs"] = wire.logprobs(said, orders.sure / 100)
        await _answer(send, 200, whole)


def _is_known(path: str) -> bool:
    return bool(_GEMINI_PATH.search(path)) or path.endswith(("/embeddings", *_WIRES))


def _named(content: bytes) -> str:
    """Return the `model` of a call of no known wire, in JSON or a form; `?` where there is none."""
    found = _FORM_MODEL.search(content) or _JSON_MODEL.search(content)
    return found[1].decode() if found else "?"


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


async def _broken(send: Send, how: str) -> None:
    """Answer with what is no JSON, or promise a body and close the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"16")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if how == "break-body":
        raise ConnectionAbortedError("told to break the body")
    await send({"type": "http.response.body", "body": b"\x00<html>no json!"[:16].ljust(16)})


async def _stream(send: Send, events: Iterator[str], orders: Orders) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for index, event in enumerate(events):
        if orders.breaks == "break-stream" and index == 2:
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

    def process(self) -> psutil.Process:
        """Return the provider's process."""
        return psutil.Process(self._child.pid)

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
        keep["timeout_graceful_shutdown"] = 1  # its longest streams end in minutes
        uvicorn.run(Provider(), port=port, log_level="critical", loop="uvloop", **keep)


if __name__ == "__main__":
    main()
