"""How many Python functions one request calls, by set-up: a figure that a busy machine does not change.

    python -m benchmarks.calls bare plugin
    python -m benchmarks.calls bare plugin --most 40      which functions the second calls more often than the first

One connection, one request after the other; what runs in the background meanwhile is counted too. Calls are no time:
this finds what is done again and again, `plugin_overhead` tells what it costs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.setups import proxies, require_as_named
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

WARMING = 50
"""Requests before: the first ones import and fill caches."""

SETTLED_SECONDS = 1.0
"""LiteLLM logs in the background."""

COUNTED_IN = "NEURONODE_CALLS"
"""Where a worker writes what it has counted."""

_COUNTER = f"""
import collections, json, os, signal, sys
counted = collections.Counter()

def count(frame, event, _):
    if event == "call":
        counted[frame.f_code] += 1

def turn(*_):
    if sys.getprofile() is None:
        counted.clear()
        sys.setprofile(count)
        return
    sys.setprofile(None)
    found = collections.Counter()
    for code, number in counted.items():
        found[f"{{code.co_filename}}:{{code.co_qualname}}"] += number
    path = os.environ[{COUNTED_IN!r}]
    with open(path + ".new", "w") as file:
        json.dump(found, file)
    os.replace(path + ".new", path)

if {COUNTED_IN!r} in os.environ:
    signal.signal(signal.SIGUSR2, turn)
"""
"""A `sitecustomize` that counts calls between two signals, in the main thread: LiteLLM's event loop."""


def main() -> None:
    """Print one line for each set-up, and on request what the last calls more often than the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("setups", nargs="*", default=["bare", "plugin"], help="see benchmarks.setups")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--model", default="classification", help="the name that is asked where we are there")
    parser.add_argument("--most", type=int, default=0, help="functions to list")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Upstream() as upstream:
        found = {
            setup: _counted(Path(name), upstream.url, setup, arguments.model, arguments.requests)
            for setup in arguments.setups
        }
    for setup, calls in found.items():
        ours = sum(number for function, number in calls.items() if "/neuronode_router/" in function)
        print(f"{setup:10} {sum(calls.values()):9,.0f} calls a request, {ours:6,.0f} of them ours")
    first, last = (found[setup] for setup in (arguments.setups[0], arguments.setups[-1]))
    more = {function: number - first.get(function, 0.0) for function, number in last.items()}
    for function in sorted(more, key=more.__getitem__, reverse=True)[: arguments.most]:
        print(f"{more[function]:+8.1f} {function[-100:]}")


def _counted(directory: Path, upstream: str, setup: str, model: str, requests: int) -> Mapping[str, float]:
    """Return how often a request calls each function, by file and name."""
    site, written = directory / "site", directory / f"{setup}.json"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_COUNTER)
    proxy = next(proxies(directory, upstream, setup))
    path = os.pathsep.join((str(site), str(Path.cwd())))
    proxy.environ = {**proxy.environ, "PYTHONPATH": path, COUNTED_IN: str(written)}
    with proxy:
        require_as_named(setup, proxy)
        bare = setup.partition("+")[0] in ("bare", "pip")
        body = {
            "model": "classification_premium" if bare else model,
            "messages": [{"role": "user", "content": "Is this good or bad? The service was slow."}],
        }
        with proxy.client() as client:
            for _ in range(WARMING):
                client.post("/v1/chat/completions", json=body).raise_for_status()
            with _counting(proxy, client, written):
                for _ in range(requests):
                    client.post("/v1/chat/completions", json=body).raise_for_status()
    return {name: number / requests for name, number in json.loads(written.read_text()).items()}


@contextmanager
def _counting(proxy: Proxy, client: httpx.Client, written: Path) -> Iterator[None]:
    """Count while the body runs and, once LiteLLM has logged what it did, write the counts. Raises `TimeoutError`."""
    (worker,) = proxy.worker_processes()
    _turn(worker.pid, client)
    yield
    _turn(worker.pid, client)
    for _ in range(100):
        if written.exists():
            return
        threading.Event().wait(0.05)
    raise TimeoutError("The worker did not write what it has counted.")


def _turn(worker: int, client: httpx.Client) -> None:
    threading.Event().wait(SETTLED_SECONDS)
    os.kill(worker, signal.SIGUSR2)
    client.get(
        "/health/liveliness"
    )  # Python looks at signals between its own instructions: an idle loop has none


if __name__ == "__main__":
    main()
