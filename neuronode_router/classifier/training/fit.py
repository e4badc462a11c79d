"""Fit the weights: one linear layer over hashed features, from phrases and labelled prompts.

Needs scikit-learn (extra `train`). It must not read files of prompts or write artefacts.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from neuronode_router.classifier import excerpt, lexicon
from neuronode_router.classifier.features import ROWS, WORDS, cue_rows, hash_rows
from neuronode_router.classifier.training.corpus import DOCUMENT, PER_PHRASE, Example, sample
from neuronode_router.classifier.training.labelled import Graded
from neuronode_router.classifier.weights import COLUMNS, DIFFICULTY, Floats, Table
from neuronode_router.classifier.weights import DOCUMENT as DOCUMENT_COLUMN

SHORT = 200
"""Up to this length a labelled prompt is taken to be all instruction."""
LONG_WEIGHT, DOCUMENT_WEIGHT = 0.4, 0.5
SURE = 0.4


@dataclass(frozen=True, slots=True)
class Recipe:
    """What can be turned: how many texts per phrase, how strongly weights are held small, how long to search.

    The weights are the mean of one search per seed, each over other texts of the same phrases: one sample alone
    moves the accuracy on unseen sources by a point.
    """

    per_phrase: int = PER_PHRASE
    inverse_penalty: float = 10.0
    iterations: int = 60
    seeds: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Texts cut as they are when serving, with their features."""

    texts: tuple[str, ...]
    owner: npt.NDArray[np.int64]
    """The example that each piece belongs to."""
    window: npt.NDArray[np.bool_]
    """Whether the piece is the window of its example."""
    matrix: sparse.csr_matrix


@dataclass(frozen=True, slots=True)
class Phrases:
    """The windows of the texts sampled from the phrases."""

    matrix: sparse.csr_matrix
    label: npt.NDArray[np.int64]
    """Columns."""
    known: npt.NDArray[np.bool_]
    """Word slots that occur in them."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights in floating point: `table` is rows x `COLUMNS`."""

    table: Floats
    bias: Floats
    known: npt.NDArray[np.bool_]
    """Word slots that occur in what was fitted."""

    def quantised(self) -> Table:
        """Return the weights as they are shipped: int8 with a scale per column."""
        scale = np.maximum(np.abs(self.table).max(axis=0), 1e-9) / 127
        return Table(
            np.rint(self.table / scale).astype(np.int8), scale.astype(np.float32), self.bias, self.known
        )


def cut(texts: Sequence[str]) -> Pieces:
    """Return the pieces of the texts and their features."""
    cues = lexicon.shipped()
    pieces: list[str] = []
    owner: list[int] = []
    window: list[bool] = []
    rows, columns, values = [], [], []
    for number, text in enumerate(texts):
        own = excerpt.read(text).pieces
        found = [[row for rule in cues.find(piece) for row in cue_rows(rule.task, rule.cue)] for piece in own]
        hashed = hash_rows(own, found) if own else None
        if hashed is not None:
            rows.append(hashed.owner + len(pieces))
            columns.append(hashed.row)
            values.append(1 / np.sqrt(hashed.count[hashed.owner]))
        pieces += own
        owner += [number] * len(own)
        window += [at == 0 for at in range(len(own))]
    cells = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.csr_matrix((np.concatenate(values).astype(np.float32), cells), shape=(len(pieces), ROWS))
    matrix.sum_duplicates()
    return Pieces(tuple(pieces), np.array(owner), np.array(window), matrix)


def fit(labelled: Sequence[Example], graded: Sequence[Graded] = (), recipe: Recipe = Recipe()) -> Fitted:
    """Return weights fitted to the phrases and the labelled prompts; difficulty stays 0.5 without graded prompts."""
    table = np.zeros((ROWS, len(COLUMNS)), dtype=np.float32)
    bias = np.zeros(len(COLUMNS), dtype=np.float32)
    known = _vocabulary([example.text for example in labelled])
    prompts = cut([example.text for example in labelled]) if labelled else None
    for seed in recipe.seeds:
        phrases = _phrases(recipe, seed)
        if prompts is None:
            found = _search(phrases.matrix, phrases.label, _balance(phrases.label), recipe=recipe)
        else:
            found = _with_prompts(phrases, prompts, _labels(labelled)[prompts.owner], recipe)
        table[:, found.classes_] += found.coef_.T / len(recipe.seeds)
        bias[found.classes_] += found.intercept_ / len(recipe.seeds)
        known |= phrases.known
    if graded:
        table[:, DIFFICULTY], bias[DIFFICULTY] = _difficulty(graded)
    return Fitted(table, bias, known)


