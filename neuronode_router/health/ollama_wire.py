"""One small question to an Ollama and its answer, bounded in time and size.

It must not know what is asked for, and it shows no address and no key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

from neuronode_router.health.ollama import NotAnOllama, OllamaHost

TIMEOUT_SECONDS = 2.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Away(Exception):
    """The host could not be reached in time, or a gateway before it could not."""


async def ask(
    client: httpx.AsyncClient, host: OllamaHost, path: str, body: Mapping[str, Any] | None = None
) -> Any:
    """Return an answer's document: of a POST where there is a body.

    Raises `Away`, `NotAnOllama`, `ValueError`, `TimeoutError` or what httpx raises.
    """
    request = asking(client, host, path, body)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        response = await client.send(request, stream=True)
        try:
            if response.status_code >= 500:
                raise Away
            if response.status_code != 200:
                raise NotAnOllama("refused")
            return json.loads(await read_body(response))
        finally:
            await response.aclose()


def asking(
    client: httpx.AsyncClient, host: OllamaHost, path: str, body: Mapping[str, Any] | None
) -> httpx.Request:
    """Return the request. Raises `httpx.InvalidURL`."""
    return client.build_request(
        "GET" if body is None else "POST", host.address + path, json=body, headers=dict(host.headers)
    )


async def read_body(response: httpx.Response) -> bytes:
    """Return the body of a response that is streamed. Raises `NotAnOllama` where it is endless."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise NotAnOllama("endless")
    return bytes(body)
