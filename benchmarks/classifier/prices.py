"""What the price of a tier too light buys: harm on conversations, and tiers of prompts whose source nobody trained on.

    python -m benchmarks.classifier.prices DATA_FOLDER

Conversations (context.jsonl) are asked of the shipped weights, prompts (prompts.jsonl) of weights that saw neither
their source's family nor a third of the phrase lines; the task of these is told, too. Fits three times: some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.classifier import figures
from neuronode_router.classifier import Classification, shipped
from neuronode_router.classifier.evaluation import COSTS, judge
from neuronode_router.classifier.training import decide, heldout, labelled
from neuronode_router.classifier.training.corpus import LANGUAGES
from neuronode_router.classifier.training.fit import Recipe
from neuronode_router.domain.names import Tier

PRICES = (1.0, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""Of one tier too light; one too heavy costs 1."""

Row = Mapping[str, Any]
Said = Sequence[tuple[Row, Classification]]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    conversations = labelled.read_rows(data / "context.jsonl")
    print(*harm([(row, shipped().classify(row["messages"])) for row in conversations]), sep="\n")
    print(*prompts(asked_unseen(data)), sep="\n")


def harm(said: Said) -> Iterator[str]:
    """Yield a line for each price: how the tiers that would be used meet those that would do."""
    yield "| price | tier | too cheap | too dear | hard sent to the light tier | mean cost |\n|---|---|---|---|---|---|"
    for price in PRICES:
        judged = [
            judge(
                found.tier_at(too_cheap=price, too_dear=1.0) if found.confident else Tier.MEDIUM,
                [Tier(tier) for tier in row["ok_tiers"]],
            )
            for row, found in said
        ]
        steps = np.array([item.step for item in judged])
        hard = np.array([item.hard for item in judged])
        light = np.array([item.tier is Tier.FAST for item in judged])
        cost = np.mean([COSTS[item.tier] for item in judged])
        yield (
            f"| {price:g} | {(steps == 0).mean():.3f} | {(steps < 0).mean():.3f} | {(steps > 0).mean():.3f} "
            f"| {light[hard].mean():.3f} | {cost:.2f} |"
        )


def asked_unseen(data: Path) -> Said:
    """Return every labelled prompt and what was said of it by weights that never saw its source."""
    rows = labelled.read_rows(data / "prompts.jsonl")
    outcomes = list(labelled.plainly_open(labelled.read_rows(data / "routing.jsonl")))
    open_rows = list(labelled.plainly_open(rows))
    folded = heldout.unseen(
        labelled.examples(rows),
        labelled.examples(open_rows),
        graded=labelled.graded(open_rows, outcomes),
        recipe=replace(Recipe(), seeds=Recipe().seeds[:1]),
    )
    cases = [item for number, fold in enumerate(folded) for item in decide.ask(number, fold.fitted)]
    decisions = decide.decisions(cases, decide.of_models(labelled.tried(outcomes)))
    by_text = {row["text"]: row for row in rows}
    return [(by_text[item.example.text], item.said) for item in heldout.predictions(folded, decisions)]


def prompts(said: Said) -> Iterator[str]:
    """Yield accuracy of the task by language, then the tiers of the plan's tasks by price."""
    for language in LANGUAGES:
        own = [(row, found) for row, found in said if row["lang"] == language]
        right = [found.task.value == figures.wanted(row) for row, found in own]
        yield f"\ntask, {language}: {figures.accuracy([row for row, _ in own], right)} of {len(own)}"
    yield "\n| price | language | prompts | tier by policy |\n|---|---|---|---|"
    for price in PRICES:
        for language in LANGUAGES:
            own = [(row, found) for row, found in said if row["lang"] == language and row["tier_policy"]]
            tiers = [found.tier_at(too_cheap=price, too_dear=1.0).value for _, found in own]
            met = figures.tier_by_policy([row for row, _ in own], tiers)
            yield f"| {price:g} | {language} | {len(own)} | {met} |"


if __name__ == "__main__":
    main()
