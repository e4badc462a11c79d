"""Fit the small decisions over scores, from weights that never saw the lines and prompts they are asked about.

Needs scikit-learn (extra `train`). It must not fit the weights themselves or write files.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from neuronode_router.classifier import excerpt, lexicon, reading, weights
from neuronode_router.classifier.classification import Carrier
from neuronode_router.classifier.classifier import work_numbers
from neuronode_router.classifier.decisions import Decisions, Logistic, of_system, of_turn
from neuronode_router.classifier.training import situations
from neuronode_router.classifier.training.fit import Fitted, cut, of_outcomes
from neuronode_router.classifier.training.labelled import Tried
from neuronode_router.domain.names import Tier

CASES = 60
"""Conversations of each kind, language and fold."""
PENALTY = 1.0
OWN_WEIGHT = 8.0
"""Requests that are plainly one of the tasks, and those with a sign of more or less work, keep their tiers, however
many others are learned from.
"""
OWN_KINDS = ("plain", "signed")
MODEL_FOLDS = 3

UNDECIDED = Decisions(
    system=Logistic((0.0,) * 8, -40.0),
    follows=Logistic((0.0,) * 9, -40.0),
    medium=Logistic((1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), -0.5),
    complex=Logistic((0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), -0.5),
    small=Logistic((1.0,), 0.0),
    large=Logistic((1.0,), 0.0),
)
"""The last turn always counts, and the plan's tiers: what serves before anything was fitted."""


@dataclass(slots=True)
class DecisionRows:
    """What a decision is fitted to."""

    rows: list[tuple[float, ...]] = field(default_factory=list)
    wanted: list[bool] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)

    def add(self, row: Sequence[float], wanted: bool, weight: float = 1.0) -> None:
        """Keep one row."""
        self.rows.append(tuple(row))
        self.wanted.append(wanted)
        self.weight.append(weight)

    def fitted(self) -> Logistic:
        """Return the decision that fits the rows best."""
        search = LogisticRegression(C=PENALTY, max_iter=500)
        with threadpool_limits(1):  # as in `fit`: several would add up in an order of their own
            search.fit(np.array(self.rows), np.array(self.wanted), sample_weight=np.array(self.weight))
        return Logistic(tuple(float(slope) for slope in search.coef_[0]), float(search.intercept_[0]))


@dataclass(frozen=True, slots=True)
class AskedCase:
    """A case as it was read by weights that never saw its lines."""

    case: situations.Case
    said: reading.ScoredConversation


def ask(number: int, fitted: Fitted) -> list[AskedCase]:
    """Return the cases of one fold of the lines, read by weights fitted to the others."""
    table, cues = fitted.quantised(), lexicon.shipped()
    rng = random.Random(number)  # noqa: S311 - training data, no secret
    made = [
        case
        for own in situations.all_lines()
        for case in situations.cases(own.part(situations.in_fold(number)), rng, count=CASES)
    ]
    return [AskedCase(case, reading.read(excerpt.read(case.messages), cues, table)) for case in made]


def decisions(asked: Sequence[AskedCase], models: tuple[Logistic, Logistic]) -> Decisions:
    """Return the decisions that fit the cases; `models` are those of the small and the large language model."""
    system, follows = DecisionRows(), DecisionRows()
    for item in asked:
        turn = item.said.said[0].part
        by_system = item.case.carrier is Carrier.SYSTEM
        if item.said.has_system:
            system.add(of_system(item.said.said[-1].part, turn), by_system)
        if len(item.said.said) - item.said.has_system > 1 and not by_system:
            follows.add(of_turn(turn), item.case.carrier is Carrier.EARLIER)
    small, large = models
    first = Decisions(system.fitted(), follows.fitted(), UNDECIDED.medium, UNDECIDED.complex, small, large)
    medium, heavy = DecisionRows(), DecisionRows()
    for item in asked:
        if item.case.tier:
            row = work_numbers(item.said, first)
            weight = OWN_WEIGHT if item.case.kind in OWN_KINDS else 1.0
            medium.add(row, item.case.tier != Tier.FAST, weight)
            heavy.add(row, item.case.tier == Tier.COMPLEX, weight)
    return Decisions(first.system, first.follows, medium.fitted(), heavy.fitted(), small, large)


def of_models(tried: Sequence[Tried]) -> tuple[Logistic, Logistic]:
    """Return the chances of a small and of a large model from its score, by weights that never saw the prompt."""
    order = random.Random(0)  # noqa: S311 - training data, no secret
    fold = [order.randrange(MODEL_FOLDS) for _ in tried]
    small, large = DecisionRows(), DecisionRows()
    for number in range(MODEL_FOLDS):
        heads = of_outcomes([item for item, own in zip(tried, fold, strict=True) if own != number])
        asked = [item for item, own in zip(tried, fold, strict=True) if own == number]
        pieces = cut([item.text for item in asked])
        matrix = pieces.matrix[pieces.window]
        for column, numbers in ((weights.SMALL_RIGHT, small), (weights.LARGE_RIGHT, large)):
            slopes, level = heads[column]
            for item, score in zip(asked, (matrix @ slopes + level).tolist(), strict=True):
                numbers.add((score,), item.small if numbers is small else item.large)
    return small.fitted(), large.fitted()
