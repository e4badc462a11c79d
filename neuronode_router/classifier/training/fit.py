"""Fit the weights: one linear layer over hashed features, from phrases and labelled prompts.

Needs scikit-learn (extra `train`). It must not read files of prompts or write artefacts.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from neuronode_router.classifier import excerpt, lexicon
from neuronode_router.classifier import weights as columns
from neuronode_router.classifier.features import ROWS, WORDS, cue_rows, hash_rows
from neuronode_router.classifier.tiers import TIER_OF_LABEL
from neuronode_router.classifier.training import situations
from neuronode_router.classifier.training.corpus import DOCUMENT, PER_PHRASE, Example, sample
from neuronode_router.classifier.training.labelled import Graded, Tried
from neuronode_router.classifier.weights import COLUMNS, DIFFICULTY, Floats, Table
from neuronode_router.classifier.weights import DOCUMENT as DOCUMENT_COLUMN
from neuronode_router.domain.names import Tier

SHORT = 200
"""Up to this length a labelled prompt is taken to be all instruction."""
LONG_WEIGHT, DOCUMENT_WEIGHT = 0.4, 0.5
SURE = 0.4
EXTRA = 8
"""Texts of each line of the system prompts, follow-ups and materials."""
BY_POLICY = 0.1
"""How much a tier counts that is merely the plan's for a task, beside one given for how much work is asked for."""
HEAVY: Mapping[str, float] = {Tier.FAST.value: 0.0, Tier.MEDIUM.value: 0.5, Tier.COMPLEX.value: 1.0}

GRADED_WEIGHT = 0.5
INVERSE_PENALTY, OF_MODELS = 3.0, 1.0
"""Of the yes-or-no columns, and of those about what models get right, which are soon learned by heart."""
LEANS: Mapping[str, float] = {"same": 1.0, "light": 0.0, "alone": 0.0}
"""Which follow-ups take their task from the turn before."""
NOT_SYSTEMS = frozenset({*LEANS, ""})
"""Sections that hold no system prompts: the materials' has no name."""

Keep = Callable[[int], bool]
"""Tells by its key whether a line may be learned from."""


def every_line(_: int) -> bool:
    """Keep every line."""
    return True


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
    key: npt.NDArray[np.int64]
    """The lines they were made of."""
    heavy: Floats
    """0 for a light answer, 1 for a heavy one, not a number where it is not known."""
    trust: Floats
    """How much `heavy` counts."""
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


def fit(
    labelled: Sequence[Example],
    graded: Sequence[Graded] = (),
    recipe: Recipe = Recipe(),
    *,
    tried: Sequence[Tried] = (),
    keep: Keep = every_line,
) -> Fitted:
    """Return weights fitted to the phrases, of which `keep` may leave lines out, and to the labelled prompts.

    The chances of a small and a large model stay even without `tried`.
    """
    table = np.zeros((ROWS, len(COLUMNS)), dtype=np.float32)
    bias = np.zeros(len(COLUMNS), dtype=np.float32)
    known = _vocabulary([example.text for example in labelled])
    prompts = cut([example.text for example in labelled]) if labelled else None
    for seed in recipe.seeds:
        phrases = _kept(_phrases(recipe, seed), keep)
        if prompts is None:
            found = fit_labels(phrases.matrix, phrases.label, _balance(phrases.label), recipe=recipe)
        else:
            found = _with_prompts(phrases, prompts, _labels(labelled)[prompts.owner], recipe)
        table[:, found.classes_] += found.coef_.T / len(recipe.seeds)
        bias[found.classes_] += found.intercept_ / len(recipe.seeds)
        known |= phrases.known
    heads = {DIFFICULTY: _difficulty(phrases, graded), **_of_context(phrases, keep)}
    if tried:
        heads |= of_outcomes(tried)
    for column, (slopes, level) in heads.items():
        table[:, column], bias[column] = slopes, level
    return Fitted(table, bias, known)


@cache
def _phrases(recipe: Recipe, seed: int) -> Phrases:
    """Return the phrases' texts as features: the same for every fold."""
    rng = random.Random(seed)  # noqa: S311 - training data, no secret
    examples = sample(seed, per_phrase=recipe.per_phrase)
    for own in situations.all_lines():
        examples += situations.beside(own, rng, each=EXTRA)
    pieces = cut([example.text for example in examples])
    chosen = [examples[number] for number in pieces.owner[pieces.window]]
    by_policy = [str(TIER_OF_LABEL.get(example.label, "")) == example.tier for example in chosen]
    return Phrases(
        pieces.matrix[pieces.window],
        _labels(chosen),
        np.array([example.key for example in chosen]),
        np.array([HEAVY.get(example.tier, np.nan) for example in chosen], dtype=np.float32),
        np.where(by_policy, BY_POLICY, 1.0).astype(np.float32),
        _vocabulary([example.text for example in examples]),
    )


def _kept(phrases: Phrases, keep: Keep) -> Phrases:
    chosen = np.array([keep(int(key)) for key in phrases.key])
    return Phrases(
        phrases.matrix[chosen],
        phrases.label[chosen],
        phrases.key[chosen],
        phrases.heavy[chosen],
        phrases.trust[chosen],
        phrases.known,
    )


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
    first = fit_labels(stacked, wanted, weight, recipe=recipe)
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


