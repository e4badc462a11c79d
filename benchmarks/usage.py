"""What counting usage costs a request: the books and the hooks alone, and a proxy with and without.

    python -m benchmarks.usage [--requests 20000] [--turns 60] [--only books|hooks|proxy]

`books`: CPU of counting, flushing and reporting, over a real SQLite file. `hooks`: our two hooks on what LiteLLM tells
them of a request. `proxy`: one proxy with the plugin, which in turns of 20 requests has the counting taken out and put
back in, and with it who is told of what is counted: metrics and conversations.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.in_turns import counted_in_turns
from benchmarks.load import machine
from neuronode_router.control.store import ControlStore
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.periods import MINUTE
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.writer import UsageWriter
from tests.support.usage import NOW, finished

ROUTE = "/test/usage"
SWITCH = "benchmarks.usage_switch.switch"
KEYS = 40
"""Combinations of names in one minute: eight tasks, five groups."""
MARK = {"revision": 1, "profile": "p", "task": "t", "tier": None, "group": "chat", "reason": "active_profile"}
HOURS = 6
"""A report reads as many minutes as are kept."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--only", choices=("books", "hooks", "proxy"))
    args = parser.parse_args()
    print(f"usage ({machine()})")
    with tempfile.TemporaryDirectory() as name:
        if args.only in (None, "books"):
            asyncio.run(books(Path(name), args.requests))
        if args.only in (None, "hooks"):
            asyncio.run(hooks(args.requests))
        if args.only in (None, "proxy"):
            counted_in_turns(Path(name) / "proxy", args.turns, route=ROUTE, switch=SWITCH)


async def books(directory: Path, requests: int) -> None:
    """Count, flush and report."""
    store = ControlStore(f"sqlite:///{directory / 'books.db'}")
    buffer, kept = UsageBuffer(), UsageStore(store.database)
    now = [NOW]
    writer = UsageWriter(buffer=buffer, store=kept, worker="w", clock=lambda: now[0], days=90)
    one = [finished(at=NOW, deployment=f"d-{number % KEYS}") for number in range(KEYS)]
    began = time.process_time_ns()
    for number in range(requests):
        buffer.count(one[number % KEYS])
    print(f"count one request            {(time.process_time_ns() - began) / requests / 1000:9.2f} us")
    store.revision()  # the first transaction makes the tables
    began = time.process_time_ns()
    await writer.flush()
    print(f"flush {KEYS} rows, 256 requests {(time.process_time_ns() - began) / 1e6:9.2f} ms")
    for minute in range(1, HOURS * 60):
        for number in range(KEYS):
            buffer.count(finished(at=NOW + minute * MINUTE, deployment=f"d-{number}"))
        await writer.flush()
    now[0] = NOW + HOURS * 3600
    answers = UsageService(
        writer=writer, store=kept, clock=lambda: now[0], listed=lambda _: None, notes=dict, profiles=list
    )
    began, wall = time.process_time_ns(), time.perf_counter()
    await answers.report(NOW, now[0], by=("profile",))
    took = (time.process_time_ns() - began) / 1e6
    print(
        f"report over {HOURS * 60 * KEYS} rows       {took:9.2f} ms CPU, {(time.perf_counter() - wall) * 1000:.0f} ms"
    )
    store.close()


async def hooks(requests: int) -> None:
    """Let LiteLLM's router answer once, and repeat what it tells our hooks."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm  # here: it costs seconds, and the other measurements do without
    from litellm.integrations.custom_logger import CustomLogger
    from litellm.proxy._types import UserAPIKeyAuth

    from neuronode_router.litellm_plugin.hooks.usage import Groups, UsageHooks

    class Keep(CustomLogger):  # type: ignore[misc]
        """Keeps what LiteLLM logs."""

        logged: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):  # type: ignore
            """Keep it."""
            self.logged.set_result(kwargs)

    keep = Keep()
    litellm.logging_callback_manager.add_litellm_callback(keep)
    params = {"model": "openai/chat", "api_key": "none", "mock_response": "An answer of a few words."}
    router = litellm.Router(model_list=[{"model_name": "chat", "litellm_params": params}])
    data: dict[str, Any] = {"model": "chat", "metadata": {"neuronode": {}}}
    await router.acompletion(messages=[{"role": "user", "content": "Hello"}], **data)
    async with asyncio.timeout(20):
        logged = await keep.logged
    feed = UsageHooks(buffer=UsageBuffer(), groups=Groups(lambda _: ("chat", False), lambda _: True))
    user, info = UserAPIKeyAuth(team_id="a"), {"model_id": "d"}
    bucket = logged["litellm_params"]["metadata"]
    began = time.process_time_ns()
    for _ in range(requests):
        bucket["neuronode"] = data["metadata"]["neuronode"] = {**MARK}
        feed.begins(data, user, None, info)
        await feed.async_log_success_event(logged, None, None, None)
    print(f"both hooks of one request    {(time.process_time_ns() - began) / requests / 1000:9.2f} us")
    assert feed.failures.total == 0


if __name__ == "__main__":
    main()
