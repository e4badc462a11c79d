"""Retrain on one's own labelled prompts, and refuse weights that are no better than those in use.

Needs the extra `train`. It must not touch the weights in use: it writes a new folder, and the caller switches to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from neuronode_router.classifier import lexicon, weights
from neuronode_router.classifier.classifier import Classifier
from neuronode_router.classifier.training import artefact, labelled
from neuronode_router.classifier.training.corpus import Example, sample
from neuronode_router.classifier.training.fit import Fitted, Recipe, fit
from neuronode_router.classifier.training.heldout import serving, task_name

HELD_OUT = 5
"""One of so many labelled prompts is kept to judge by."""
LEAST = 25
"""Fewer held-out prompts than this decide nothing."""
PHRASE_LOSS = 0.02
"""How much accuracy on general phrases may be lost for a gain on one's own prompts."""
UNSEEN_SEED = 99


@dataclass(frozen=True, slots=True)
class Verdict:
    """How new weights compare with those in use, on prompts neither was trained on."""

    accepted: bool
    digest: str
    """sha256 of the new table when accepted, else empty."""
    held_out: int
    before: float
    """Accuracy of the weights in use, 0 to 1."""
    after: float
    why: str


def retrain(history: Path, into: Path, *, in_use: weights.Weights, recipe: Recipe = Recipe()) -> Verdict:  # noqa: B008
    """Fit on phrases and on four fifths of the history, judge on the rest, and write the artefact if it is better.

    `history` is JSON lines with `text` and `label`. Raises `LabelError` when it cannot be used.
    """
    examples = labelled.examples(labelled.read_rows(history))
    kept = [example for example in examples if crc32(example.text.encode()) % HELD_OUT == 0]
    if len(kept) < LEAST:
        raise labelled.LabelError(
            f"{history.name} leaves {len(kept)} prompts to judge by; {LEAST} are needed.",
            mend=f"Label more prompts: about {LEAST * HELD_OUT} in all.",
        )
    fitted = fit([example for example in examples if example not in kept], recipe=recipe)
    fitted = _with_difficulty(fitted, in_use)
    now, new = Classifier(lexicon.shipped(), in_use), serving(fitted, in_use.calibration)
    before, after = accuracy(now, kept), accuracy(new, kept)
    why = _objection(before, after, now, new)
    if why:
        return Verdict(False, "", len(kept), before, after, why)
    about = {"trained_on": {"own_prompts": len(examples) - len(kept)}, "parent": in_use.digest}
    artefact.write(into, fitted, in_use.calibration, about)
    return Verdict(
        True, weights.load(into).digest, len(kept), before, after, "better on the held-out prompts"
    )


def accuracy(classifier: Classifier, examples: Sequence[Example]) -> float:
    """Return the share of tasks that are right, 0 to 1."""
    right = sum(classifier.classify(item.text).task.value == task_name(item.label) for item in examples)
    return right / len(examples)


def _objection(before: float, after: float, now: Classifier, new: Classifier) -> str:
    """Return why the new weights must not be used, or an empty text."""
    if after <= before:
        return "no better on the held-out prompts"
    general = [item for item in sample(UNSEEN_SEED, per_phrase=1) if item.label != "document"]
    if accuracy(new, general) < accuracy(now, general) - PHRASE_LOSS:
        return "worse on general phrases"
    return ""


def _with_difficulty(fitted: Fitted, in_use: weights.Weights) -> Fitted:
    """Keep the difficulty in use: a history of tasks says nothing about it."""
    table, bias = fitted.table.copy(), fitted.bias.copy()
    table[:, weights.DIFFICULTY] = in_use.table.column(weights.DIFFICULTY)
    bias[weights.DIFFICULTY] = in_use.table.bias[weights.DIFFICULTY]
    return Fitted(table, bias, fitted.known)
