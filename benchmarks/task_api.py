"""What a task costs beside its chat request: the same prompt as a chat completion and through the task API, in turns.

    python -m benchmarks.task_api [--turns N]

One connection, one worker, a key of the access file, a provider that answers at once; both ask `auto:fast`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load import machine
from neuronode_router.access import generate_key
from neuronode_router.tasks import render, shipped
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

TEXT = "Earnings beat every forecast. echo-BULLISH"
WARM_UP = 50


def main() -> None:
    """Run both in turns and print p50, p95, the CPU of the worker and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=600)
    args = parser.parse_args()
    print(f"one sentiment request as a chat completion, as a task ({machine()})")
    plain, entry = generate_key("benchmark")
    with ExitStack() as stack:
        place = Place(
            keys=(entry,),
            directory=Path(stack.enter_context(tempfile.TemporaryDirectory())),
            upstream=stack.enter_context(Upstream()).url,
        )
        proxy = stack.enter_context(Proxy(place))
        client = stack.enter_context(proxy.client(plain))
        print_table(measure(proxy, client, args.turns))


def measure(proxy: Proxy, client: httpx.Client, turns: int) -> dict[str, tuple[list[float], float]]:
    """Return for both ways the milliseconds of each request and the worker's CPU milliseconds per request."""
    (worker,) = proxy.worker_processes()
    ways: dict[str, Callable[[], httpx.Response]] = {
        "chat completion": lambda: client.post("/v1/chat/completions", json=_chat()),
        "task": lambda: client.post("/api/v1/llm/sentiment", json={"text": TEXT}),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    used = dict.fromkeys(ways, 0.0)
    for turn in range(WARM_UP + turns):
        for way, send in ways.items():
            cpu, began = sum(worker.cpu_times()[:2]), time.perf_counter()
            send().raise_for_status()
            if turn >= WARM_UP:
                times[way].append(1000 * (time.perf_counter() - began))
                used[way] += 1000 * (sum(worker.cpu_times()[:2]) - cpu)
    return {way: (times[way], used[way] / turns) for way in ways}


def print_table(found: dict[str, tuple[list[float], float]]) -> None:
    """Print one line for each way."""
    for way, (times, cpu) in found.items():
        p95 = statistics.quantiles(times, n=20)[18]
        print(f"{way:16} p50 {statistics.median(times):6.2f} ms  p95 {p95:6.2f} ms  CPU {cpu:5.2f} ms")
    chat, task = (statistics.median(times) for times, _ in found.values())
    print(f"a task takes {task - chat:.2f} ms more, {task / chat:.2f} times")


def _chat() -> dict[str, Any]:
    task = shipped()["sentiment"]
    messages = render(task, {"text": TEXT})
    return {"model": "auto:fast", "messages": messages, "max_tokens": task.max_tokens, "logprobs": True}


if __name__ == "__main__":
    main()
