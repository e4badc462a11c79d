"""What the metrics cost a request, and what a scrape costs: in one process and over shared files.

    python -m benchmarks.metrics [--requests 20000] [--turns 60] [--only counting|proxy]

`counting`: CPU of counting one ended and one routed request, and of the text, over the series of a busy proxy. `proxy`:
one proxy with the plugin, counting into shared files, which in turns of 20 requests has the counting taken out and put
back in, so that nothing else differs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.in_turns import counted_in_turns
from benchmarks.load import machine

ROUTE = "/test/metrics"
SWITCH = "benchmarks.metrics_switch.switch"
SHARED = "PROMETHEUS_MULTIPROC_DIR"
PROFILES, TASKS = 5, 11
"""Every combination has a group of its own: the series of a proxy whose five profiles are all in use."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--only", choices=("counting", "here", "proxy"))
    args = parser.parse_args()
    if args.only == "here":
        asyncio.run(counting(args.requests))
        return
    print(f"metrics ({machine()})")
    with tempfile.TemporaryDirectory() as name:
        if args.only in (None, "counting"):
            again = [sys.executable, "-m", "benchmarks.metrics", "--only", "here", "--requests"]
            for title, environ in (("one process", {}), ("shared files", {SHARED: name})):
                print(title)  # each in a process of its own: prometheus-client chooses once
                subprocess.run([*again, str(args.requests)], env={**os.environ, **environ}, check=True)
        if args.only in (None, "proxy"):
            shared = Path(name) / "shared"
            shared.mkdir()  # LiteLLM opens files in it before it would make it
            environ = {SHARED: str(shared)}
            counted_in_turns(Path(name) / "proxy", args.turns, route=ROUTE, switch=SWITCH, environ=environ)


async def counting(requests: int) -> None:
    """Count and write down in this process."""
    from neuronode_router.auto.router import Routed
    from neuronode_router.domain.decisions import Decision, Reason, Step
    from neuronode_router.domain.names import Tier
    from tests.support.metering import metering
    from tests.support.usage import finished

    meter = metering()
    ended = [
        finished(
            profile=f"p{p}",
            task=f"t{t}",
            served_group=f"t{t}_p{p}",
            chosen_group=f"t{t}_p{p}",
            first_token_ms=9.0,
        )
        for p in range(PROFILES)
        for t in range(TASKS)
    ]
    steps = (Step.CLASSIFIED,)
    decision = Decision("auto", "g", Reason.ACTIVE_PROFILE, profile="p", tier=Tier.FAST, steps=steps)
    routed = Routed(decision, decision, None, None, (), 0.3)
    for one in ended:
        meter.ended(one)
    began = time.process_time_ns()
    for number in range(requests):
        meter.ended(ended[number % len(ended)])
    print(f"  ended request   {(time.process_time_ns() - began) / requests / 1000:8.2f} us")
    began = time.process_time_ns()
    for _ in range(requests):
        meter.decided(routed, "me", {})
    print(f"  routed request  {(time.process_time_ns() - began) / requests / 1000:8.2f} us")
    began = time.process_time_ns()
    text = await meter.exposition()
    took = (time.process_time_ns() - began) / 1e6
    print(f"  scrape          {took:8.2f} ms, {text.count(b'{')} series, {len(text) / 1000:.0f} kB")
    assert meter.failures.total == 0


if __name__ == "__main__":
    main()
