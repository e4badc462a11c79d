"""What reading a request costs: CPU of the canonical reading alone and of a whole `auto` decision, by wire and length.

    python -m benchmarks.reading [--requests N]

Printed are medians in milliseconds for 400 and 100,000 characters of each wire's shapes, and their ratios. The long
ones are one turn, and a conversation of 250 turns; `auto` is the decision of a worker with a classification that was
never seen before.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.admission import FILLER, snapshot, statuses
from benchmarks.load import machine, percentile
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.classifier import shipped
from neuronode_router.routing.conversation import read

SHORT, LONG, TURNS = 400, 100_000, 250
TARGET_MS, TARGET_RATIO = 0.4, 3.0
WARM_UP = 50

Body = dict[str, Any]
Wire = Callable[[list[str]], Body]


def _parts(texts: list[str], kind: str) -> list[Body]:
    roles = itertools.cycle(("user", "assistant"))
    return [{"role": next(roles), "content": [{"type": kind, "text": text}]} for text in texts]


def _gemini(texts: list[str]) -> Body:
    roles = itertools.cycle(("user", "model"))
    return {"contents": [{"role": next(roles), "parts": [{"text": text}]} for text in texts]}


def _agent(texts: list[str]) -> Body:
    """Return a loop of tools: calls and results in turn, a preamble in pieces, and twenty tools."""
    calls = [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"path": "a"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": ""}]},
    ]
    loop = [
        calls[0] if number % 2 else {"role": "user", "content": [calls[1]["content"][0] | {"content": text}]}
        for number, text in enumerate(texts)
    ]
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "Where it is."}}}
    return {
        "system": [{"type": "text", "text": "You help with code."}],
        "messages": [{"role": "user", "content": "Mend the build."}, *loop],
        "tools": [{"name": f"tool_{number}", "input_schema": schema} for number in range(20)],
    }


WIRES: Mapping[str, Wire] = {
    "chat": lambda texts: {
        "messages": [
            {"role": "assistant" if number % 2 else "user", "content": text}
            for number, text in enumerate(texts)
        ]
    },
    "chat, parts": lambda texts: {"messages": _parts(texts, "text")},
    "text": lambda texts: {"prompt": "".join(texts)},
    "responses": lambda texts: {"instructions": "Be brief.", "input": _parts(texts, "input_text")},
    "messages": lambda texts: {"system": "Be brief.", "messages": _parts(texts, "text"), "max_tokens": 900},
    "messages, agent": _agent,
    "gemini": _gemini,
}


def texts(length: int, turns: int, word: str) -> list[str]:
    """Return so many texts of so many characters together, begun by a word of their own."""
    text = (f"Fasse Brief {word} zusammen:\n" + FILLER * (length // len(FILLER) + 1))[:length]
    size = length // turns
    return [text[number * size : (number + 1) * size] for number in range(turns)]


def median(action: Callable[[Body], object], wire: Wire, length: int, *, turns: int, requests: int) -> float:
    """Return the median CPU milliseconds of `action` over bodies no two of which are alike."""
    found = []
    for letters in itertools.islice(itertools.product("bcdfghjk", repeat=5), WARM_UP + requests):
        body = wire(texts(length, turns, "".join(letters)))
        begun = time.thread_time_ns()
        action(body)
        found.append((time.thread_time_ns() - begun) / 1e6)
    return percentile(found[WARM_UP:], 50)


def main() -> None:
    """Print medians and ratios, and the worst of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=300)
    requests = parser.parse_args().requests
    stand, state = statuses(), snapshot()
    auto = AutoRouter(classifier=shipped(), statuses=lambda: stand)
    decision, caller = state.decisions["auto"], Caller("caller")

    def decide(body: Body) -> object:
        return auto.consider(decision, body, snapshot=state, caller=caller)

    print(f"CPU milliseconds, medians of {requests} ({machine()})")
    print(f"{'':>18}{'':>8}{SHORT:>10}{LONG:>10}{f'{TURNS} turns':>12}{'ratio':>8}")
    worst, ratios = 0.0, []
    for what, action in (("reading", read), ("auto", decide)):
        for name, wire in WIRES.items():
            short = median(action, wire, SHORT, turns=1, requests=requests)
            one = median(action, wire, LONG, turns=1, requests=requests)
            many = median(action, wire, LONG, turns=TURNS, requests=requests)
            ratio = max(one, many) / short
            print(f"{name:>18}{what:>8}{short:>10.3f}{one:>10.3f}{many:>12.3f}{ratio:>8.2f}", flush=True)
            if what == "auto":
                worst, ratios = max(worst, short, one, many), [*ratios, ratio]
    print(
        f"auto: worst median {worst:.3f} (target {TARGET_MS}), worst ratio {max(ratios):.2f} ({TARGET_RATIO})"
    )


if __name__ == "__main__":
    main()
