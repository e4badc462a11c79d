"""Score the classifier on the shared data, every prompt by weights that never saw its source; others beside it.

Usage: python -m benchmarks.classifier.run DATA_FOLDER [--folds 6]. Writes results.md and confusion_*.svg beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.classifier import figures
from benchmarks.classifier.adapter import answer
from benchmarks.classifier.baselines import LiteLLMRouter, plan
from neuronode_router.classifier import Classifier, Layer, weights
from neuronode_router.classifier.training import heldout, labelled
from neuronode_router.classifier.training.corpus import LANGUAGES, documents
from neuronode_router.classifier.training.fit import Recipe, fit
from neuronode_router.classifier.training.heldout import Prediction

HERE = Path(__file__).parent
Row = Mapping[str, Any]
Answers = list[dict[str, Any]]
ATTACHED = 2000


@dataclasses.dataclass(frozen=True, slots=True)
class Fold:
    """The prompts of some families, and a classifier that saw none of them."""

    rows: list[Row]
    unseen: Classifier


def make_folds(rows: Sequence[Row], count: int) -> list[Fold]:
    """Train one classifier per fold on the plainly open rows of all other families; the small decisions are shipped."""
    families = [labelled.family(row["source"]) for row in rows]
    decisions = weights.load(weights.shipped_folder()).decisions
    made = []
    for names in heldout.folds(families, count):
        others = [row for row, name in zip(rows, families, strict=True) if name not in names]
        fitted = fit(labelled.examples(labelled.plainly_open(others)), graded(others), Recipe())
        own = [row for row, name in zip(rows, families, strict=True) if name in names]
        made.append(Fold(own, heldout.serving(fitted, decisions=decisions)))
    return made


def graded(rows: Sequence[Row]) -> list[labelled.Graded]:
    """Return what openly licensed prompts tell of difficulty."""
    return labelled.graded(labelled.plainly_open(rows), [])


def predictions(fold: Fold) -> list[Prediction]:
    """Return the raw predictions of a fold."""
    asked = labelled.examples(fold.rows)
    return [Prediction(example, fold.unseen.classify(example.text)) for example in asked]


def calibrated(parts: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    """Return every fold's predictions with confidences calibrated on the other folds only."""
    done = []
    for number, part in enumerate(parts):
        others = [item for other, items in enumerate(parts) if other != number for item in items]
        fitted = heldout.calibrate(others)
        for item in part:
            sure = fitted(item.said.confidence) if item.said.source is Layer.TRAINED else item.said.confidence
            done.append(Prediction(item.example, dataclasses.replace(item.said, confidence=sure)))
    return done


def attach(text: str, lang: str, rng: random.Random, *, before: bool) -> str:
    """Return the prompt with ordinary text of `ATTACHED` characters before or after it."""
    lines = documents(lang)
    rng.shuffle(lines)
    document = " ".join(lines)[:ATTACHED]
    return f"{document}\n\n{text}" if before else f"{text}\n\n{document}"


def table(name: str, rows: Sequence[Row], answers: Answers) -> list[str]:
    """Return the lines of one classifier: task and tier figures by language."""
    lines = []
    for lang in (*LANGUAGES, "all"):
        chosen = [
            (row, said) for row, said in zip(rows, answers, strict=True) if lang in ("all", row["lang"])
        ]
        own = [row for row, _ in chosen]
        tiers = figures.tier_by_policy(own, [said["tier"] for _, said in chosen])
        task = "-"
        if chosen[0][1]["task_type"]:
            want, said = [figures.wanted(row) for row in own], [said["task_type"] for _, said in chosen]
            right = [a == b for a, b in zip(want, said, strict=True)]
            task = f"{figures.accuracy(own, right)}, macro-F1 {figures.macro_f1(want, said):.3f}"
        lines.append(f"| {name} | {lang} | {len(own)} | {task} | {tiers} |")
    return lines


def sources(rows: Sequence[Row], answers: Answers, least: int = 10) -> list[str]:
    """Return accuracy by source family, the worst first."""
    grouped: dict[str, list[bool]] = defaultdict(list)
    for row, said in zip(rows, answers, strict=True):
        grouped[labelled.family(row["source"])].append(said["task_type"] == figures.wanted(row))
    ranked = sorted((float(np.mean(ok)), name, len(ok)) for name, ok in grouped.items() if len(ok) >= least)
    return [f"| {name} | {size} | {mean:.3f} |" for mean, name, size in ranked]


