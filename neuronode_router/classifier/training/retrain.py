"""Retrain on lessons of one's own, and refuse weights that are not clearly better than those in use.

Needs the extra `train`. It must not touch the weights in use: it writes a new folder, and the caller switches to it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import stats

from neuronode_router.classifier import lexicon, weights
from neuronode_router.classifier.artefacts import SCHEME
from neuronode_router.classifier.classification import Layer, task_of
from neuronode_router.classifier.classifier import FAMILIAR, NO_GUESS, Classifier
from neuronode_router.classifier.features import Rows
from neuronode_router.classifier.observed import scheme
from neuronode_router.classifier.training import adjust, artefact
from neuronode_router.classifier.training.adjust import Demand
from neuronode_router.classifier.training.corpus import Example, sample
from neuronode_router.classifier.training.fit import Fitted
from neuronode_router.classifier.training.heldout import task_name
from neuronode_router.classifier.training.lessons import Lesson

HELD_OUT = 5
"""One of so many days, or of so many lessons where there are not as many days, is kept to judge by."""
LEAST = 25
"""Fewer held-out lessons than this decide nothing."""
ALIKE = 0.9
"""A held-out lesson that shares so much of its features with one that is learned from judges nothing."""
CHANCE = 0.05
"""A gain that mere chance would give as often as this is none."""
GENERAL_LOSS = 0.02
"""How much accuracy on general phrases may be lost for a gain on one's own prompts."""
WINDOW_WEIGHT = 0.4
"""How much the window counts where a piece says more precisely what is asked for."""
REHEARSED, REHEARSED_SEED, UNSEEN_SEED = 1, 7, 99
JUDGED = 3
"""Every so many general phrases is asked before and after: a thousand tell a loss of 2 points."""
LABELLED = slice(0, weights.DOCUMENT + 1)

Judge = Callable[[Lesson, weights.Weights], bool]


@dataclass(frozen=True, slots=True)
class LabelPart:
    """How new weights do at one thing, on lessons that were not learned from."""

    learned_from: int
    held_out: int
    before: float
    """Share of right answers of the weights in use, 0 to 1."""
    after: float
    why: str
    """Why it was not taken over; empty if it was."""

    @property
    def better(self) -> bool:
        """Whether this part of the weights was taken over."""
        return not self.why


@dataclass(frozen=True, slots=True)
class Verdict:
    """How new weights compare with those in use."""

    tasks: LabelPart
    difficulty: LabelPart
    general_before: float
    """Accuracy of the weights in use on general phrases, 0 to 1."""
    general_after: float
    why: str
    """Why the new weights were refused; empty if they were accepted."""

    @property
    def accepted(self) -> bool:
        """Whether the new weights were written."""
        return not self.why


def retrain(lessons: Sequence[Lesson], into: Path, *, in_use: weights.Weights) -> Verdict:
    """Learn from most of the lessons, judge by the rest, and write the artefact if it is better. Raises `OSError`."""
    tasks = [lesson for lesson in lessons if lesson.label is not None]
    graded = _balanced(lessons)
    fitted = _unchanged(in_use)
    fitted, of_tasks = _attempt(fitted, in_use, tasks, learn=_learn_tasks, judge=_task_right)
    fitted, of_difficulty = _attempt(fitted, in_use, graded, learn=_learn_difficulty, judge=_difficulty_right)
    new = _weights(fitted, in_use)
    phrases = [item for item in sample(UNSEEN_SEED, per_phrase=1) if item.label != "document"][::JUDGED]
    before, after = (accuracy(Classifier(lexicon.shipped(), used), phrases) for used in (in_use, new))
    why = ""
    if not (of_tasks.better or of_difficulty.better):
        why = "not better on what was held out"
    elif after < before - GENERAL_LOSS:
        why = "worse on general phrases"
    else:
        about = {
            "trained_on": _trained_on(of_tasks, of_difficulty),
            "parent": in_use.digest,
            SCHEME: scheme(),
        }
        artefact.write(into, fitted, in_use.calibration, in_use.decisions, about)
    return Verdict(of_tasks, of_difficulty, before, after, why)


def accuracy(classifier: Classifier, examples: Sequence[Example]) -> float:
    """Return the share of tasks that are right, 0 to 1."""
    right = sum(classifier.classify(item.text).task.value == task_name(item.label) for item in examples)
    return right / len(examples)


