"""The shipped classifier behind the interface of the data folder's `score.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuronode_router.classifier import Classification, shipped
from neuronode_router.classifier import Classifier as _Classifier
from neuronode_router.domain.names import Tier


def classify(text: str) -> dict[str, object]:
    """Return task, tier and a score that ranks requests by what a large model gains."""
    return answer(shipped(), text)


def classify_messages(messages: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Return task and tier of a conversation, the tier as a profile without wishes of its own would use it."""
    said = shipped().classify(messages)
    return {"task_type": said.task.value, "tier": used_tier(said).value}


def answer(classifier: _Classifier, text: str) -> dict[str, object]:
    """Return what a classifier says in the form that `score.py` reads."""
    said = classifier.classify(text)
    return {"task_type": said.task.value, "tier": said.tier.value, "score": said.gain}


def used_tier(said: Classification) -> Tier:
    """Return the tier that is really used: what is uncertain goes to the middle one."""
    return said.tier if said.confident else Tier.MEDIUM