def fit_labels(
    matrix: sparse.csr_matrix,
    wanted: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float64],
    *,
    recipe: Recipe,
) -> LogisticRegression:
    """Return the search's result: the same bits on any number of threads."""
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
    """Fit; that the search ends at its last iteration is meant: later ones only learn the samples by heart.

    By one thread: as many as a machine has would add up in an order of its own, and a search that is cut short
    carries the last digit of a sum into the weights.
    """
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(matrix, wanted, sample_weight=weight)


Head = tuple[Floats, float]
"""One column of the table, and its bias."""


def _difficulty(phrases: Phrases, graded: Sequence[Graded]) -> Head:
    """Fit how heavy an answer is asked for: phrases with a tier, and graded prompts.

    Each group's easy and hard prompts weigh the same, so that no topic means hard.
    """
    told = ~np.isnan(phrases.heavy)
    matrix, heavy, weight = phrases.matrix[told], phrases.heavy[told], phrases.trust[told]
    if graded:
        pieces = cut([item.text for item in graded])
        items = [graded[number] for number in pieces.owner[pieces.window]]
        size: dict[tuple[str, bool], int] = {}
        for item in items:
            size[item.group, item.hard] = size.get((item.group, item.hard), 0) + 1
        fair = np.array([1 / np.sqrt(size[item.group, item.hard]) for item in items])
        matrix = sparse.vstack([matrix, pieces.matrix[pieces.window]])
        heavy = np.concatenate([heavy, [float(item.hard) for item in items]])
        weight = np.concatenate([weight, GRADED_WEIGHT * fair * len(items) / fair.sum()])
    return _head(matrix, heavy, weight)


def _of_context(phrases: Phrases, keep: Keep) -> dict[int, Head]:
    """Fit what tells who carries the instruction, and whether the language is one that was learned."""
    rng = random.Random(len(phrases.key))  # noqa: S311 - training data, no secret
    made = [
        found for own in situations.all_lines() for found in situations.texts(own.part(keep), rng, each=EXTRA)
    ]
    systems = [(text, float(line.task != "open")) for text, line in made if line.task not in NOT_SYSTEMS]
    leaning = [(text, LEANS[line.task]) for text, line in made if line.task in LEANS]
    return {
        columns.STANDING: _told(systems),
        columns.FOLLOWS: _told(leaning, against=phrases.matrix),
        columns.FOREIGN: _told([(text, 1.0) for text in situations.foreign()], against=phrases.matrix),
    }


def _told(texts: Sequence[tuple[str, float]], against: sparse.csr_matrix | None = None) -> Head:
    """Fit texts that are told apart, the few of them weighing as much as all that they are told `against`."""
    pieces = cut([text for text, _ in texts])
    matrix = pieces.matrix[pieces.window]
    wanted = np.array([texts[number][1] for number in pieces.owner[pieces.window]])
    weight = np.ones(len(wanted))
    if against is not None:
        others = against.shape[0]
        weight = np.concatenate([np.full(len(wanted), np.sqrt(others / len(wanted))), np.ones(others)])
        matrix, wanted = sparse.vstack([matrix, against]), np.concatenate([wanted, np.zeros(others)])
    return _head(matrix, wanted, weight)


def of_outcomes(tried: Sequence[Tried]) -> dict[int, Head]:
    """Fit what a small and a large language model get right."""
    pieces = cut([item.text for item in tried])
    matrix = pieces.matrix[pieces.window]
    items = [tried[number] for number in pieces.owner[pieces.window]]
    one = np.ones(len(items))
    return {
        columns.SMALL_RIGHT: _head(matrix, np.array([float(item.small) for item in items]), one, OF_MODELS),
        columns.LARGE_RIGHT: _head(matrix, np.array([float(item.large) for item in items]), one, OF_MODELS),
    }


def _head(
    matrix: sparse.csr_matrix,
    wanted: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    inverse_penalty: float = INVERSE_PENALTY,
) -> Head:
    """Fit one yes-or-no column; what is half wanted counts half for each."""
    yes, no = wanted > 0, wanted < 1
    stacked = sparse.vstack([matrix[yes], matrix[no]])
    share = np.concatenate([wanted[yes], 1 - wanted[no]]) * np.concatenate([weight[yes], weight[no]])
    search = LogisticRegression(C=inverse_penalty, max_iter=100, tol=1e-3)
    _stopping_early(search, stacked, np.repeat([True, False], [yes.sum(), no.sum()]), share)
    return search.coef_[0].astype(np.float32), float(search.intercept_[0])


def _labels(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    return np.array([COLUMNS.index(example.label) for example in examples])


def _shares(search: LogisticRegression, matrix: sparse.csr_matrix) -> Floats:
    shares = np.zeros((matrix.shape[0], DIFFICULTY), dtype=np.float32)
    shares[:, search.classes_] = search.predict_proba(matrix)
    return shares


assert COLUMNS[DOCUMENT_COLUMN] == DOCUMENT
