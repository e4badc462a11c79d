"""Cost against quality, and harm, side by side: ours, LiteLLM's complexity router, the plan's lists, and simple ways.

    python -m benchmarks.routing.run DATA_FOLDER

Outcomes are published results of a small and a large language model on the same items (routing.jsonl of the data
folder), so nothing is generated here; harm is counted on its conversations (context.jsonl), whose rows name every
tier that would do, and on agent sessions that `agents.py` writes. Writes results.md and curves.svg beside itself; a few
minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.routing import agents, curves, harm, picture, ways
from benchmarks.routing.curves import Outcomes
from benchmarks.routing.ways import Row, Way
from neuronode_router.classifier import shipped
from neuronode_router.classifier.training import labelled

HERE = Path(__file__).parent
HELD_OUT, SHIPPED = "ours, held out", "ours, shipped"
TARGET = 0.59
LEAST = 60
"""Items that a source must have to be shown by itself."""


def main() -> None:
    """Measure every way and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    rows = labelled.read_rows(data / "routing.jsonl")
    texts = [row["prompt"] for row in rows]
    compared = [
        ways.held_out(HELD_OUT, rows),
        ways.ours(SHIPPED, shipped(), texts),
        *ways.others(texts),
        ways.neighbours("20 nearest prompts, held out", rows),
        ways.length("length", texts),
        ways.exams("exam and subject, held out", rows),
    ]
    outcomes = Outcomes(
        np.array([row["correct_small"] for row in rows], dtype=float),
        np.array([row["correct_large"] for row in rows], dtype=float),
    )
    harmed = harm.report(labelled.read_rows(data / "context.jsonl"))
    text = "\n".join([*report(compared, outcomes, rows), *harmed, *agents.report()]) + "\n"
    (HERE / "results.md").write_text(text)
    drawn = [way for way in compared if way.name != SHIPPED]
    marks = {
        way.name: (curves.cost(way.large), curves.quality(way.large, outcomes)) for way in drawn if way.tiers
    }
    picture.draw({way.name: way.score for way in drawn}, marks, outcomes, HERE / "curves.svg")
    print(text)


def report(compared: Sequence[Way], outcomes: Outcomes, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the results."""
    graded = len(list(labelled.plainly_open(rows)))
    yield f"{len(rows)} items that a small and a large language model tried; the small one costs 1, the large one 10."
    yield (
        f"`{HELD_OUT}`: the chances of both models fitted to two thirds of the rows, asked about the other third. "
        f"`{SHIPPED}`: the weights in the wheel, fitted to {graded} of these very rows: its figures flatter."
    )
    yield (
        "\nBy score: the hardest go to the large one first, over all shares (average performance gap recovered; "
        "random 0.500)."
    )
    yield f"Target for ours: {TARGET:.2f}, and never below random.\n"
    yield "| way | APGR [95 %] | most below random at any tenth |\n|---|---|---|"
    for way in compared:
        found = curves.interval(
            lambda chosen, way=way: curves.apgr(way.score[chosen], outcomes.take(chosen)),  # type: ignore[misc]
            len(rows),
        )
        yield f"| {way.name} | {found} | {curves.below_random(way.score, outcomes):.3f} |"
    yield "\nBy decision: the tier that an `auto` request is sent to, `complex` being the large one.\n"
    yield "| way | at the large one | mean cost | solved | over the random mix of that cost [95 %] |"
    yield "|---|---|---|---|---|"
    yield from decided(compared, outcomes)
    yield "\nAPGR by source, ours held out (a source is one kind of exam; few items make wide intervals):\n"
    names = " | ".join(way.name for way in compared if way.name != SHIPPED)
    yield f"| source | items | small | large | {names} |\n|---|---|---|---|" + "---|" * (len(compared) - 1)
    yield from by_source(compared, outcomes, rows)


def decided(compared: Sequence[Way], outcomes: Outcomes) -> Iterator[str]:
    """Yield a line for each way's decisions, for both extremes, and for who knew the answers."""
    nothing = np.zeros(len(outcomes), dtype=bool)
    known = (outcomes.large > outcomes.small).astype(bool)
    fixed = {"always small": nothing, "always large": ~nothing, "oracle": known}
    chosen = fixed | {way.name: way.large for way in compared if way.tiers}
    for name, large in chosen.items():
        gain = curves.interval(
            lambda rows, large=large: curves.over_random(large[rows], outcomes.take(rows)),  # type: ignore[misc]
            len(outcomes),
        )
        spent, solved = curves.cost(large), curves.quality(large, outcomes)
        yield f"| {name} | {large.mean():.3f} | {spent:.2f} | {solved:.3f} | {gain} |"


def by_source(compared: Sequence[Way], outcomes: Outcomes, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each source with enough items."""
    shown = [way for way in compared if way.name != SHIPPED]
    for source in sorted({row["source"] for row in rows}):
        own = np.array([number for number, row in enumerate(rows) if row["source"] == source])
        part = outcomes.take(own)
        if len(own) < LEAST or part.small.mean() == part.large.mean():
            continue
        figures = " | ".join(f"{curves.apgr(way.score[own], part):.3f}" for way in shown)
        solved = f"{part.small.mean():.3f} | {part.large.mean():.3f}"
        yield f"| {source.partition(' (')[0]} | {len(own)} | {solved} | {figures} |"


if __name__ == "__main__":
    main()
