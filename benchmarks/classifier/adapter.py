"""The shipped classifier behind the interface of the data folder's `score.py`."""

from __future__ import annotations

from neuronode_router.classifier import Classification, shipped
from neuronode_router.classifier import Classifier as _Classifier
from neuronode_router.classifier.tiers import LADDER

TIER_STEP = 0.1
"""How much a tier counts beside the difficulty: sorts requests alike in difficulty by what they ask for."""


def classify(text: str) -> dict[str, object]:
    """Return task, tier and a score that rises with difficulty."""
    return answer(shipped(), text)


def answer(classifier: _Classifier, text: str) -> dict[str, object]:
    """Return what a classifier says in the form that `score.py` reads."""
    said = classifier.classify(text)
    return {"task_type": said.task.value, "tier": said.tier.value, "score": score(said)}


def score(said: Classification) -> float:
    """Return how hard a request looks: rises with difficulty and tier."""
    return said.difficulty + TIER_STEP * LADDER.index(said.tier)
