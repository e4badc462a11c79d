"""Answers on their way out, seen between LiteLLM's middleware and its routes: what errors say, and which streams were
left by their clients.

It must not know what is asked or counted: who does leaves headers for an error here, and a word for who leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from neuronode_router.background import Failures
from neuronode_router.routing.tokens import estimate

ERROR, CLIENT_GONE = 400, 499
"""The least status of an error, and the one that LiteLLM gives to a client that left before a stream began."""

KEPT_BYTES = 16_384
"""Of each stream so much is kept until it ends: how many tokens were sent is judged by it."""

_STREAMS = b"text/event-stream"
_SAID = frozenset(
    {"text", "content", "delta", "arguments", "partial_json", "thinking", "reasoning_content", "args"}
)
"""Where the wires' events have what a deployment wrote."""

Message = MutableMapping[str, Any]
Application = Callable[[MutableMapping[str, Any], Any, Any], Any]


@dataclass(slots=True)
class Outgoing:
    """One answer, from when its request came in."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """What it is to say should it be an error; what LiteLLM has written goes before."""
    left: Callable[[int], None] | None = None
    """Hears, should the client leave the stream before its end, about how many tokens it was sent. Must not raise."""
    _streams: bool = False
    _over: bool = True
    _bytes: int = 0
    _kept: list[bytes] = field(default_factory=list)

    def pass_on(self, message: Message) -> Message:
        """Return a message as it goes out."""
        if message["type"] == "http.response.start":
            return self._begun(message)
        if self._streams:
            body = message.get("body", b"")
            if self._bytes < KEPT_BYTES:
                self._kept.append(body)
            self._bytes += len(body)
            self._over = not message.get("more_body", False)
        return message

    def end(self) -> None:
        """The answer is over, or nobody is there any more who would hear it."""
        left, self.left = self.left, None
        if left is not None and not self._over:
            left(self._sent_tokens())
        self._kept.clear()

    def _begun(self, message: Message) -> Message:
        headers = message.get("headers", ())
        status = message["status"]
        # A list, not a generator: every answer of the proxy passes here, with a score of headers.
        kinds = [value for name, value in headers if name.lower() == b"content-type"]
        self._streams = bool(kinds) and kinds[0].startswith(_STREAMS)
        self._over = not self._streams and status != CLIENT_GONE
        if status < ERROR or not self.headers:
            return message
        there = {name.lower() for name, _ in headers}
        ours = ((name.encode(), value.encode("latin-1", "replace")) for name, value in self.headers.items())
        return {**message, "headers": [*headers, *(pair for pair in ours if pair[0] not in there)]}

    def _sent_tokens(self) -> int:
        kept = b"".join(self._kept)
        return int(estimate(["".join(_said(kept))]) * self._bytes / len(kept)) if kept else 0


_current: ContextVar[Outgoing | None] = ContextVar("neuronode_outgoing", default=None)


def current() -> Outgoing | None:
    """Return the answer that the present task works at, None where nobody stands between."""
    return _current.get()


def watch(app: FastAPI, failures: Failures) -> None:
    """Stand between LiteLLM's middleware and its routes. A second call is nothing."""
    router = app.router
    if not isinstance(router.middleware_stack, _Watching):
        router.middleware_stack = _Watching(router.middleware_stack, failures)


class _Watching:
    """All routes; what is looked at is answers to POST."""

    def __init__(self, inner: Application, failures: Failures) -> None:
        self._inner = inner
        self._failures = failures

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope.get("method") != "POST":
            await self._inner(scope, receive, send)
            return
        going = Outgoing()
        token = _current.set(going)

        async def pass_on(message: Message) -> None:
            await send(going.pass_on(message))

        try:
            await self._inner(scope, receive, pass_on)
        finally:
            _current.reset(token)
            with self._failures.harmless("the end of an answer"):
                going.end()


def _said(events: bytes) -> Iterator[str]:
    """Yield the texts of a stream's events, whatever the wire; an event that is cut off is none. Never raises."""
    for line in events.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                event = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue
            yield from _texts(event)


def _texts(event: object) -> Iterator[str]:
    nodes = [event]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            for key, value in node.items():
                if isinstance(value, str):
                    if key in _SAID:
                        yield value
                elif key == "args":
                    yield json.dumps(value)
                else:
                    nodes.append(value)
