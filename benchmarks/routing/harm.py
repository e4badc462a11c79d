"""Harm on whole conversations: how often a tier is too cheap or too dear for what is asked, and what it costs.

Rows name every tier that would do (`ok_tiers`) and every task (`ok_tasks`). It must not know how a way decides.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import normalize

from benchmarks.classifier.adapter import classify_messages
from benchmarks.classifier.baselines import LiteLLMRouter, plan
from neuronode_router.classifier.evaluation import COSTS, Judged, by_length, judge
from neuronode_router.classifier.training.fit import cut
from neuronode_router.domain.names import TIERS, Tier

NEIGHBOURS = 20
OWN = "own"
"""The source of rows that were written for the set."""

Row = Mapping[str, Any]
Decide = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


def judged_row(row: Row, said: Mapping[str, Any]) -> tuple[bool, Judged]:
    """Return whether the task is one that its row allows, and how the tier meets the row's."""
    found = judge(Tier(said["tier"]), [Tier(tier) for tier in row["ok_tiers"]])
    return said["task_type"] in row["ok_tasks"], found


def report(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the tables: every way on all rows, and ours by kind."""
    ours = [judged_row(row, classify_messages(row["messages"])) for row in rows]
    yield f"\nHarm on {len(rows)} conversations (system prompts, follow-ups, background prompts, single turns):\n"
    yield "| way | task | tier | too cheap | too dear | hard sent to the light tier | mean cost |"
    yield "|---|---|---|---|---|---|---|"
    yield _line("ours, shipped", ours)
    for name, decide in _ways([item.tier.value for _, item in ours]).items():
        yield _line(name, [judged_row(row, decide(row["messages"])) for row in rows])
    alike = zip(rows, neighbours(rows), strict=True)
    yield _line(f"{NEIGHBOURS} nearest last turns", [judged_row(row, said) for row, said in alike])
    yield "\n| ours by kind | task | tier | too cheap | too dear | hard sent to the light tier | mean cost |"
    yield "|---|---|---|---|---|---|---|"
    kinds: dict[str, list[tuple[bool, Judged]]] = defaultdict(list)
    for row, item in zip(rows, ours, strict=True):
        kinds[row["kind"]].append(item)
    for kind in sorted(kinds, key=lambda kind: -len(kinds[kind])):
        yield _line(f"{kind} ({len(kinds[kind])})", kinds[kind])


def neighbours(rows: Sequence[Row]) -> Iterator[Mapping[str, Any]]:
    """Yield for each row the tier and the task that most of the nearest other rows allow, by our features.

    A row that allows several has one voice for all of them together. Rows of one foreign source are left out together;
    those written for the set are alike in style and left out singly, which flatters this way.
    """
    pieces = cut([_last(row["messages"]) or " " for row in rows])
    matrix = normalize(pieces.matrix[pieces.window])
    alike = (matrix @ matrix.T).toarray()
    sources = np.array([row["id"] if row["source"] == OWN else row["source"] for row in rows])
    for number, row in enumerate(rows):
        others = np.flatnonzero(sources != row["source"])
        nearest = others[np.argsort(-alike[number, others], kind="stable")[:NEIGHBOURS]]
        near = [rows[each] for each in nearest]
        yield {
            "task_type": _most([each["ok_tasks"] for each in near]),
            "tier": _most([each["ok_tiers"] for each in near]),
        }


def _most(allowed: Sequence[Sequence[str]]) -> str:
    voices: dict[str, float] = defaultdict(float)
    for names in allowed:
        for name in names:
            voices[name] += 1 / len(names)
    return max(sorted(voices), key=voices.__getitem__)


def _line(name: str, judged: Sequence[tuple[bool, Judged]]) -> str:
    def share(found: Sequence[bool]) -> str:
        return f"{sum(found) / len(found):.3f}" if found else "-"

    cost = sum(COSTS[item.tier] for _, item in judged) / len(judged)
    cells = [
        share([task_right for task_right, _ in judged]),
        share([item.step == 0 for _, item in judged]),
        share([item.step < 0 for _, item in judged]),
        share([item.step > 0 for _, item in judged]),
        share([item.tier is Tier.FAST for _, item in judged if item.hard]),
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
        "length of the last turn": lambda messages: {
            "task_type": None,
            "tier": by_length(len(_last(messages))).value,
        },
        "random, our shares": drawn,
        **{f"always {tier}": fixed(tier.value) for tier in TIERS},
    }


def _last(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last user turn."""
    content = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
