"""The event stream over a real connection."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from admin_api.audit import routes as events
from admin_api.http.limits import MAX_STREAMS
from neuronode_router.domain.audit import AuditEntry
from neuronode_router.errors import StoreUnavailable
from tests.admin_api.world import World
from tests.support.web import serving

EVENTS = "/admin/events"


@pytest.fixture
async def live(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's client over a real connection."""
    async with serving(world.app) as (url, _), httpx.AsyncClient(base_url=url, timeout=10) as client:
        client.headers["Authorization"] = f"Bearer {world.keys['admin']}"
        yield client


@asynccontextmanager
async def listening(client: httpx.AsyncClient, last: str | None = None) -> AsyncIterator[AsyncIterator[int]]:
    """Yield the revisions of the stream's events as they arrive."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", EVENTS, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield revisions(response.aiter_lines())


async def revisions(lines: AsyncIterator[str]) -> AsyncIterator[int]:
    """Parse events, insisting that id and data agree."""
    event: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "data" in event:
            assert event["event"] == "revision"
            assert json.loads(event["data"])["revision"] == int(event["id"])
            yield int(event["id"])
            event = {}


async def take(stream: AsyncIterator[int], count: int) -> list[int]:
    """Return the next events, within ten seconds."""
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


async def switch(client: httpx.AsyncClient, profile: str) -> None:
    """Switch and insist that it worked."""
    assert (await client.post("/admin/profiles/switch", json={"profile": profile})).json()["changed"]


async def test_a_newcomer_hears_the_current_revision_and_then_each_new_one(live: httpx.AsyncClient) -> None:
    """The stream starts with what is in force and goes on with every switch, in order."""
    async with listening(live) as stream:
        assert await take(stream, 1) == [1]

        for profile in ("balanced", "premium", "ultra_fast"):
            await switch(live, profile)

        assert await take(stream, 3) == [2, 3, 4]


async def test_who_comes_back_misses_nothing(
    live: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Last-Event-ID everything after it is sent first, however many pages, then it goes on live."""
    monkeypatch.setattr(events, "PAGE", 2)
    for turn in range(6):
        await switch(live, ("balanced", "premium")[turn % 2])

    async with listening(live, last="2") as stream:
        missed = await take(stream, 5)
        await switch(live, "balanced")
        fresh = await take(stream, 1)

    assert (missed, fresh) == ([3, 4, 5, 6, 7], [8])


async def test_who_comes_back_from_another_store_starts_anew(live: httpx.AsyncClient) -> None:
    """An id from the future, as after a restored backup, gives the current revision instead of silence."""
    async with listening(live, last="900") as stream:
        assert await take(stream, 1) == [1]


async def test_an_event_id_that_is_no_revision_is_refused(admin: httpx.AsyncClient) -> None:
    """Last-Event-ID is a revision; anything else is 422 before the stream starts."""
    answer = await admin.get(EVENTS, headers={"Last-Event-ID": "abc"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_open_streams_are_limited_and_given_back(live: httpx.AsyncClient) -> None:
    """A caller has a bounded number of streams in a worker; a closed one makes room again."""
    async with AsyncExitStack() as open_streams:
        streams = [await open_streams.enter_async_context(listening(live)) for _ in range(MAX_STREAMS)]
        for stream in streams:
            await take(stream, 1)
        refused = await live.get(EVENTS)

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"]
    async with asyncio.timeout(10):
        while True:
            async with live.stream("GET", EVENTS) as again:
                if again.status_code == 200:
                    break
            await asyncio.sleep(0.02)


async def test_streams_that_open_at_once_are_no_more(live: httpx.AsyncClient) -> None:
    """A hundred at the same time get as many as one after the other."""
    async with AsyncExitStack() as opened:

        async def open_one() -> int:
            response = await opened.enter_async_context(live.stream("GET", EVENTS))
            return response.status_code

        async with asyncio.timeout(30):
            statuses = await asyncio.gather(*(open_one() for _ in range(100)))

    assert Counter(statuses) == {200: MAX_STREAMS, 429: 100 - MAX_STREAMS}


async def test_keep_alive_comments_are_sent(live: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet stream carries comments, so that proxies in between do not close it."""
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.05)

    async with asyncio.timeout(10), live.stream("GET", EVENTS) as response:
        async for line in response.aiter_lines():
            if line.startswith(":"):
                break

    assert line.startswith(": ping")


async def test_a_stream_ends_after_its_time(live: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its longest time a stream ends cleanly; the client authenticates again when it reconnects."""
    monkeypatch.setattr(events, "MAX_STREAM_SECONDS", 0.2)

    async with asyncio.timeout(10), listening(live) as stream:
        assert [revision async for revision in stream] == [1]


async def test_a_store_that_fails_ends_the_stream_cleanly(
    world: World, live: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the log cannot be read the stream ends, and the client goes on from its last id."""

    async def fail(**_query: object) -> tuple[AuditEntry, ...]:
        raise StoreUnavailable("The store does not answer.")

    async with asyncio.timeout(10), listening(live) as stream:
        assert await take(stream, 1) == [1]
        with monkeypatch.context() as broken:
            broken.setattr(world.manager, "audit", fail)
            await switch(live, "balanced")
            assert [revision async for revision in stream] == []

    async with listening(live, last="1") as stream:
        assert await take(stream, 1) == [2]


async def test_a_shutdown_ends_the_stream(world: World) -> None:
    """A server that stops is not held up by listeners, and the listener sees a clean end."""
    async with serving(world.app) as (url, server), httpx.AsyncClient(base_url=url, timeout=10) as client:
        client.headers["Authorization"] = f"Bearer {world.keys['admin']}"
        async with listening(client) as stream:
            assert await take(stream, 1) == [1]

            server.should_exit = True

            async with asyncio.timeout(10):
                assert [revision async for revision in stream] == []
