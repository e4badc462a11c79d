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
from neuronode_router.classifier.training.corpus import Example
from neuronode_router.classifier.training.fit import Fitted, Recipe, fit
from neuronode_router.classifier.weights import Calibration, NumpyEngine, Weights

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


def serving(fitted: Fitted, calibration: Calibration = IDENTITY) -> Classifier:
    """Return a classifier over fitted weights, quantised as they would be shipped."""
    table = fitted.quantised()
    return Classifier(lexicon.shipped(), Weights(table, NumpyEngine(table), calibration, "", {}))


def folds(families: Sequence[str], count: int) -> list[frozenset[str]]:
    """Return the families dealt into folds of about the same number of examples; no family is in two."""
    sizes = {name: families.count(name) for name in sorted(set(families))}
    dealt: list[list[str]] = [[] for _ in range(min(count, len(sizes)))]
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        min(dealt, key=lambda fold: sum(sizes[other] for other in fold)).append(name)
    return [frozenset(fold) for fold in dealt]


def predict(
    asked: Sequence[Example],
    trainable: Sequence[Example],
    *,
    count: int = 6,
    recipe: Recipe = Recipe(),  # noqa: B008
) -> list[Prediction]:
    """Return a prediction for each of `asked`, by weights trained on those of `trainable` from other families."""
    found: list[Prediction] = []
    for fold in folds([example.source for example in asked], count):
        fitted = fit([example for example in trainable if example.source not in fold], recipe=recipe)
        unseen = serving(fitted)
        found += [Prediction(item, unseen.classify(item.text)) for item in asked if item.source in fold]
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
