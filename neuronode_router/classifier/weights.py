"""The shipped weights: loaded by hash, scored with numpy. Nothing in them can run code (no pickle).

It must not know cues or tiers.
"""

from __future__ import annotations

import hashlib
import io
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuronode_router.classifier.classification import KINDS, LABELS, Task
from neuronode_router.classifier.decisions import Decisions
from neuronode_router.classifier.features import ROWS, WORDS, Hashed, Places, Rows
from neuronode_router.errors import ArtefactRefused
from neuronode_router.foreign import described

MANIFEST = "manifest.json"
TABLE = "weights.npz"
FORMAT = 2
COLUMNS = (
    *LABELS,
    "document",
    "difficulty",
    "standing",
    "follows",
    "foreign",
    "small_right",
    "large_right",
)
"""The table's columns: what the piece asks for, or that it is mere text, share one softmax. The others are log odds:
that the request needs a heavy answer, that a system prompt sets one task for whatever comes, that a turn leans on an
earlier one, that the language is none that was trained on, and that a small or a large language model gets it right."""
DOCUMENT, DIFFICULTY, STANDING, FOLLOWS, FOREIGN, SMALL_RIGHT, LARGE_RIGHT = range(len(LABELS), len(COLUMNS))
FIRST_KIND = LABELS.index(KINDS[0])
_TASKS = tuple(map(Task, LABELS[:FIRST_KIND]))
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Raw probability to the chance of being right: straight lines between knots, fitted to held-out sources."""

    raw: tuple[float, ...]
    right: tuple[float, ...]

    def __call__(self, probability: float) -> float:
        """Return the chance of being right, 0 to 1. Never raises."""
        at = bisect_right(self.raw, probability)
        if at in (0, len(self.raw)):
            return self.right[min(at, len(self.raw) - 1)]
        left, width = self.raw[at - 1], self.raw[at] - self.raw[at - 1]
        return self.right[at - 1] + (self.right[at] - self.right[at - 1]) * (probability - left) / width


_BYTES = 32
"""Of a row in memory: numpy copies so many at once, and two rows fill a line of the processor's cache."""


@dataclass(frozen=True, slots=True)
class Table:
    """The trained numbers: int8 cells (rows x `COLUMNS`), a scale per column, a bias per column."""

    cells: npt.NDArray[np.int8]
    scale: Floats
    bias: Floats
    known: npt.NDArray[np.bool_]
    """Word slots that training saw."""
    _wide: npt.NDArray[np.uint64] = field(init=False, repr=False, compare=False)
    """The cells, in rows of `_BYTES`."""

    def __post_init__(self) -> None:
        """Lay the cells out in wide rows; they are not kept twice."""
        rows = np.zeros((len(self.cells), _BYTES), np.int8)
        cells = rows[:, : len(COLUMNS)]
        cells[:] = self.cells
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "_wide", rows.view(np.uint64))

    def scores(self, rows: Rows) -> Floats:
        """Return one row of `COLUMNS` per text, before softmax: sums of int8 rows, scaled. Never raises."""
        order = rows.owner.astype(np.int16).argsort(kind="stable")  # 16 bits: by radix, in linear time
        size = np.bincount(rows.owner, minlength=rows.count.size)
        row = np.append(rows.row.take(order), 0)
        return self._scaled(self._sums(row, (size.cumsum() - size)[None], size[None]), rows.count)

    def scores_of(self, hashed: Hashed) -> Floats:
        """Return the same of features as they are hashed. Never raises."""
        return self._scaled(self._sums(hashed.row, hashed.begin, hashed.size), hashed.counted)

    def _sums(self, row: Places, begin: Places, size: Places) -> npt.NDArray[np.int32]:
        """Return the sums of the cells of each text: of what begins at its places of several lines."""
        cells = self._wide.take(row, axis=0).view(np.int8)[:, : len(COLUMNS)]
        sums = np.add.reduceat(cells, begin.ravel(), axis=0, dtype=np.int32).reshape((*begin.shape, -1))
        if not size.all():
            sums *= (size > 0)[:, :, None]  # where nothing stands, numpy gives what begins there
        added: npt.NDArray[np.int32] = np.add.reduce(sums, axis=0)
        return added

    def _scaled(self, sums: npt.NDArray[np.int32], count: Floats) -> Floats:
        scores = sums * self.scale / np.sqrt(count)[:, None] + self.bias
        return scores.astype(np.float32)

    def familiarity(self, words: Places) -> float:
        """Return the share of words that training saw, 0 to 1; 0 without words."""
        return np.count_nonzero(self.known[words]) / words.size if words.size else 0.0

    def column(self, number: int) -> Floats:
        """Return one column in floating point."""
        values: Floats = self.cells[:, number].astype(np.float32) * self.scale[number]
        return values


