"""The ways to route that are compared: ours (shipped and held out), the plan's lists, LiteLLM's complexity router.

Each gives, per prompt, a score that rises with difficulty, and a tier: ours the one that `AutoRouter` decides.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.classifier.adapter import score
from benchmarks.classifier.baselines import LiteLLMRouter, plan
from benchmarks.routing.curves import Floats
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.classifier import Classifier
from neuronode_router.classifier.training import heldout, labelled
from neuronode_router.classifier.training.fit import Recipe, fit
from neuronode_router.domain import (
    AUTO,
    TASK_ALIASES,
    ControlState,
    HostFacts,
    Profile,
    ProfileSet,
    Tier,
)
from neuronode_router.routing.snapshot import Snapshot, build_snapshot

FOLDS = 3
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """What one way says of every prompt."""

    name: str
    score: Floats
    tiers: tuple[str, ...]

    @property
    def large(self) -> Any:
        """Which prompts go to the large deployment."""
        return np.array(self.tiers) == Tier.COMPLEX.value


class Decisions:
    """Tiers as an `auto` request gets them: `AutoRouter`, a profile with a group for each tier, nobody overloaded."""

    def __init__(self, classifier: Classifier) -> None:
        self._router = AutoRouter(classifier=classifier, standings=dict)
        self._snapshot = _snapshot()

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
    scores = [score(classifier.classify(prompt)) for prompt in prompts]
    return Way(name, np.array(scores), tuple(decisions.tier(prompt) for prompt in prompts))


def held_out(name: str, prompts: Sequence[Row], outcomes: Sequence[Row]) -> Way:
    """Return what weights say that never saw the row: each third by weights fitted to the other two."""
    order = random.Random(0)
    fold_of = {id(row): order.randrange(FOLDS) for row in (*prompts, *outcomes)}
    scores, tiers = np.zeros(len(outcomes)), [""] * len(outcomes)
    for fold in range(FOLDS):
        seen = [row for row in prompts if fold_of[id(row)] != fold]
        known = [row for row in outcomes if fold_of[id(row)] != fold]
        graded = labelled.graded(labelled.plainly_open(seen), labelled.plainly_open(known))
        fitted = fit(labelled.examples(labelled.plainly_open(seen)), graded, Recipe(per_phrase=6))
        numbers = [number for number, row in enumerate(outcomes) if fold_of[id(row)] == fold]
        part = ours(name, heldout.serving(fitted), [outcomes[number]["prompt"] for number in numbers])
        for number, said, tier in zip(numbers, part.score, part.tiers, strict=True):
            scores[number], tiers[number] = said, tier
    return Way(name, scores, tuple(tiers))


def others(prompts: Sequence[str]) -> list[Way]:
    """Return what the plan's lists and LiteLLM's router say of every prompt."""
    host = LiteLLMRouter()
    found = []
    for name, call in (("the plan's lists", plan), ("LiteLLM complexity router", host)):
        answers = [call(prompt) for prompt in prompts]
        scores = np.array([float(str(answer["score"])) for answer in answers])
        found.append(Way(name, scores, tuple(str(answer["tier"]) for answer in answers)))
    return found


def _snapshot() -> Snapshot:
    tiers = {tier: (f"tier_{tier}",) for tier in Tier}
    profile = Profile("balanced", "", "low", "good", dict.fromkeys(TASK_ALIASES, "tier_medium"), tiers)
    state = ControlState(1, "balanced", ProfileSet({"balanced": profile}), committed_at=0.0)
    return build_snapshot(state, HostFacts(frozenset(f"tier_{tier}" for tier in Tier)))
