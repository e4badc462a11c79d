"""What the trained weights read of a turn, without its text: enough to learn from it later.

It must not know files or decisions. The features are hashes of parts of words: they hold no text, but whoever has
them can test whether a guessed text fits, so they are to be kept like personal data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from neuronode_router.classifier import lexicon, weights
from neuronode_router.classifier.classification import Carrier
from neuronode_router.classifier.excerpt import Excerpt
from neuronode_router.classifier.features import Rows, cue_rows, hash_rows

_PROBE = ("fasse den artikel kurz zusammen.", "what is 00 + 0? `x = [0]`", "nein")
_ROW, _WORD, _OWNER, _COUNT = "<u2", "<u4", "u1", "<f4"


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows as bytes, little-endian: what a database keeps."""

    row: bytes
    owner: bytes
    count: bytes
    words: bytes


def observe(turn: Excerpt, cues: lexicon.Lexicon, carrier: Carrier = Carrier.TURN) -> Rows:
    """Return the features of the part that carries the instruction, as `Classifier` computes them.

    A turn without pieces has none to score.
    """
    pieces = turn.carrying(carrier)
    found = [[row for rule in cues.find(piece) for row in cue_rows(rule.task, rule.cue)] for piece in pieces]
    return hash_rows(pieces, found)


def pack(rows: Rows) -> Packed:
    """Return the features as bytes: about two for each. Never raises."""
    return Packed(
        rows.row.astype(_ROW).tobytes(),
        rows.owner.astype(_OWNER).tobytes(),
        rows.count.astype(_COUNT).tobytes(),
        np.unique(rows.words).astype(_WORD).tobytes(),
    )


def unpack(packed: Packed) -> Rows:
    """Return the features again; words that occurred several times occur once."""
    return Rows(
        _numbers(packed.row, _ROW),
        _numbers(packed.owner, _OWNER),
        np.frombuffer(packed.count, dtype=_COUNT).astype(np.float32),
        _numbers(packed.words, _WORD),
    )


@cache
def scheme() -> str:
    """Return a name of the way features are computed: weights and features of different schemes do not fit."""
    rows = hash_rows(_PROBE, [cue_rows("summary", "probe"), (), ()])
    parts: Sequence[bytes] = (
        rows.row.tobytes(),
        rows.owner.tobytes(),
        rows.count.tobytes(),
        rows.words.tobytes(),
    )
    return hashlib.sha256(b"".join((*parts, repr(weights.COLUMNS).encode()))).hexdigest()[:16]


def _numbers(payload: bytes, form: str) -> npt.NDArray[np.int64]:
    return np.frombuffer(payload, dtype=form).astype(np.int64)