@dataclass(frozen=True, slots=True)
class Weights:
    """A table of weights ready to score, and what its manifest says."""

    table: Table
    calibration: Calibration
    decisions: Decisions
    digest: str
    """sha256 of the table, as in the manifest."""
    manifest: Mapping[str, Any]


def shipped_folder() -> Path:
    """Return the folder of the weights that come with the package."""
    return Path(__file__).parent / "artefact"


def load(folder: Path, *, expected: str | None = None) -> Weights:
    """Return the weights of a folder; `expected` is a sha256 that the table must have.

    Raises `ArtefactRefused` when a file is missing, its hash differs, or it is not what this version reads.
    """
    manifest = read_manifest(folder)
    payload = read_checked(folder, TABLE, manifest)
    digest = manifest["sha256"][TABLE]
    if expected is not None and digest != expected:
        raise ArtefactRefused(f"The weights in the folder are {digest[:12]}, not {expected[:12]}.")
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            cells, scale, bias = arrays["table"], arrays["scale"], arrays["bias"]
            known = np.unpackbits(arrays["known"]).astype(np.bool_)
        calibration = Calibration(
            tuple(manifest["calibration"]["raw"]), tuple(manifest["calibration"]["right"])
        )
        decisions = Decisions.read(manifest["decisions"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ArtefactRefused(f"The weights cannot be read ({described(error)}).") from error
    columns = (len(COLUMNS),)
    shapes = (cells.shape, scale.shape, bias.shape, known.shape)
    if shapes != ((ROWS, *columns), columns, columns, (WORDS,)) or cells.dtype != np.int8:
        raise ArtefactRefused("The weights have another shape than this version reads.")
    table = Table(cells, scale.astype(np.float32), bias.astype(np.float32), known)
    return Weights(table, calibration, decisions, digest, manifest)


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Return a folder's manifest. Raises `ArtefactRefused` when it is missing or of another format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = manifest["format"] == FORMAT and tuple(manifest["columns"]) == COLUMNS
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactRefused(f"The manifest of the weights cannot be read ({described(error)}).") from error
    if not known:
        raise ArtefactRefused("The manifest of the weights is of another format.")
    return dict(manifest)


def read_checked(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    """Return a file's bytes if they have the manifest's sha256. Raises `ArtefactRefused` otherwise."""
    try:
        payload = (folder / name).read_bytes()
        wanted = manifest["sha256"][name]
    except (OSError, KeyError, TypeError) as error:
        raise ArtefactRefused(f"{name} is missing ({described(error)}).") from error
    if hashlib.sha256(payload).hexdigest() != wanted:
        raise ArtefactRefused(f"{name} is not the file that the manifest names (sha256 differs).")
    return payload


def probabilities(scores: Floats) -> Floats:
    """Return, per text, the share of each label and of `document`; each row adds up to 1."""
    labels = scores[:, : DOCUMENT + 1]
    shares: Floats = np.exp(labels - np.maximum.reduce(labels, axis=1, keepdims=True))
    shares /= np.add.reduce(shares, axis=1, keepdims=True)
    return shares


def combine(shares: Floats, window: float = 0.3) -> Floats:
    """Return one share per label for a whole turn: its window, and the piece that speaks loudest for each task.

    The instruction is somewhere among the pieces; attached text answers `document` and so says little. The kinds of
    `other` speak as one task, or six faint suspicions in as many pieces would add up to a loud one.
    """
    if len(shares) == 1:
        labels: Floats = alone(shares)[0]
        return labels
    spoken = shares.copy()
    # In the place of `document`, all kinds together.
    np.add.reduce(shares[:, FIRST_KIND:DOCUMENT], axis=1, out=spoken[:, DOCUMENT])
    loudest = window * spoken[0] + (1 - window) * np.maximum.reduce(spoken, axis=0)
    labels, kinds = loudest[:DOCUMENT], loudest[FIRST_KIND:DOCUMENT]
    total = np.add.reduce(kinds)
    kinds *= loudest[DOCUMENT]
    kinds /= total
    labels /= np.add.reduce(labels)
    return labels


def alone(shares: Floats) -> Floats:
    """Return one share per label for each of several turns that are but a window."""
    labels = shares[:, :DOCUMENT].copy()
    labels /= np.add.reduce(labels, axis=1, keepdims=True)
    return labels


def best(shares: Sequence[float]) -> tuple[Task, str, float]:
    """Return the likeliest task, its detail, and its share. The kinds of `other` count together."""
    tasks, kinds = shares[:FIRST_KIND], shares[FIRST_KIND:]
    other, share = sum(kinds), max(tasks)
    if share >= other:
        return _TASKS[tasks.index(share)], "", share
    return Task.OTHER, KINDS[kinds.index(max(kinds))], other
