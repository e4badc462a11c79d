"""What outcomes are worth: traffic is replayed whose small model has hidden strengths, and regret is counted.

    python -m benchmarks.routing.learning DATA_FOLDER

Prompts and their published outcomes are those of routing.jsonl. For each kind of request, as the classifier names it,
the small model's log odds of being right are moved by a hidden number that is drawn anew for each run, as a model does
better or worse on a company's own documents than on a benchmark. A share of the small model's answers is judged;
nothing is known of what it would have said to the others, but for the few it is tried on. Regret is what a request
costs more, by the profile's prices of errors, than under somebody who knows every chance. Writes learning.md.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from neuronode_router.classifier import shipped
from neuronode_router.classifier.training import labelled
from neuronode_router.domain.names import Tier
from neuronode_router.routing.sufficiency import (
    NOTHING_SEEN,
    OutcomeCounts,
    RequestKind,
    Sufficiency,
    newest,
    suffices,
)

HERE = Path(__file__).parent
TOO_CHEAP, TOO_DEAR = 1.5, 1.0
REQUESTS, DRIFT_AT = 20_000, 10_000
WINDOW = 500
SPAN = 50
"""Requests after which what was seen is used."""
JUDGED = 0.3
"""Share of the small model's answers of which anybody says whether they were good."""
STRENGTH = 2.0
"""Standard deviation of the hidden numbers, in log odds."""
LOSS = 4.0
"""By how much the commonest kind gets worse, in log odds, at the moment of the drift."""
RUNS = 20

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Prompts with what is said and known of them."""

    chances: Sequence[tuple[float, float, float]]
    labels: Sequence[str]
    small: Floats
    """Log odds that the small model is right, before the hidden numbers."""
    large: Floats
    """Chance that the large one is."""


@dataclass(slots=True)
class Learner:
    """The product's learning over a stream of requests."""

    explore: random.Random
    known: Sufficiency = NOTHING_SEEN
    _spans: dict[RequestKind, list[OutcomeCounts]] = field(default_factory=lambda: defaultdict(list))
    _span: dict[RequestKind, OutcomeCounts] = field(default_factory=lambda: defaultdict(OutcomeCounts))

    def small(self, label: str, chances: Sequence[float]) -> tuple[bool, float]:
        """Return whether the small model answers, and the chance that the text gave it."""
        kind = RequestKind("balanced", label)
        enough, by_text = (
            suffices(each, Tier.FAST) for each in (self.known.adjusted(kind, chances), chances)
        )
        alone = Tier.FAST if is_worth_it(by_text) else Tier.MEDIUM
        tried = self.explore.random() < self.known.tried_share(kind, Tier.FAST, by_text=alone)
        return is_worth_it(enough) or tried, by_text

    def saw(self, label: str, *, good: bool, expected: float) -> None:
        """Note an outcome of the small model."""
        kind = RequestKind("balanced", label)
        self._span[kind] = self._span[kind].plus(OutcomeCounts(float(good), float(not good), expected))

    def learn(self) -> None:
        """Use what was seen from now on."""
        for kind, counts in self._span.items():
            self._spans[kind].insert(0, counts)
        self._span.clear()
        self.known = Sufficiency({(kind, Tier.FAST): newest(spans) for kind, spans in self._spans.items()})


