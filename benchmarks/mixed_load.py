"""The plan's table before and after: every query to the heavy deployment, or each to the tier that it needs.

    python -m benchmarks.mixed_load [--quick] [--queries N] [--clients N]

Real LiteLLM proxies in front of a latency model with real queues: three deployments of 200, 500 and 2500 ms that work
on one request at a time. Before: a bare LiteLLM that asks the heavy one for everything. After: `auto`, once with the
policy `stay` (a query waits for its own tier) and once with the default `down` (it goes on to a lighter one, where that
is free, rather than wait). Clients work through the same mix, all of it, so throughput counts the heavy queries too;
latencies under load include the queue.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import machine, percentile
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import OnOverload
from tests.support.place import Place, profile_text
from tests.support.proxy import MASTER_KEY, Proxy, bearer
from tests.support.upstream import Upstream

LATENCY_MS = {Tier.FAST: 200, Tier.MEDIUM: 500, Tier.COMPLEX: 2500}
STAYING = "balanced"
"""The profile whose queries wait for their own tier; the active one has the default policy."""
ARMS = {
    "70B only": f"tier_{Tier.COMPLEX}",
    f"auto, {OnOverload.STAY}": f"{STAYING}/auto",
    f"auto, {OnOverload.DOWN}": "auto",
}
QUERIES: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "sentiment": (
        8,
        (
            "Wie ist die Stimmung in diesem Text, bullish oder bearish: der DAX steigt weiter.",
            "What is the sentiment of this headline, bullish or bearish: earnings beat every forecast.",
            "Is this review positive or negative? I loved every minute of it.",
        ),
    ),
    "classification": (
        5,
        (
            "Klassifiziere diese E-Mail als Spam oder kein Spam: Sie haben gewonnen!",
            "Which category does this ticket belong to: billing, technical or other?",
        ),
    ),
    "RAG": (
        4,
        (
            "Was ist ein ETF?",
            "Wie funktioniert eine Optionsprämie?",
            "Why do bond prices fall when rates rise?",
        ),
    ),
    "trading": (
        3,
        (
            "Analysiere die Aktie von SAP und gib mir eine Prognose.",
            "What is your technical analysis of NVDA on the daily chart?",
        ),
    ),
}
"""By type: how many of twenty queries, and texts. The plan names no mix: this one is 65 % light, 20 % and 15 %."""
TARGET_RATIO = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TieredPlace(Place):
    """A place whose tiers are the latency model, described as an operator would."""

    def write(self) -> None:
        """Write everything, and the policy of one profile."""
        Place.write(self)
        file = self.profiles / f"{STAYING}.yaml"
        file.write_text(f"{profile_text(STAYING)}on_overload: {OnOverload.STAY}\n")

    def _deployment(self, group: str) -> dict[str, Any]:
        entry = Place._deployment(self, group)
        tier = next((tier for tier in Tier if group == f"tier_{tier}"), None)
        if tier is None:
            return entry
        latency = LATENCY_MS[tier]
        note = {"tier": tier.value, "avg_latency_ms": latency, "parallel": 1}
        params = {**entry["litellm_params"], "model": f"openai/{group}-slots-1-slow-{latency}"}
        return {**entry, "litellm_params": params, "model_info": {"neuronode": note}}


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered query."""

    kind: str
    seconds: float
    tier: str
    """The tier of the deployment that wrote the answer."""


@dataclass(slots=True)
class Arm:
    """What one way of asking measured: alone, and under load."""

    alone: dict[str, float] = field(default_factory=dict)
    """Median seconds by type, one query at a time."""
    loaded: list[Answered] = field(default_factory=list)
    minutes: float = 0.0
    """How long the whole mix took."""

    @property
    def per_minute(self) -> float:
        """Answered queries per minute under load."""
        return len(self.loaded) / self.minutes

    def of(self, kind: str) -> list[Answered]:
        """Return the answers of one type."""
        return [answered for answered in self.loaded if answered.kind == kind]


