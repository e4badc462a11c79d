"""Fit the weights: one linear layer over hashed features, from phrases and labelled prompts.

Needs scikit-learn (extra `train`). It must not read files of prompts or write artefacts.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from neuronode_router.classifier import excerpt, lexicon
from neuronode_router.classifier.features import ROWS, WORDS, cue_rows, hash_rows
from neuronode_router.classifier.training.corpus import DOCUMENT, Example, sample
from neuronode_router.classifier.training.labelled import Graded
from neuronode_router.classifier.weights import COLUMNS, DIFFICULTY, Floats, Table
from neuronode_router.classifier.weights import DOCUMENT as DOCUMENT_COLUMN

PER_PHRASE = 12
ATTACHMENTS = 300
SHORT = 200
"""Up to this length a labelled prompt is taken to be all instruction."""
LONG_WEIGHT, DOCUMENT_WEIGHT = 0.4, 0.5
SURE = 0.4


@dataclass(frozen=True, slots=True)
class Recipe:
    """What can be turned: how many texts per phrase, how strongly weights are held small, how long to search."""

    per_phrase: int = PER_PHRASE
    inverse_penalty: float = 10.0
    iterations: int = 50
    seed: int = 1


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
    phrases = _windows(sample(recipe.seed, per_phrase=recipe.per_phrase))
    if labelled:
        prompts, label = cut([example.text for example in labelled]), _labels(labelled)
        texts = _ordinary(prompts, _search(*phrases, recipe=recipe))
        phrases = _windows(sample(recipe.seed, per_phrase=recipe.per_phrase, attachments=texts))
        found = _with_prompts(phrases, prompts, label[prompts.owner], recipe)
    else:
        found = _search(*phrases, recipe=recipe)
    table = np.zeros((ROWS, len(COLUMNS)), dtype=np.float32)
    bias = np.zeros(len(COLUMNS), dtype=np.float32)
    table[:, found.classes_], bias[found.classes_] = found.coef_.T, found.intercept_
    if graded:
        table[:, DIFFICULTY], bias[DIFFICULTY] = _difficulty(graded)
    texts = [example.text for example in (*sample(recipe.seed, per_phrase=recipe.per_phrase), *labelled)]
    return Fitted(table, bias, _vocabulary(texts))


def _vocabulary(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which word slots the texts fall into. Numbers are no words: they tell nothing."""
    known = np.zeros(WORDS, dtype=np.bool_)
    for text in texts:
        known[hash_rows(excerpt.read(text).pieces).words] = True
    known[hash_rows(["0" * digits for digits in range(1, 20)]).words] = False
    return known


def _with_prompts(
    phrases: tuple[sparse.csr_matrix, npt.NDArray[np.int64]],
    prompts: Pieces,
    label: npt.NDArray[np.int64],
    recipe: Recipe,
) -> LogisticRegression:
    """Fit on phrases and windows of prompts; then again with the pieces that turned out to instruct, or not."""
    matrix, wanted = phrases
    lengths = np.array([len(text) for text in prompts.texts])
    alone = np.bincount(prompts.owner)[prompts.owner] == 1
    short = prompts.window & (alone | (lengths < SHORT))
    long = prompts.window & ~short
    stacked = sparse.vstack([matrix, prompts.matrix[short], prompts.matrix[long]])
    wanted = np.concatenate([wanted, label[short], label[long]])
    weight = np.concatenate([np.ones(matrix.shape[0] + short.sum()), np.full(long.sum(), LONG_WEIGHT)])
    first = _search(stacked, wanted, weight, recipe=recipe)
    shares = _shares(first, prompts.matrix)
    instructs = ~prompts.window & (shares[np.arange(len(label)), label] > SURE)
    ordinary = ~prompts.window & ~instructs & (shares[:, DOCUMENT_COLUMN] > SURE)
    stacked = sparse.vstack([stacked, prompts.matrix[instructs], prompts.matrix[ordinary]])
    wanted = np.concatenate([wanted, label[instructs], np.full(ordinary.sum(), DOCUMENT_COLUMN)])
    weight = np.concatenate([weight, np.ones(instructs.sum()), np.full(ordinary.sum(), DOCUMENT_WEIGHT)])
    return _search(stacked, wanted, weight, recipe=recipe)


def _search(
    matrix: sparse.csr_matrix,
    wanted: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float64] | None = None,
    *,
    recipe: Recipe,
) -> LogisticRegression:
    search = LogisticRegression(C=recipe.inverse_penalty, max_iter=recipe.iterations, tol=1e-3)
    return _stopping_early(search, matrix, wanted, weight)


def _stopping_early(
    search: LogisticRegression,
    matrix: sparse.csr_matrix,
    wanted: npt.NDArray[Any],
    weight: npt.NDArray[np.float64] | None,
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


def _ordinary(prompts: Pieces, search: LogisticRegression) -> list[str]:
    """Return pieces of labelled prompts that are mere text: attached to phrases, they teach that topics say little."""
    document = _shares(search, prompts.matrix)[:, DOCUMENT_COLUMN]
    mere = [
        text
        for text, window, share in zip(prompts.texts, prompts.window, document, strict=True)
        if share > 0.6 and not window and len(text) > 50
    ]
    chosen = sorted(set(mere))
    random.Random(1).shuffle(chosen)  # noqa: S311 - training data, no secret
    return chosen[:ATTACHMENTS]


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
