"""Move the weights in use towards what they got wrong, and no further than that needs.

It must not know where lessons come from. Needs SciPy (extra `train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from neuronode_router.classifier import excerpt, lexicon, weights
from neuronode_router.classifier.features import ROWS, Rows
from neuronode_router.classifier.observed import observe

PENALTY = 0.1
"""How strongly a change of the weights is held small."""
ITERATIONS = 30

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Demand:
    """What shall be said of some pieces: a distribution over columns for each, and how much each counts."""

    matrix: sparse.csr_matrix
    """One row of features per piece."""
    scores: Numbers
    """What the weights in use say."""
    wanted: Numbers
    weight: Numbers


@dataclass(frozen=True, slots=True)
class Change:
    """What to add to the table and to the bias, in the demand's columns."""

    table: Numbers
    bias: Numbers


def learn(demands: Sequence[Demand]) -> Change:
    """Return the change that meets the demands best: cross-entropy, and a penalty on its squares."""
    matrix = sparse.vstack([demand.matrix for demand in demands]).tocsr()
    scores, wanted, weight = (
        np.concatenate([getattr(demand, name) for demand in demands])
        for name in ("scores", "wanted", "weight")
    )
    touched = np.unique(matrix.indices)
    matrix = matrix[:, touched]
    transposed = matrix.T.tocsr()
    shape = (touched.size + 1, scores.shape[1])

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        change = flat.reshape(shape)
        logits = scores + matrix @ change[:-1] + change[-1]
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        wrong = weight[:, None] * (np.exp(logs) - wanted)
        slope = PENALTY * change
        slope[:-1] += transposed @ wrong
        slope[-1] += wrong.sum(axis=0)
        cost = -(weight * (wanted * logs).sum(axis=1)).sum() + PENALTY / 2 * (change**2).sum()
        return float(cost), slope.ravel()

    start = np.zeros(shape[0] * shape[1])
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    ).x.reshape(shape)
    table = np.zeros((ROWS, shape[1]))
    table[touched] = found[:-1]
    return Change(table, found[-1])


def as_matrix(turns: Sequence[Rows]) -> sparse.csr_matrix:
    """Return one row per piece of all turns, in order, scaled as the weights read them."""
    starts = np.cumsum([0, *(turn.count.size for turn in turns)])
    owner = np.concatenate([turn.owner + start for turn, start in zip(turns, starts, strict=False)])
    row = np.concatenate([turn.row for turn in turns])
    count = np.concatenate([turn.count for turn in turns])
    matrix = sparse.csr_matrix((1 / np.sqrt(count[owner]), (owner, row)), shape=(count.size, ROWS))
    matrix.sum_duplicates()
    return matrix


def features(texts: Sequence[str]) -> list[Rows]:
    """Return the features of texts, as they are computed when serving."""
    cues = lexicon.shipped()
    return [observe(excerpt.read(text), cues) for text in texts]


def shares(scores: Numbers) -> Numbers:
    """Return one distribution per row of scores."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Numbers = powers / powers.sum(axis=1, keepdims=True)
    return result


def scores_of(turns: Sequence[Rows], in_use: weights.Weights) -> Numbers:
    """Return the scores of every piece of all turns, in order."""
    return np.concatenate([in_use.table.scores(turn) for turn in turns]).astype(np.float64)