class Asker:
    """Asks one proxy under one name."""

    def __init__(self, session: aiohttp.ClientSession, name: str) -> None:
        self._session = session
        self._name = name
        self._texts = {kind: itertools.cycle(texts) for kind, (_, texts) in QUERIES.items()}

    async def ask(self, kind: str) -> Answered:
        """Send one query and read its answer. Raises when it failed."""
        body = {"model": self._name, "messages": [{"role": "user", "content": next(self._texts[kind])}]}
        began = time.perf_counter()
        async with self._session.post("/v1/chat/completions", json=body) as response:
            document = await response.json()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {document}")
        text: str = document["choices"][0]["message"]["content"]
        tier = text.removeprefix("tier_").partition("-")[0]
        return Answered(kind, time.perf_counter() - began, tier)

    async def alone(self, times: int) -> dict[str, float]:
        """Return the median seconds of each type, one query at a time."""
        found: defaultdict[str, list[float]] = defaultdict(list)
        for kind in [*QUERIES] * times:
            found[kind].append((await self.ask(kind)).seconds)
        return {kind: statistics.median(seconds) for kind, seconds in found.items()}

    async def load(self, clients: int, queries: int) -> list[Answered]:
        """Let `clients` work through the mix, all of it."""
        deck = [kind for kind, (share, _) in QUERIES.items() for _ in range(share)]
        random.Random(5).shuffle(deck)
        kinds = itertools.islice(itertools.cycle(deck), queries)
        found: list[Answered] = []

        async def one() -> None:
            for kind in kinds:  # one iterator for all clients
                found.append(await self.ask(kind))  # noqa: PERF401 each answer counts at once

        await asyncio.gather(*(one() for _ in range(clients)))
        return found


async def measure(proxy: Proxy, name: str, *, clients: int, queries: int, times: int) -> Arm:
    """Return what one arm measures on one proxy."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(proxy.url, headers=bearer(MASTER_KEY), timeout=timeout) as session:
        asker = Asker(session, name)
        await asker.ask("sentiment")  # lazy imports and caches
        alone, began = await asker.alone(times), time.perf_counter()
        loaded = await asker.load(clients, queries)
        return Arm(alone, loaded, (time.perf_counter() - began) / 60)


def report(arms: Mapping[str, Arm]) -> None:
    """Print the plan's table, and what the routed arms make of the throughput."""
    before, *_ = arms.values()
    print("\nmilliseconds: one query alone; p50 and p95 with the queue")
    print(f"{'query':16}" + "".join(f"{name:>30}" for name in arms))
    for kind in QUERIES:
        print(f"{kind:16}" + "".join(f"{_cell(arm, kind):>30}" for arm in arms.values()))
    print(f"{'queries / min':16}" + "".join(f"{arm.per_minute:>30.0f}" for arm in arms.values()))
    print()
    for name, arm in list(arms.items())[1:]:
        ratio, sentiment = arm.per_minute / before.per_minute, arm.alone["sentiment"]
        served = Counter(answered.tier for answered in arm.of("trading"))
        print(
            f"{name}: throughput x {ratio:.1f} (target {TARGET_RATIO:.0f}), sentiment alone "
            f"{sentiment / before.alone['sentiment']:.2f} of before (the plan: 0.08); trading was answered by "
            f"{dict(served)}"
        )


def _cell(arm: Arm, kind: str) -> str:
    loaded = [answered.seconds * 1000 for answered in arm.of(kind)]
    return f"{arm.alone[kind] * 1000:.0f}; {percentile(loaded, 50):.0f}, {percentile(loaded, 95):.0f}"


def main() -> None:
    """Run the arms one after the other and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two minutes instead of six")
    parser.add_argument(
        "--queries", type=int, help="how many each arm is asked; multiples of 20 keep the mix"
    )
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    queries, times = args.queries or (20 if args.quick else 80), 1 if args.quick else 3
    print(f"{queries} queries by {args.clients} clients ({machine()})", flush=True)
    arms: dict[str, Arm] = {}
    for name, group in ARMS.items():
        # A provider of its own for each arm: what the arm before left in the queues must not be in the way.
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            place = TieredPlace(directory=directory, upstream=stack.enter_context(Upstream()).url)
            proxy = stack.enter_context(Proxy(place, plugin=bool(arms)))
            arms[name] = asyncio.run(
                measure(proxy, group, clients=args.clients, queries=queries, times=times)
            )
    report(arms)


if __name__ == "__main__":
    main()
