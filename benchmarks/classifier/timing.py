"""CPU of the deciding thread per classification, by prompt length; LiteLLM's complexity router beside it.

Usage: python -m benchmarks.classifier.timing [--calls 400]. Thread CPU, so that other load does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from benchmarks.classifier.baselines import LiteLLMRouter
from neuronode_router.classifier import shipped

LENGTHS = (40, 400, 4_000, 34_000, 100_000)
FILLER = "The market hall stayed closed, and prices for cod had fallen by a third within a year.\n"
SYSTEM = "You are a helpful assistant of a company. " + "Follow the house rules and cite sources. " * 40


def prompts() -> dict[str, str]:
    """Return the prompts by name: an instruction, then text up to the length; and one made to hurt."""
    made = {}
    for length in LENGTHS:
        text = "Fasse das bitte kurz zusammen:\n"
        made[str(length)] = (text + FILLER * (length // len(FILLER) + 1))[:length]
    return {**made, "first x 20000": "first " * 20_000}


def conversation(text: str) -> list[dict[str, Any]]:
    """Return the prompt as the third turn below a system prompt: all that is ever looked at."""
    said = [("system", SYSTEM), ("user", text), ("assistant", "..."), ("user", text), ("assistant", "...")]
    return [{"role": role, "content": content} for role, content in (*said, ("user", text))]


def measure(decide: Callable[[Any], object], text: object, calls: int) -> list[float]:
    """Return the thread CPU of each call in milliseconds, sorted."""
    decide(text)
    spent = []
    for _ in range(calls):
        start = time.thread_time_ns()
        decide(text)
        spent.append((time.thread_time_ns() - start) / 1e6)
    return sorted(spent)


def main() -> None:
    """Print one line per prompt."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=400)
    options = parser.parse_args()
    host = LiteLLMRouter()
    ours = shipped().classify
    print("| prompt (characters) | classifier | p50 ms | p99 ms |\n|---|---|---|---|")
    for name, text in prompts().items():
        for who, asked in (("ours", text), ("ours, whole conversation", conversation(text))):
            spent = measure(ours, asked, options.calls)
            print(f"| {name} | {who} | {spent[len(spent) // 2]:.3f} | {spent[int(0.99 * len(spent))]:.3f} |")
        spent = measure(host, text, 3 if len(text) > 10_000 else 30)
        print(f"| {name} | LiteLLM complexity router | {spent[len(spent) // 2]:.3f} | {spent[-1]:.3f} |")


if __name__ == "__main__":
    main()
