"""What is asked of an Ollama to have weights in memory, or out of it, or fetched: each bounded by its caller's clock.

A load is a request without a prompt, with the options that LiteLLM sends for the deployment: with others the server
would load anew at the first real request. It must not know why something is loaded, and shows no address and no key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from neuronode_router.health.ollama import NotAnOllama, OllamaHost, Resident, read_residents, read_sizes
from neuronode_router.health.ollama_wire import Away, ask, asking, read_body
from neuronode_router.warm.needs import WarmTarget
from neuronode_router.warm.plan import ServerLook

UNLOAD_SECONDS = 10.0
"""The longest an unloading is waited for. The server ends what it is answering first."""

GONE_LOOK_SECONDS = 0.1
SAID_CHARS = 200
"""Of a server's own words that are shown."""

Fetched = Callable[[int, int], None]
"""Hears of a pull: bytes that are there, and bytes in all."""

_FAILURES = (Away, httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError)


class NotLoaded(Exception):
    """A server did not load, unload or fetch what it was asked to; the text says why, for people."""


class OllamaServers:
    """All of them. `client` opens the HTTP client when somebody is asked, and `stop` closes it."""

    def __init__(self, client: Callable[[], httpx.AsyncClient]) -> None:
        self._open = client
        self._client: httpx.AsyncClient | None = None

    async def look(self, host: OllamaHost, bound: int | None) -> ServerLook | None:
        """Return what a server has; None where it does not answer as one. Never raises for what it does."""
        try:
            sizes = read_sizes(await ask(self._http, host, "/api/tags"))
            residents: Mapping[str, Resident] = {}
            with contextlib.suppress(NotAnOllama):
                residents = read_residents(await ask(self._http, host, "/api/ps"))
        except _FAILURES:
            return None
        return ServerLook(sizes, residents, bound)

    async def load(self, target: WarmTarget) -> None:
        """Have weights in memory when this returns. Raises `NotLoaded`."""
        body: dict[str, Any] = {"model": target.tag, "stream": False}
        if target.options:
            body["options"] = dict(target.options)
        if target.keep_alive is not None:
            body["keep_alive"] = target.keep_alive
        # What only embeds refuses the other question, and not every deployment says which it is.
        paths = ("/api/embed",) if target.embeds else ("/api/generate", "/api/embed")
        for last, path in enumerate(paths, 1 - len(paths)):
            status, said = await self._post(
                target.host, path, body | ({"input": []} if "embed" in path else {})
            )
            if status == 200:
                return
            if last == 0 or status != 400:
                raise NotLoaded(said)

    async def unload(self, host: OllamaHost, tag: str) -> None:
        """Have weights out of memory when this returns. Raises `NotLoaded`."""
        try:
            async with asyncio.timeout(UNLOAD_SECONDS):
                status, said = await self._post(
                    host, "/api/generate", {"model": tag, "keep_alive": 0, "stream": False}
                )
                if status != 200:
                    raise NotLoaded(said)
                # An Ollama has no event for it.
                while tag in read_residents(await ask(self._http, host, "/api/ps")):  # noqa: ASYNC110
                    await asyncio.sleep(GONE_LOOK_SECONDS)
        except _FAILURES as error:
            raise NotLoaded(_why(error)) from error

    async def pull(self, host: OllamaHost, tag: str, fetched: Fetched) -> None:
        """Fetch what the server does not have. Raises `NotLoaded`."""
        request = asking(self._http, host, "/api/pull", {"model": tag, "stream": True})
        request.extensions["timeout"] = _patient()
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code != 200:
                    raise NotLoaded(_said(response.status_code, await read_body(response)))
                await _follow_pull(response, fetched)
            finally:
                await response.aclose()
        except _FAILURES as error:
            raise NotLoaded(_why(error)) from error

    async def stop(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @property
    def _http(self) -> httpx.AsyncClient:
        self._client = self._client or self._open()
        return self._client

    async def _post(self, host: OllamaHost, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        """Return status and what was said of a failure. However long it takes: the caller bounds it."""
        try:
            request = asking(self._http, host, path, body)
            request.extensions["timeout"] = _patient()
            response = await self._http.send(request, stream=True)
            try:
                answer = await read_body(response)
            finally:
                await response.aclose()
        except _FAILURES as error:
            raise NotLoaded(_why(error)) from error
        return response.status_code, _said(response.status_code, answer)


async def _follow_pull(response: httpx.Response, fetched: Fetched) -> None:
    done: dict[str, tuple[int, int]] = {}
    status = ""
    async for line in response.aiter_lines():
        event = json.loads(line) if line.strip() else {}
        if not isinstance(event, Mapping):
            raise NotAnOllama("no event")
        if "error" in event:
            raise NotLoaded(_plain(str(event["error"])))
        status = str(event.get("status", status))
        total, completed = event.get("total"), event.get("completed", 0)
        if isinstance(total, int) and isinstance(completed, int):
            done[str(event.get("digest", ""))] = (completed, total)
            fetched(sum(part for part, _ in done.values()), sum(whole for _, whole in done.values()))
    if status != "success":
        raise NotLoaded("the pull ended before its end")


def _said(status: int, answer: bytes) -> str:
    with contextlib.suppress(ValueError):
        document = json.loads(answer)
        if isinstance(document, Mapping) and isinstance(document.get("error"), str):
            return _plain(document["error"])
    return f"the server answered {status}"


def _plain(text: str) -> str:
    """Return a server's own words as one short line, whatever they are: they come into logs."""
    return "".join(each if each.isprintable() else " " for each in text[:SAID_CHARS])


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "the server did not answer in time"
    if isinstance(error, NotAnOllama | ValueError) and not isinstance(error, httpx.HTTPError):
        return "what answers is no Ollama"
    return "the server cannot be reached"


def _patient() -> dict[str, float | None]:
    """Return httpx's time-outs of a request that may take minutes until it is answered."""
    return httpx.Timeout(None, connect=5.0).as_dict()
