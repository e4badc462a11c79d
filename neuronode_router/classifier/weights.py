"""The shipped weights: loaded by hash, scored with numpy. Nothing in them can run code (no pickle).

It must not know cues or tiers.
"""

from __future__ import annotations

import hashlib
import io
import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuronode_router.classifier.classification import KINDS, LABELS, Task
from neuronode_router.classifier.decisions import Decisions
from neuronode_router.classifier.features import ROWS, WORDS, Rows
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


@dataclass(frozen=True, slots=True)
class Table:
    """The trained numbers: int8 cells (rows x `COLUMNS`), a scale per column, a bias per column."""

    cells: npt.NDArray[np.int8]
    scale: Floats
    bias: Floats
    known: npt.NDArray[np.bool_]
    """Word slots that training saw."""

    def scores(self, rows: Rows) -> Floats:
        """Return one row of `COLUMNS` per text, before softmax: sums of int8 rows, scaled. Never raises."""
        order = rows.owner.astype(np.int16).argsort(kind="stable")  # 16 bits: by radix, in linear time
        sizes = np.bincount(rows.owner, minlength=rows.count.size)
        starts = sizes.cumsum() - sizes
        cells = self.cells.take(rows.row.take(order), axis=0)
        sums = np.add.reduceat(cells, starts, axis=0, dtype=np.int32)
        scores = sums * self.scale / np.sqrt(rows.count)[:, None] + self.bias
        return scores.astype(np.float32)

    def familiarity(self, rows: Rows) -> float:
        """Return the share of words that training saw, 0 to 1; 0 without words."""
        return np.count_nonzero(self.known[rows.words]) / rows.words.size if rows.words.size else 0.0

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
    shares = np.exp(labels - labels.max(axis=1, keepdims=True))
    result: Floats = shares / shares.sum(axis=1, keepdims=True)
    return result


def combine(shares: Floats, window: float = 0.3) -> Floats:
    """Return one share per label for a whole turn: its window, and the piece that speaks loudest for each task.

    The instruction is somewhere among the pieces; attached text answers `document` and so says little. The kinds of
    `other` speak as one task, or six faint suspicions in as many pieces would add up to a loud one.
    """
    if len(shares) == 1:
        labels: Floats = shares[0, :DOCUMENT] / shares[0, :DOCUMENT].sum()
        return labels
    others = shares[:, FIRST_KIND:DOCUMENT]
    together = np.add.reduce(others, axis=1, keepdims=True)
    tasks = _loudest(np.concatenate((shares[:, :FIRST_KIND], together), axis=1), window)
    kinds = _loudest(others, window)
    labels = np.concatenate((tasks[:-1], tasks[-1] * kinds / kinds.sum()))
    labels /= labels.sum()
    return labels


def _loudest(shares: Floats, window: float) -> Floats:
    mixed: Floats = window * shares[0] + (1 - window) * np.maximum.reduce(shares, axis=0)
    return mixed


def best(shares: Floats) -> tuple[Task, str, float]:
    """Return the likeliest task, its detail, and its share. The kinds of `other` count together."""
    each: list[float] = shares.tolist()  # so few numbers are sooner added up without numpy
    tasks, kinds = each[:FIRST_KIND], each[FIRST_KIND:]
    other, share = sum(kinds), max(tasks)
    if share >= other:
        return Task(LABELS[tasks.index(share)]), "", share
    return Task.OTHER, KINDS[kinds.index(max(kinds))], other