def split(lessons: Sequence[Lesson]) -> tuple[list[Lesson], list[Lesson]]:
    """Return what to learn from and what to judge by.

    Whole days are held out, the newest among them, or single lessons where there are too few days. What is nearly
    the same as something learned from is left out.
    """
    days = sorted({lesson.day for lesson in lessons}, reverse=True)
    if len(days) >= HELD_OUT:
        chosen = frozenset(days[::HELD_OUT])
        kept = [lesson.day in chosen for lesson in lessons]
    else:
        kept = [zlib.crc32(np.sort(lesson.features.row).tobytes()) % HELD_OUT == 0 for lesson in lessons]
    learned = [lesson for lesson, held in zip(lessons, kept, strict=True) if not held]
    held_out = [lesson for lesson, held in zip(lessons, kept, strict=True) if held]
    return learned, _unlike(held_out, learned)


def _unlike(asked: Sequence[Lesson], known: Sequence[Lesson]) -> list[Lesson]:
    if not asked or not known:
        return list(asked)
    there, here = (
        (adjust.as_matrix([lesson.features for lesson in lessons]) > 0).astype(np.float32)
        for lessons in (known, asked)
    )
    there, here = there[_windows(known)], here[_windows(asked)]
    size = np.asarray(there.sum(axis=1)).ravel()
    found = []
    for lesson, row in zip(asked, here, strict=True):
        shared = (there @ row.T).toarray().ravel()
        if (shared / (size + row.sum() - shared)).max() < ALIKE:
            found.append(lesson)
    return found


