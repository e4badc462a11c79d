"""Predict every labelled prompt with weights that never saw its source, and fit the calibration to that.

Needs scikit-learn (extra `train`). It must not write files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from neuronode_router.classifier import lexicon
from neuronode_router.classifier.classification import KINDS, Classification, Layer
from neuronode_router.classifier.classifier import Classifier
from neuronode_router.classifier.decisions import Decisions
from neuronode_router.classifier.training.corpus import Example
from neuronode_router.classifier.training.decide import UNDECIDED
from neuronode_router.classifier.training.fit import Fitted, Recipe, fit
from neuronode_router.classifier.training.labelled import Graded
from neuronode_router.classifier.training.situations import FOLDS, in_fold
from neuronode_router.classifier.weights import Calibration, Weights

IDENTITY = Calibration((0.0, 1.0), (0.0, 1.0))
KNOTS = 12


@dataclass(frozen=True, slots=True)
class Prediction:
    """What weights that never saw the example's source said about it. `said.confidence` is the raw share."""

    example: Example
    said: Classification

    @property
    def right(self) -> bool:
        """Whether task (not detail) was right."""
        return self.said.task.value == task_name(self.example.label)


def task_name(label: str) -> str:
    """Return the task of a label: kinds are `other`."""
    return "other" if label in KINDS else label


def serving(
    fitted: Fitted, calibration: Calibration = IDENTITY, decisions: Decisions = UNDECIDED
) -> Classifier:
    """Return a classifier over fitted weights, quantised as they would be shipped."""
    return Classifier(lexicon.shipped(), Weights(fitted.quantised(), calibration, decisions, "", {}))


def folds(families: Sequence[str], count: int) -> list[frozenset[str]]:
    """Return the families dealt into folds of about the same number of examples; no family is in two."""
    sizes = {name: families.count(name) for name in sorted(set(families))}
    dealt: list[list[str]] = [[] for _ in range(min(count, len(sizes)))]
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        min(dealt, key=lambda fold: sum(sizes[other] for other in fold)).append(name)
    return [frozenset(fold) for fold in dealt]


@dataclass(frozen=True, slots=True)
class Unseen:
    """Examples, and weights that saw none of their families and none of the phrase lines of one fold."""

    fitted: Fitted
    asked: list[Example]


def unseen(
    asked: Sequence[Example],
    trainable: Sequence[Example],
    *,
    graded: Sequence[Graded] = (),
    recipe: Recipe = Recipe(),  # noqa: B008
) -> list[Unseen]:
    """Return `asked` dealt into folds of families, each with weights fitted to the rest."""
    found = []
    for number, fold in enumerate(folds([example.source for example in asked], FOLDS)):
        fitted = fit(
            [example for example in trainable if example.source not in fold],
            [item for item in graded if item.group not in fold],
            recipe,
            keep=lambda key, number=number: not in_fold(number)(key),  # type: ignore[misc]
        )
        found.append(Unseen(fitted, [item for item in asked if item.source in fold]))
    return found


def predictions(folded: Sequence[Unseen], decisions: Decisions) -> list[Prediction]:
    """Return a prediction for every example, by weights that never saw its family. Confidences are raw shares."""
    found: list[Prediction] = []
    for fold in folded:
        classifier = serving(fold.fitted, decisions=decisions)
        found += [Prediction(item, classifier.classify(item.text)) for item in fold.asked]
    return found


def calibrate(predictions: Sequence[Prediction]) -> Calibration:
    """Return the calibration that fits the trained layer's shares to how often it was right, each source alike."""
    trained = [item for item in predictions if item.said.source is Layer.TRAINED]
    share = np.array([item.said.confidence for item in trained])
    right = np.array([item.right for item in trained], dtype=float)
    isotonic = IsotonicRegression(y_min=0.02, y_max=0.99, out_of_bounds="clip").fit(share, right)
    raw = np.quantile(share, np.linspace(0, 1, KNOTS))
    return Calibration(tuple(float(r) for r in raw), tuple(float(c) for c in isotonic.predict(raw)))


def calibration_error(predictions: Sequence[Prediction], bins: int = 10) -> float:
    """Return the expected calibration error (ECE, equal-width bins) of already calibrated confidences, 0 to 1."""
    confidence = np.array([item.said.confidence for item in predictions])
    right = np.array([item.right for item in predictions], dtype=float)
    bucket = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[bucket == b].mean() - right[bucket == b].mean()) * (bucket == b).mean()
        for b in set(bucket)
    ]
    return float(sum(gaps))
