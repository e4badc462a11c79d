"""Harm on whole conversations: how often a tier is too cheap or too dear for what is asked, and what it costs.

Rows name every tier that would do (`ok_tiers`) and every task (`ok_tasks`). It must not know how a way decides.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.classifier.adapter import classify_messages
from benchmarks.classifier.baselines import LiteLLMRouter, plan
from neuronode_router.domain import TIERS, Tier

COST: Mapping[str, float] = {Tier.FAST.value: 1.0, Tier.MEDIUM.value: 3.0, Tier.COMPLEX.value: 10.0}
"""Of one answer, in units of the small model's: the plan's factors, and a middle one."""
SHORT, LONG = 120, 400
"""Characters of the last turn below which "length" takes the light tier, and above which the heavy one."""

Row = Mapping[str, Any]
Decide = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one conversation."""

    task_right: bool
    step: int
    """Below 0 too cheap by so many tiers, above 0 too dear."""
    hard: bool
    """The light tier does not do."""
    tier: str


def judge(row: Row, said: Mapping[str, Any]) -> Judged:
    """Return how an answer meets what its row allows."""
    allowed = [TIERS.index(Tier(tier)) for tier in row["ok_tiers"]]
    tier = TIERS.index(Tier(said["tier"]))
    step = min(0, tier - min(allowed)) + max(0, tier - max(allowed))
    return Judged(said["task_type"] in row["ok_tasks"], step, min(allowed) > 0, str(said["tier"]))


def report(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the tables: every way on all rows, and ours by kind."""
    ours = [judge(row, classify_messages(row["messages"])) for row in rows]
    yield f"\nHarm on {len(rows)} conversations (system prompts, follow-ups, background prompts, single turns):\n"
    yield "| way | task | tier | too cheap | too dear | hard sent to the light tier | mean cost |"
    yield "|---|---|---|---|---|---|---|"
    yield _line("ours, shipped", ours)
    for name, decide in _ways([item.tier for item in ours]).items():
        yield _line(name, [judge(row, decide(row["messages"])) for row in rows])
    yield "\n| ours by kind | task | tier | too cheap | too dear | hard sent to the light tier | mean cost |"
    yield "|---|---|---|---|---|---|---|"
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for row, item in zip(rows, ours, strict=True):
        kinds[row["kind"]].append(item)
    for kind in sorted(kinds, key=lambda kind: -len(kinds[kind])):
        yield _line(f"{kind} ({len(kinds[kind])})", kinds[kind])


def _line(name: str, judged: Sequence[Judged]) -> str:
    def share(found: Sequence[bool]) -> str:
        return f"{sum(found) / len(found):.3f}" if found else "-"

    cost = sum(COST[item.tier] for item in judged) / len(judged)
    cells = [
        share([item.task_right for item in judged]),
        share([item.step == 0 for item in judged]),
        share([item.step < 0 for item in judged]),
        share([item.step > 0 for item in judged]),
        share([item.tier == Tier.FAST for item in judged if item.hard]),
        f"{cost:.2f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _ways(tiers: Sequence[str]) -> dict[str, Decide]:
    host, dice = LiteLLMRouter(), random.Random(0)

    def fixed(tier: str) -> Decide:
        return lambda _: {"task_type": None, "tier": tier}

    def drawn(_: object) -> Mapping[str, Any]:
        return {"task_type": None, "tier": dice.choice(tiers)}

    return {
        "LiteLLM complexity router": lambda messages: host(_last(messages)),
        "the plan's lists": lambda messages: plan(_last(messages)),
        "length of the last turn": lambda messages: _by_length(len(_last(messages))),
        "random, our shares": drawn,
        **{f"always {tier}": fixed(tier.value) for tier in TIERS},
    }


def _by_length(characters: int) -> Mapping[str, Any]:
    place = (characters > SHORT) + (characters > LONG)
    return {"task_type": None, "tier": TIERS[place].value}


def _last(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last user turn."""
    content = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