def efforts(prompts: Sequence[Row], folds: Sequence[Fold]) -> list[str]:
    """Return, by source with light and heavy prompts, how well the effort ranks them: no fold saw the source."""
    unseen = {labelled.family(row["source"]): fold.unseen for fold in folds for row in fold.rows}
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for row in prompts:
        family = labelled.family(row["source"])
        if row["tier"] in ("fast", "complex") and family in unseen:
            said = unseen[family].classify(row["text"])
            found[family].append((said.difficulty, row["tier"] == "complex"))
    lines = []
    for family, pairs in sorted(found.items()):
        score, heavy = zip(*pairs, strict=True)
        if 0 < sum(heavy) < len(heavy):
            lines.append(f"| {family} | {len(heavy)} | {sum(heavy)} | {figures.auc(score, heavy):.3f} |")
    return lines


def robustness(folds: Sequence[Fold]) -> list[str]:
    """Return the share of the plain accuracy that stays with a document attached."""

    def hits(change: Callable[[Row], str]) -> float:
        return float(
            np.mean([f.unseen.classify(change(r)).task == figures.wanted(r) for f in folds for r in f.rows])
        )

    rng, plain = random.Random(0), hits(lambda row: row["text"])
    lines = []
    for before in (True, False):
        kept = hits(lambda row, before=before: attach(row["text"], row["lang"], rng, before=before))  # type: ignore[misc]
        lines.append(
            f"- {ATTACHED} characters {'before' if before else 'after'}: {kept:.3f}, {kept / plain:.3f} of plain"
        )
    return lines


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=int, default=6)
    options = parser.parse_args()
    prompts = labelled.read_rows(options.data / "prompts.jsonl")
    made = make_folds(prompts, options.folds)
    folds = [
        Fold([row for row in fold.rows if row["task_type"] or row["kind"]], fold.unseen) for fold in made
    ]
    rows = [row for fold in folds for row in fold.rows]
    ours: Answers = [answer(fold.unseen, row["text"]) for fold in folds for row in fold.rows]
    sure = calibrated([predictions(fold) for fold in folds])
    host = LiteLLMRouter()
    confident = [item.right for item in sure if item.said.confidence >= 0.9]
    doubtful = [item.right for item in sure if not item.said.confident]
    want, said = [figures.wanted(row) for row in rows], [item["task_type"] for item in ours]
    lines = [
        f"Task and tier of {len(rows)} prompts; ours by weights that saw no prompt of the same source family "
        f"({options.folds} folds of families).",
        "",
        "| classifier | language | prompts | task accuracy | tier by policy |",
        "|---|---|---|---|---|",
        *table("ours, unseen sources", rows, ours),
        *table("the plan's lists", rows, [plan(row["text"]) for row in rows]),
        *table("LiteLLM complexity router", rows, [host(row["text"]) for row in rows]),
        "",
        "| source family | prompts | task accuracy, unseen |",
        "|---|---|---|",
        *sources(rows, ours),
        "",
        f"- expected calibration error on unseen sources: {heldout.calibration_error(sure):.3f}",
        f"- confidence >= .9 on {len(confident) / len(sure):.2f} of prompts: {np.mean(confident):.3f} right; "
        f"not confident on {len(doubtful) / len(sure):.2f}: {np.mean(doubtful):.3f} right",
        *robustness(folds),
        "",
        "| light or heavy, source unseen | prompts | heavy | AUC |",
        "|---|---|---|---|",
        *efforts(prompts, made),
        "",
        "Confusion on unseen sources (rows: asked for):",
        "",
        "```",
        figures.confusion(want, said),
        "```",
    ]
    for lang in LANGUAGES:
        own = [number for number, row in enumerate(rows) if row["lang"] == lang]
        figures.picture([want[i] for i in own], [said[i] for i in own], HERE / f"confusion_{lang}.svg")
    text = "\n".join(lines) + "\n"
    (HERE / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
