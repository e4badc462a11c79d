"""The ways to route that are compared: ours (shipped and held out), the plan's lists, LiteLLM's complexity router,
the length of the prompt, and what became of the most similar prompts.

Each gives, per prompt, a score that ranks who goes to the large deployment first; some also a tier.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import normalize

from benchmarks.classifier.baselines import LiteLLMRouter, plan
from benchmarks.routing.curves import Floats
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.classifier import Classifier, weights
from neuronode_router.classifier.training import labelled
from neuronode_router.classifier.training.decide import of_models
from neuronode_router.classifier.training.fit import cut, of_outcomes
from neuronode_router.domain.names import AUTO, TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.routing.snapshot import Snapshot, build_snapshot

FOLDS = 3
NEIGHBOURS = 20
DRAWN = 20
"""How many items the mean that few are drawn towards counts as."""
Row = Mapping[str, Any]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Way:
    """What one way says of every prompt."""

    name: str
    score: Floats
    tiers: tuple[str, ...] = ()
    """Empty where the way only ranks."""

    @property
    def large(self) -> Any:
        """Which prompts go to the large deployment."""
        return np.array(self.tiers) == Tier.COMPLEX.value


class Decisions:
    """Tiers as an `auto` request gets them: `AutoRouter`, a profile with a group for each tier, nobody overloaded."""

    def __init__(self, classifier: Classifier) -> None:
        self._router = AutoRouter(classifier=classifier, statuses=dict)
        self._snapshot = snapshot()

    def tier(self, prompt: str) -> str:
        """Return the tier that a request with this prompt is sent to."""
        state = self._snapshot.state
        decision = self._snapshot.meanings[state.active][AUTO]
        body = {"messages": [{"role": "user", "content": prompt}]}
        routed = self._router.consider(decision, body, snapshot=self._snapshot, caller=Caller("benchmark"))
        assert routed.decision.tier is not None
        return routed.decision.tier.value


def ours(name: str, classifier: Classifier, prompts: Sequence[str]) -> Way:
    """Return what a classifier of ours says of every prompt."""
    decisions = Decisions(classifier)
    scores = [classifier.classify(prompt).gain for prompt in prompts]
    return Way(name, np.array(scores), tuple(decisions.tier(prompt) for prompt in prompts))


def held_out(name: str, outcomes: Sequence[Row]) -> Way:
    """Return how columns rank that never saw the row: each third by those fitted to the openly licensed other two.

    Nothing else is learned from: a third of the labelled prompts with a tier are these very items.
    """
    texts = [row["prompt"] for row in outcomes]
    pieces = cut(texts)
    matrix = pieces.matrix[pieces.window]
    scores = np.zeros(len(outcomes))
    for own, seen in _folds(outcomes):
        tried = labelled.tried(labelled.plainly_open([outcomes[number] for number in seen]))
        heads, (small, large) = of_outcomes(tried), of_models(tried)
        odds = {column: matrix[own] @ slopes + level for column, (slopes, level) in heads.items()}
        scores[own] = [
            large((of_large,)) - small((of_small,))
            for of_small, of_large in zip(
                odds[weights.SMALL_RIGHT].tolist(), odds[weights.LARGE_RIGHT].tolist(), strict=True
            )
        ]
    return Way(name, scores)


def neighbours(name: str, outcomes: Sequence[Row]) -> Way:
    """Return the mean gain of the most similar prompts of the other folds, by the same features."""
    pieces = cut([row["prompt"] for row in outcomes])
    matrix = normalize(pieces.matrix[pieces.window])
    gain = np.array([row["correct_large"] - row["correct_small"] for row in outcomes], dtype=float)
    scores = np.zeros(len(outcomes))
    for own, seen in _folds(outcomes):
        alike = (matrix[own] @ matrix[seen].T).toarray()
        nearest = np.argpartition(-alike, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        scores[own] = gain[seen][nearest].mean(axis=1)
    return Way(name, scores)


def exams(name: str, outcomes: Sequence[Row]) -> Way:
    """Return the mean gain on an item's exam and subject in the other folds: what whoever knows both could tell.

    No text names them, so this is what reading the text is measured against. Few items are drawn towards their exam's
    mean, and that towards the mean of all.
    """
    gain = np.array([row["correct_large"] - row["correct_small"] for row in outcomes], dtype=float)
    names = [(row["source"], row.get("subject")) for row in outcomes]
    scores = np.zeros(len(outcomes))
    for own, seen in _folds(outcomes):
        overall = float(gain[seen].mean())
        for number in own.tolist():
            source, _ = names[number]
            exam = [other for other in seen.tolist() if names[other][0] == source]
            subject = [other for other in exam if names[other] == names[number]]
            scores[number] = _drawn(gain[subject], _drawn(gain[exam], overall))
    return Way(name, scores)


def _drawn(values: Floats, towards: float) -> float:
    return float((values.sum() + DRAWN * towards) / (len(values) + DRAWN))


def length(name: str, prompts: Sequence[str]) -> Way:
    """Return the lengths of the prompts."""
    return Way(name, np.array([float(len(prompt)) for prompt in prompts]))


def _folds(outcomes: Sequence[Row]) -> Iterator[tuple[Places, Places]]:
    """Yield the places of each fold, and those of the others."""
    order = random.Random(0)
    fold = np.array([order.randrange(FOLDS) for _ in outcomes])
    for number in range(FOLDS):
        yield np.flatnonzero(fold == number), np.flatnonzero(fold != number)


def others(prompts: Sequence[str]) -> list[Way]:
    """Return what the plan's lists and LiteLLM's router say of every prompt."""
    host = LiteLLMRouter()
    found = []
    for name, call in (("the plan's lists", plan), ("LiteLLM complexity router", host)):
        answers = [call(prompt) for prompt in prompts]
        scores = np.array([float(str(answer["score"])) for answer in answers])
        found.append(Way(name, scores, tuple(str(answer["tier"]) for answer in answers)))
    return found


def snapshot() -> Snapshot:
    """Return the snapshot of a profile with a group for each tier."""
    tiers = {tier: (f"tier_{tier}",) for tier in Tier}
    profile = Profile("balanced", "", "low", "good", dict.fromkeys(TASK_ALIASES, "tier_medium"), tiers)
    state = ControlState(1, "balanced", ProfileSet({"balanced": profile}), committed_at=0.0)
    return build_snapshot(state, HostFacts(frozenset(f"tier_{tier}" for tier in Tier)))
