"""Sends requests and switches to one proxy and writes down what it sees, for the history checker.

It must not judge anything. Every request takes a new connection, so that any worker may get it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.history import History, Seen, Switched
from tests.support.place import GROUPS
from tests.support.proxy import MASTER_KEY, Proxy, bearer

TASKS = ("classification", "extraction", "synthesis", "chat")
ADMIN = "/admin"
REFUSED_SECONDS = 0.1
"""How long who was not answered waits before asking again."""
STREAM_PROMPT = "words-12 pause-15"
"""Makes a stream last about 0.2 s, longer than a switch."""


class Driver:
    """One client and operator of one proxy."""

    def __init__(self, session: aiohttp.ClientSession, history: History) -> None:
        self._session = session
        self.history = history

    async def ask(self, task: str, *, stream: bool) -> Seen:
        """Send one chat request, read it to its end and record it. Never raises for a failed request."""
        prompt = STREAM_PROMPT if stream else "Say who you are."
        body = {"model": task, "stream": stream, "messages": [{"role": "user", "content": prompt}]}
        sent_at = answered_at = time.monotonic()
        status, headers, names, whole = 0, {}, (), False
        try:
            async with self._session.post("/v1/chat/completions", json=body) as answer:
                answered_at, status, headers = time.monotonic(), answer.status, answer.headers
                names, whole = _read(await answer.text(), stream=stream)
        except (aiohttp.ClientError, ValueError, KeyError):
            whole = False
        times = (sent_at, answered_at, time.monotonic())
        seen = _seen(task, times, status, headers, names, whole=whole)
        self.history.requests.append(seen)
        return seen

    async def switch(self, profile: str, **fields: Any) -> dict[str, Any]:
        """Switch and record it; return the receipt. Raises when the switch is refused."""
        posted_at = time.monotonic()
        receipt = await self.call("POST", "/profiles/switch", {"profile": profile, **fields})
        if receipt["changed"]:
            told = (receipt["revision"], posted_at, time.monotonic(), receipt["complete"])
            self.history.switches.append(Switched(profile, *told, len(receipt["workers"])))
        return receipt

    async def audit(self) -> list[tuple[int, str]]:
        """Return (revision, profile after) of every audit row since the history began, oldest first."""
        query = f"/audit?format=ndjson&after={self.history.first_revision}"
        async with self._session.get(ADMIN + query) as answer:
            answer.raise_for_status()
            rows = [json.loads(line) for line in (await answer.text()).splitlines()]
        return sorted((row["revision"], row["profile_after"]) for row in rows)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call the admin API and return the body. Raises `RuntimeError` with it for an error status."""
        async with self._session.request(method, ADMIN + path, json=body) as answer:
            found: dict[str, Any] = await answer.json(content_type=None)
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {found}")
            return found

    @asynccontextmanager
    async def load(self, *, plain: int, streams: int) -> AsyncIterator[None]:
        """Keep so many requests of both kinds in flight; on leaving, let the last ones end."""
        stop = asyncio.Event()

        async def keep_asking(start: int, *, stream: bool) -> None:
            for task in itertools.islice(itertools.cycle(TASKS), start, None):
                if stop.is_set():
                    return
                seen = await self.ask(task, stream=stream)
                if not seen.status:
                    await asyncio.sleep(REFUSED_SECONDS)

        loops = [asyncio.create_task(keep_asking(n, stream=n >= plain)) for n in range(plain + streams)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*loops)


@asynccontextmanager
async def driving(proxy: Proxy) -> AsyncIterator[Driver]:
    """Return a driver whose history starts with what the proxy serves now."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        proxy.url, connector=connector, headers=bearer(MASTER_KEY), timeout=timeout
    ) as session:
        driver = Driver(session, History(first_revision=0, first_profile="", groups=GROUPS))
        status = await driver.call("GET", "/profiles/status")
        driver.history.first_revision = status["revision"]
        driver.history.first_profile = status["active_profile"]
        yield driver


def _read(text: str, *, stream: bool) -> tuple[tuple[str, ...], bool]:
    """Return the names in a chat answer, one per chunk of a stream, and whether it came to its end."""
    if not stream:
        return tuple(json.loads(text)["choices"][0]["message"]["content"].split()), True
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    deltas = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    names = tuple(delta.strip() for delta in deltas if delta.strip())
    return names, events[-1:] == ["[DONE]"]


def _seen(
    task: str,
    times: tuple[float, float, float],
    status: int,
    headers: Mapping[str, str],
    names: Sequence[str],
    *,
    whole: bool,
) -> Seen:
    return Seen(
        task=task,
        sent_at=times[0],
        answered_at=times[1],
        status=status,
        whole=whole,
        profile=headers.get("x-neuronode-profile", ""),
        revision=int(headers.get("x-neuronode-revision", -1)),
        group=headers.get("x-neuronode-group", ""),
        names=tuple(names),
        ended_at=times[2],
    )