def main() -> None:
    """Replay and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    traffic = read(labelled.read_rows(parser.parse_args().data / "routing.jsonl"))
    runs = [replay(traffic, seed) for seed in range(RUNS)]
    text = "\n".join(report(runs)) + "\n"
    (HERE / "learning.md").write_text(text)
    print(text)


def read(rows: Sequence[Mapping[str, Any]]) -> Traffic:
    """Classify every prompt."""
    classifier = shipped()
    said = [classifier.classify(row["prompt"]) for row in rows]
    right = np.array([[row["correct_small"], row["correct_large"]] for row in rows], dtype=float)
    chance = 0.1 + 0.8 * right
    return Traffic(
        chances=[one.chances or (1.0, 0.0, 0.0) for one in said],
        labels=[one.detail or one.task.value for one in said],
        small=np.log(chance[:, 0] / (1 - chance[:, 0])),
        large=chance[:, 1],
    )


def replay(traffic: Traffic, seed: int) -> Mapping[str, Floats]:
    """Return the regret of each request by who decides."""
    draw = random.Random(seed)
    hidden = {label: draw.gauss(0.0, STRENGTH) for label in sorted(set(traffic.labels))}
    commonest = max(hidden, key=traffic.labels.count)
    learner = Learner(random.Random(seed + 1))
    regret: dict[str, list[float]] = defaultdict(list)
    for number in range(REQUESTS):
        if number == DRIFT_AT:
            hidden[commonest] -= LOSS
        row = draw.randrange(len(traffic.labels))
        label, chances = traffic.labels[row], traffic.chances[row]
        right = float(1 / (1 + np.exp(-(traffic.small[row] + hidden[label]))))
        small, expected = learner.small(label, chances)
        if small and draw.random() < JUDGED:
            learner.saw(label, good=draw.random() < right, expected=expected)
        if number % SPAN == SPAN - 1:
            learner.learn()
        prices = {True: TOO_CHEAP * (1 - right) * float(traffic.large[row]), False: TOO_DEAR * right}
        chosen = {"outcomes": small, "text": is_worth_it(expected), "small": True, "large": False}
        for name, taken in chosen.items():
            regret[name].append(prices[taken] - min(prices.values()))
    return {name: np.array(values) for name, values in regret.items()}


def is_worth_it(enough: float) -> bool:
    """Return whether the small model costs less, by the chance that it suffices."""
    return TOO_CHEAP * (1 - enough) <= TOO_DEAR * enough


def report(runs: Sequence[Mapping[str, Floats]]) -> Iterator[str]:
    """Yield the results as Markdown."""
    yield "# What outcomes are worth (simulated)"
    yield ""
    yield f"`python -m benchmarks.routing.learning DATA`: {RUNS} runs of {REQUESTS} requests, means; {JUDGED:.0%} of"
    yield "the small model's answers are judged."
    yield f"At request {DRIFT_AT} the commonest kind of request gets harder for it by {LOSS} in log odds."
    yield "Regret per request, in prices of errors (too cheap 1.5, too dear 1), by request:"
    yield ""
    yield "| decided by | " + " | ".join(f"to {end}" for _, end in _parts()) + " |"
    yield "|---" * (1 + len(_parts())) + "|"
    for name in ("outcomes", "text", "small", "large"):
        means = [np.mean([run[name][begin:end].mean() for run in runs]) for begin, end in _parts()]
        yield f"| {_NAMES[name]} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |"
    yield ""
    for rival, words in (("text", "the text alone"), ("fixed", "the better fixed tier")):
        found = sorted(_below(run, rival) for run in runs)
        yield (
            f"Outcomes fall below {words} (mean over {WINDOW} requests) after {median(found):.0f} requests in the"
            f" median run; in {sum(n < DRIFT_AT for n in found)} of {len(found)} runs before the drift."
        )
    back = sorted(_recovered(run) for run in runs)
    yield f"After the drift they are back within a tenth of where they end after {median(back):.0f} requests (median)."


_NAMES = {
    "outcomes": "text and outcomes",
    "text": "text alone",
    "small": "always small",
    "large": "always large",
}


def _parts() -> list[tuple[int, int]]:
    ends = [500, 1000, 2000, 5000, DRIFT_AT, DRIFT_AT + 500, DRIFT_AT + 2000, REQUESTS]
    return list(zip([0, *ends], ends, strict=False))


def _windows(regret: Floats) -> Floats:
    means: Floats = regret[: len(regret) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1)
    return means


def _below(run: Mapping[str, Floats], rival: str) -> int:
    """Return after how many requests the learner's window is below its rival's, and the mean from there on too."""
    theirs = (
        run[rival]
        if rival != "fixed"
        else min(run["small"], run["large"], key=lambda one: one[:DRIFT_AT].mean())
    )
    ours, other = run["outcomes"][:DRIFT_AT], theirs[:DRIFT_AT]
    for number, (mine, his) in enumerate(zip(_windows(ours), _windows(other), strict=True)):
        if mine < his and ours[number * WINDOW :].mean() < other[number * WINDOW :].mean():
            return (number + 1) * WINDOW
    return DRIFT_AT


def _recovered(run: Mapping[str, Floats]) -> int:
    after = _windows(run["outcomes"][DRIFT_AT:])
    level = 1.1 * after[-6:].mean() + 0.01
    return next((number + 1) * WINDOW for number, mean in enumerate(after) if mean <= level)


if __name__ == "__main__":
    main()
