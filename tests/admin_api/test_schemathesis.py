"""Schemathesis over our part of the OpenAPI page: what it invents is answered as the page says, and never with 5xx.

`test_contract` sends what a careless client would: bodies, headers and names of our choosing. Here the page itself is
the source: every operation, values inside and outside its schemas, and answers held to their schemas.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from admin_api.router import build_task_router
from tests.admin_api.task_world import set_up
from tests.admin_api.world import running_world
from tests.support.openapi_page import hold_to_the_page
from tests.support.web import serving


@dataclass(frozen=True, slots=True)
class Served:
    """A worker on a loopback port."""

    url: str
    keys: Mapping[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worker on an event loop of its own: schemathesis waits for each answer."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = AsyncExitStack()

    async def start() -> Served:
        directory: Path = tmp_path_factory.mktemp("world")
        world = await stack.enter_async_context(running_world(directory))
        world.write_limit = "100000/second"
        app = world.leave_the_shared_application()
        app.include_router(build_task_router(set_up(world, directory).host))
        url, _ = await stack.enter_async_context(serving(app))
        return Served(url, world.keys)

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(("caller", "examples"), [("admin", 6), ("member", 2)])
def test_only_documented_answers_are_given(
    subtests: pytest.Subtests, served: Served, caller: str, examples: int
) -> None:
    """Whatever the page allows or forbids is answered as the page says. A member's requests mostly end at the same few
    checks: fewer show them.
    """
    held = hold_to_the_page(subtests, url=served.url, key=served.keys[caller], examples=examples)

    assert held > 50
