"""LiteLLM's own answers, amended on their way out: one place between its middleware and its routes.

What is amended and how is told by the amendments. Where anything is not as expected, LiteLLM's own answer goes out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.auth.door import CALLER

OK = 200

Message = MutableMapping[str, Any]
Application = Callable[[MutableMapping[str, Any], Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is changed in the answers to GET of some paths."""

    paths: re.Pattern[str]
    """Searched for in the path."""
    amend: Callable[[Any, UserAPIKeyAuth], None]
    """Changes the document in place, as it is told to a caller."""


def amend_answers(app: FastAPI, amendments: Sequence[Amendment], failures: Failures) -> None:
    """Stand between LiteLLM's middleware and its routes. A second call is nothing."""
    router = app.router
    if not isinstance(router.middleware_stack, _Amending):
        router.middleware_stack = _Amending(router.middleware_stack, amendments, failures)


class _Amending:
    """All of LiteLLM's routes."""

    def __init__(self, inner: Application, amendments: Sequence[Amendment], failures: Failures) -> None:
        self._inner = inner
        self._amendments = tuple(amendments)
        self._failures = failures

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        found = self._amendment(scope) if scope.get("method") == "GET" else None
        if found is None:
            await self._inner(scope, receive, send)
            return
        held: list[Message] = []
        callers: list[UserAPIKeyAuth] = []

        async def hold(message: Message) -> None:
            held.append(message)

        scope[CALLER] = callers
        await self._inner(scope, receive, hold)
        with self._failures.harmless("amending LiteLLM's answers"):
            held = _amended(found, callers, held) or held
        for message in held:
            await send(message)

    def _amendment(self, scope: MutableMapping[str, Any]) -> Amendment | None:
        path = scope["path"]
        return next((one for one in self._amendments if one.paths.search(path)), None)


def _amended(
    amendment: Amendment, callers: Sequence[UserAPIKeyAuth], held: Sequence[Message]
) -> list[Message] | None:
    """Return another answer, None where LiteLLM's stays."""
    start, body = held[0], b"".join(message.get("body", b"") for message in held[1:])
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    plain = headers.get(b"content-type", b"").startswith(b"application/json")
    if start.get("status") != OK or not plain or b"content-encoding" in headers or not callers:
        return None
    document = json.loads(body)
    amendment.amend(document, callers[0])
    body = json.dumps(document, separators=(",", ":")).encode()
    kept = [pair for pair in start.get("headers", ()) if pair[0].lower() != b"content-length"]
    length = (b"content-length", str(len(body)).encode())
    return [{**start, "headers": [*kept, length]}, {"type": "http.response.body", "body": body}]