def _balanced(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Return as many hard lessons as easy ones, the newest of each: "all is hard" must not look like an insight."""
    hard, easy = ([lesson for lesson in lessons if lesson.hard is kind] for kind in (True, False))
    count = min(len(hard), len(easy))
    return [*hard[len(hard) - count :], *easy[len(easy) - count :]]


def _attempt(
    fitted: Fitted,
    in_use: weights.Weights,
    lessons: Sequence[Lesson],
    *,
    learn: Callable[[Fitted, weights.Weights, Sequence[Lesson]], Fitted],
    judge: Judge,
) -> tuple[Fitted, LabelPart]:
    """Return the weights with one thing learned, if that is clearly better, and how it went."""
    learned, held_out = split(lessons)
    if len(held_out) < LEAST or not learned:
        why = f"{len(held_out)} lessons to judge by, {LEAST} are needed"
        return fitted, LabelPart(len(learned), len(held_out), 0.0, 0.0, why)
    candidate = learn(fitted, in_use, learned)
    before, after = (
        np.array([judge(lesson, used) for lesson in held_out])
        for used in (in_use, _weights(candidate, in_use))
    )
    mended, broken = int((after & ~before).sum()), int((before & ~after).sum())
    why = (
        ""
        if _beyond_chance(mended, broken)
        else "the gain could be chance"
        if mended > broken
        else "no better"
    )
    part = LabelPart(len(learned), len(held_out), float(before.mean()), float(after.mean()), why)
    return (candidate if part.better else fitted), part


def _beyond_chance(mended: int, broken: int) -> bool:
    """Sign test: would as many of the answers that differ turn out well if each were tossed for?"""
    differ = mended + broken
    return differ > 0 and bool(stats.binomtest(mended, differ, alternative="greater").pvalue < CHANCE)


def _learn_tasks(fitted: Fitted, in_use: weights.Weights, lessons: Sequence[Lesson]) -> Fitted:
    """Learn labels from each lesson's window and from the piece that speaks loudest for its label."""
    turns = [lesson.features for lesson in lessons]
    scores = adjust.scores_of(turns, in_use)[:, LABELLED]
    shares = adjust.shares(scores)
    chosen, wanted, weight = [], [], []
    for lesson, window in zip(lessons, _windows(lessons), strict=True):
        assert lesson.label is not None
        column, pieces = weights.COLUMNS.index(lesson.label), lesson.features.count.size - 1
        chosen.append(window)
        weight.append(WINDOW_WEIGHT if pieces else 1.0)
        if pieces:
            loudest = int(shares[window + 1 : window + 1 + pieces, column].argmax())
            chosen.append(window + 1 + loudest)
            weight.append(1.0)
        wanted += [column] * (2 if pieces else 1)
    own = Demand(
        adjust.as_matrix(turns)[chosen], scores[chosen], np.eye(LABELLED.stop)[wanted], np.array(weight)
    )
    change = adjust.learn([own, _rehearsal(in_use, lambda scores: scores[:, LABELLED])])
    table, bias, known = fitted.table.copy(), fitted.bias.copy(), fitted.known.copy()
    table[:, LABELLED] += change.table.astype(np.float32)
    bias[LABELLED] += change.bias.astype(np.float32)
    for turn in turns:
        known[turn.words] = True
    return Fitted(table, bias, known)


def _learn_difficulty(fitted: Fitted, in_use: weights.Weights, lessons: Sequence[Lesson]) -> Fitted:
    """Learn from the windows how hard a request is."""
    turns, windows = [lesson.features for lesson in lessons], _windows(lessons)
    hard = np.array([bool(lesson.hard) for lesson in lessons])
    own = Demand(
        adjust.as_matrix(turns)[windows],
        _hard_or_easy(adjust.scores_of(turns, in_use))[windows],
        np.stack([hard, ~hard], axis=1).astype(np.float64),
        np.ones(len(lessons)),
    )
    change = adjust.learn([own, _rehearsal(in_use, _hard_or_easy)])
    table, bias = fitted.table.copy(), fitted.bias.copy()
    table[:, weights.DIFFICULTY] += (change.table[:, 0] - change.table[:, 1]).astype(np.float32)
    bias[weights.DIFFICULTY] += np.float32(change.bias[0] - change.bias[1])
    return Fitted(table, bias, fitted.known)


def _hard_or_easy(scores: adjust.Numbers) -> adjust.Numbers:
    """Return two columns whose shares are the chances of hard and easy: their difference is the score."""
    hard: adjust.Numbers = scores[:, weights.DIFFICULTY]
    return np.stack([hard, np.zeros_like(hard)], axis=1)


def _rehearsal(in_use: weights.Weights, columns: Callable[[adjust.Numbers], adjust.Numbers]) -> Demand:
    """Demand that general phrases are answered as before."""
    turns = _rehearsed()
    scores = columns(adjust.scores_of(turns, in_use))
    return Demand(adjust.as_matrix(turns), scores, adjust.shares(scores), np.ones(len(scores)))


@cache
def _rehearsed() -> list[Rows]:
    return adjust.features([item.text for item in sample(REHEARSED_SEED, per_phrase=REHEARSED)])


def _task_right(lesson: Lesson, used: weights.Weights) -> bool:
    assert lesson.label is not None
    label = lesson.said
    if lesson.source is not Layer.LEXICON:  # clear cues answer, whatever the weights say
        shares = weights.combine(weights.probabilities(used.table.scores(lesson.features)))
        task, detail, share = weights.best(shares.tolist())
        known = lesson.has_cues or used.table.familiarity(lesson.features.words) >= FAMILIAR
        if known and share >= NO_GUESS:
            label = detail or task.value
        elif lesson.source is not Layer.LENGTH:
            return False
    return task_of(label)[0] is task_of(lesson.label)[0]


def _difficulty_right(lesson: Lesson, used: weights.Weights) -> bool:
    return bool(used.table.scores(lesson.features)[0, weights.DIFFICULTY] > 0) is lesson.hard


def _windows(lessons: Sequence[Lesson]) -> list[int]:
    """Return which pieces, counted over all lessons, are windows."""
    return [0, *np.cumsum([lesson.features.count.size for lesson in lessons]).tolist()][:-1]


def _unchanged(in_use: weights.Weights) -> Fitted:
    table = in_use.table.cells.astype(np.float32) * in_use.table.scale
    return Fitted(table, in_use.table.bias.copy(), in_use.table.known)


def _weights(fitted: Fitted, in_use: weights.Weights) -> weights.Weights:
    """Return fitted weights quantised, as they would serve."""
    table = fitted.quantised()
    return weights.Weights(table, in_use.calibration, in_use.decisions, "", {})


def _trained_on(tasks: LabelPart, difficulty: LabelPart) -> dict[str, int]:
    """Return what the manifest says: how many lessons each part was learned from, 0 where it was kept."""
    return {
        "own_labels": tasks.learned_from if tasks.better else 0,
        "own_difficulties": difficulty.learned_from if difficulty.better else 0,
    }
