"""The first answer after a switch onto a local model: warm against cold, beside the answers that follow.

    python -m benchmarks.warm_switch [--rounds N] [--load SECONDS]

A real proxy with two workers in front of the Ollama of our tests. Answers are real (SmolLM2, real tokens, one thread);
the time that loading takes is not: all names share one engine's weights, and the server waits `--load` seconds where
an Ollama would read them from disk. Cold and warm switches take turns in one run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load import machine
from tests.support.ollama import OllamaServer, Served, running_ollama
from tests.support.place import FIRST_PROFILE, Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

OTHER, TASK, MODEL = "ultra_fast", "chat", "local"
STEADY = 8
"""Answers after the first one, whose median is the steady state."""
TOKENS = 16
TARGET = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPlace(Place):
    """One task of one profile is answered by a local model."""

    ollama: str

    def _deployment(self, group: str) -> dict[str, Any]:
        entry = Place._deployment(self, group)
        if group == f"{TASK}_{OTHER}":
            params = {"model": f"ollama_chat/{MODEL}", "api_base": self.ollama, "num_ctx": 2048}
            return {**entry, "litellm_params": {**params, "keep_alive": "1h"}}
        return entry


@dataclass(frozen=True, slots=True)
class Round:
    """What one switch led to, in seconds."""

    switch: float
    first: float
    steady: float


def seconds(client: httpx.Client, path: str, body: dict[str, Any]) -> float:
    """Return how long a request took. Raises when it failed."""
    began = time.perf_counter()
    client.post(path, json=body, timeout=120).raise_for_status()
    return time.perf_counter() - began


def one_round(client: httpx.Client, ollama: OllamaServer, warm: str) -> Round:
    """Switch there with nothing loaded, ask, and switch back."""
    away = {"profile": FIRST_PROFILE, "warm": "off"}
    seconds(client, "/admin/profiles/switch", away)
    httpx.post(f"{ollama.url}/api/generate", json={"model": MODEL, "keep_alive": 0}, trust_env=False)
    assert not ollama.loaded()
    ask = {"model": TASK, "max_tokens": TOKENS, "temperature": 0, "seed": 1}
    ask |= {"messages": [{"role": "user", "content": "Say hello in one sentence."}]}
    switched = seconds(client, "/admin/profiles/switch", {"profile": OTHER, "warm": warm})
    first = seconds(client, "/v1/chat/completions", ask)
    steady = [seconds(client, "/v1/chat/completions", ask) for _ in range(STEADY)]
    return Round(switched, first, statistics.median(steady))


def report(label: str, rounds: Sequence[Round]) -> float:
    """Print a line of medians; return the median ratio of the first answer to the steady state."""
    ratio = statistics.median(each.first / each.steady for each in rounds)
    switch, first, steady = (
        statistics.median(getattr(each, name) for each in rounds) for name in ("switch", "first", "steady")
    )
    print(f"{label:6}{switch * 1000:12.0f}{first * 1000:15.0f}{steady * 1000:15.0f}{ratio:15.2f}", flush=True)
    return ratio


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--load", type=float, default=2.0, help="seconds that loading is made to take")
    options = parser.parse_args()
    print(machine())
    print(f"{options.rounds} switches of each kind in turns; loading takes {options.load:g} s (simulated)\n")
    with (
        tempfile.TemporaryDirectory() as directory,
        Upstream() as upstream,
        running_ollama(Served(MODEL, load_seconds=options.load, context_length=2048)) as ollama,
    ):
        place = WarmPlace(directory=Path(directory), upstream=upstream.url, ollama=ollama.url)
        environ = {"NEURONODE_WRITE_LIMIT": "1000/second", "NEURONODE_WARM_DRAIN": "0"}
        with Proxy(place, workers=2, environ=environ) as proxy, proxy.client() as client:
            one_round(client, ollama, "wait")  # connections, caches and code are warm for everybody
            found: dict[str, list[Round]] = {"off": [], "wait": []}
            for number in range(options.rounds):
                for warm in ("off", "wait") if number % 2 else ("wait", "off"):
                    found[warm].append(one_round(client, ollama, warm))
    print("        switch ms   first answer   steady state   first/steady")
    report("cold", found["off"])
    ratio = report("warm", found["wait"])
    print(f"\ntarget: warm first/steady <= {TARGET:g}: {'met' if ratio <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
