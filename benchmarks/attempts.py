"""What measuring attempts and choosing deployments costs a request: CPU with and without, in turns, on one router.

    LITELLM_LOCAL_MODEL_COST_MAP=True python -m benchmarks.attempts [--rounds 24]

The provider is a child process, so its CPU does not count. Everything else of a request does, LiteLLM's logging too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import litellm

import neuronode_router
from tests.support.upstream import Upstream

REQUESTS = 60
"""Per round and form."""

SAY = [{"role": "user", "content": "hello"}]


def router(url: str) -> Any:
    """Return a router with one group of two equal deployments."""
    return litellm.Router(
        model_list=[
            {
                "model_name": "g",
                "litellm_params": {"model": f"openai/{name}", "api_base": url, "api_key": "none"},
                "model_info": {"id": name},
            }
            for name in ("a", "b")
        ],
        num_retries=0,
    )


async def plain(over: Any) -> None:
    """One request."""
    await over.acompletion(model="g", messages=SAY)


async def streamed(over: Any) -> None:
    """One request whose answer comes in sixty chunks."""
    said = [{"role": "user", "content": "words-60"}]
    async for _ in await over.acompletion(model="g", messages=said, stream=True):
        pass


async def choice(over: Any) -> None:
    """One choice of a deployment, without a request."""
    await over.async_get_available_deployment(model="g", request_kwargs={}, messages=SAY)


async def cpu_ms(over: Any, act: Callable[[Any], Awaitable[None]], times: int) -> float:
    """Return the CPU milliseconds of this process for one `act`, LiteLLM's logging included."""
    before = time.process_time()
    for _ in range(times):
        await act(over)
    await asyncio.sleep(0.05)  # LiteLLM logs in the background
    return 1000 * (time.process_time() - before) / times


async def compare(
    url: str, act: Callable[[Any], Awaitable[None]], times: int, *, rounds: int
) -> dict[str, float]:
    """Return medians of both forms in CPU milliseconds, and the median ratio of neighbouring rounds."""
    over = router(url)
    await cpu_ms(over, act, times)
    without, with_us = [], []
    for _ in range(rounds):
        gc.collect()
        without.append(await cpu_ms(over, act, times))
        async with neuronode_router.attach(over) as attached:
            # Until it has looked at the router, so that the choice is made from what is known.
            while not attached.health.monitor.statuses:
                await asyncio.sleep(0.01)
            await cpu_ms(over, act, 4)
            await asyncio.sleep(0.45)
            with_us.append(await cpu_ms(over, act, times))
    ratios = [ours / theirs for ours, theirs in zip(with_us, without, strict=True)]
    return {
        "without_ms": round(statistics.median(without), 4),
        "with_ms": round(statistics.median(with_us), 4),
        "ratio": round(statistics.median(ratios), 4),
    }


async def forms(rounds: int) -> None:
    """Print the comparison as JSON."""
    with Upstream() as upstream:
        found = {
            "plain": await compare(upstream.url, plain, REQUESTS, rounds=rounds),
            "streamed, 60 chunks": await compare(upstream.url, streamed, REQUESTS // 4, rounds=rounds),
            "choice alone": await compare(upstream.url, choice, 20 * REQUESTS, rounds=rounds),
        }
    print(json.dumps(found, indent=2))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=24)
    asyncio.run(forms(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
