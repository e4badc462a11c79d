"""Classify prompts, German and English, into task and tier: `classify(messages)`.

It must not know profiles, model groups, load or LiteLLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from neuronode_router.classifier import lexicon, weights
from neuronode_router.classifier.classification import (
    CONFIDENT,
    DEFAULT_TIER,
    Carrier,
    Classification,
    Layer,
    Task,
)
from neuronode_router.classifier.classifier import Classifier

__all__ = [
    "CONFIDENT",
    "DEFAULT_TIER",
    "Carrier",
    "Classification",
    "Classifier",
    "Layer",
    "Task",
    "classify",
    "shipped",
]


@cache
def shipped() -> Classifier:
    """Return the classifier with the shipped weights, loaded once. Raises `ArtefactRefused` when they were altered."""
    return Classifier(lexicon.shipped(), weights.load(weights.shipped_folder()))


def classify(messages: Sequence[Mapping[str, object]] | str) -> Classification:
    """Return what a conversation asks for, by the shipped classifier. Raises what `shipped` raises."""
    return shipped().classify(messages)