@cache
def _phrases(recipe: Recipe, seed: int) -> Phrases:
    """Return the phrases' texts as features: the same for every fold."""
    examples = sample(seed, per_phrase=recipe.per_phrase)
    return Phrases(*_windows(examples), _vocabulary([example.text for example in examples]))


def _vocabulary(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which word slots the texts fall into. Numbers are no words: they tell nothing."""
    known = np.zeros(WORDS, dtype=np.bool_)
    for text in texts:
        known[hash_rows(excerpt.read(text).pieces).words] = True
    known[hash_rows(["0" * digits for digits in range(1, 20)]).words] = False
    return known


def _with_prompts(
    phrases: Phrases,
    prompts: Pieces,
    label: npt.NDArray[np.int64],
    recipe: Recipe,
) -> LogisticRegression:
    """Fit on phrases and windows of prompts; then again with the pieces that turned out to instruct, or not."""
    lengths = np.array([len(text) for text in prompts.texts])
    alone = np.bincount(prompts.owner)[prompts.owner] == 1
    short = prompts.window & (alone | (lengths < SHORT))
    long = prompts.window & ~short
    stacked = sparse.vstack([phrases.matrix, prompts.matrix[short], prompts.matrix[long]])
    wanted = np.concatenate([phrases.label, label[short], label[long]])
    weight = np.concatenate([_balance(phrases.label), np.ones(short.sum()), np.full(long.sum(), LONG_WEIGHT)])
    first = _search(stacked, wanted, weight, recipe=recipe)
    shares = _shares(first, prompts.matrix)
    instructs = ~prompts.window & (shares[np.arange(len(label)), label] > SURE)
    ordinary = ~prompts.window & ~instructs & (shares[:, DOCUMENT_COLUMN] > SURE)
    stacked = sparse.vstack([stacked, prompts.matrix[instructs], prompts.matrix[ordinary]])
    wanted = np.concatenate([wanted, label[instructs], np.full(ordinary.sum(), DOCUMENT_COLUMN)])
    weight = np.concatenate([weight, np.ones(instructs.sum()), np.full(ordinary.sum(), DOCUMENT_WEIGHT)])
    return _stopping_early(first, stacked, wanted, weight)


def _balance(label: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weigh rare labels more: how often a task occurs among phrases says nothing about how often it is asked for."""
    size = np.bincount(label, minlength=len(COLUMNS))
    weight: npt.NDArray[np.float64] = np.sqrt(size.sum() / (size > 0).sum() / size[label])
    return weight


def _search(
    matrix: sparse.csr_matrix,
    wanted: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float64],
    *,
    recipe: Recipe,
) -> LogisticRegression:
    search = LogisticRegression(
        C=recipe.inverse_penalty, max_iter=recipe.iterations, tol=1e-3, warm_start=True
    )
    return _stopping_early(search, matrix, wanted, weight)


def _stopping_early(
    search: LogisticRegression,
    matrix: sparse.csr_matrix,
    wanted: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
) -> LogisticRegression:
    """Fit; that the search ends at its last iteration is meant: later ones only learn the samples by heart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(matrix, wanted, sample_weight=weight)


def _difficulty(graded: Sequence[Graded]) -> tuple[Floats, float]:
    """Fit how hard a prompt looks. Each group's easy and hard prompts weigh the same, so that no topic means hard."""
    pieces = cut([item.text for item in graded])
    matrix = pieces.matrix[pieces.window]
    items = [graded[number] for number in pieces.owner[pieces.window]]
    size: dict[tuple[str, bool], int] = {}
    for item in items:
        size[item.group, item.hard] = size.get((item.group, item.hard), 0) + 1
    weight = np.array([1 / np.sqrt(size[item.group, item.hard]) for item in items])
    search = LogisticRegression(C=1.0, max_iter=100, tol=1e-3)
    hard = np.array([item.hard for item in items])
    _stopping_early(search, matrix, hard, weight * len(items) / weight.sum())
    return search.coef_[0].astype(np.float32), float(search.intercept_[0])


def _windows(examples: Sequence[Example]) -> tuple[sparse.csr_matrix, npt.NDArray[np.int64]]:
    pieces = cut([example.text for example in examples])
    return pieces.matrix[pieces.window], _labels(examples)[pieces.owner[pieces.window]]


def _labels(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    return np.array([COLUMNS.index(example.label) for example in examples])


def _shares(search: LogisticRegression, matrix: sparse.csr_matrix) -> Floats:
    shares = np.zeros((matrix.shape[0], DIFFICULTY), dtype=np.float32)
    shares[:, search.classes_] = search.predict_proba(matrix)
    return shares


assert COLUMNS[DOCUMENT_COLUMN] == DOCUMENT
