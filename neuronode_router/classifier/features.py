"""Turn short texts into rows of the weight table: hashed character and word n-grams, in numpy, linear in their length.

It must not know tasks, tiers or weights; training and serving share it, so that both see the same features.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

ROWS = 1 << 15
"""Rows of the weight table. Row 0 takes what belongs to no text, and weighs nothing."""
WORDS = 1 << 17
"""Slots of the vocabulary: it only tells whether a word was ever seen."""
CHAR_ORDERS = (3, 4, 5)
CUE_WEIGHT = 4
MAX_CHARS = 4096
"""No call looks at more characters than this, all texts together."""

_BREAK = "\n"
_SHIFT, _WORD_SHIFT = np.uint64(64 - 15), np.uint64(64 - 17)
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xD6E8FEB86659FD93)
_WORD_SALT, _PAIR_SALT, _SKIP_SALT = (
    np.uint64(n) for n in (0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3)
)


def _powers(base: int) -> npt.NDArray[np.uint64]:
    powers = [1]
    for _ in range(MAX_CHARS):
        powers.append(powers[-1] * base % 2**64)
    return np.array(powers, dtype=np.uint64)


_POWERS = _powers(_BASE)
_INVERSE_POWERS = _powers(pow(_BASE, -1, 2**64))


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of the weight table the texts touch: `owner[i]` is the text that `row[i]` belongs to."""

    row: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    count: npt.NDArray[np.float32]
    """How many features each text has, at least 1."""
    words: npt.NDArray[np.int64]
    """Which of `WORDS` slots the words of all texts fall into."""


@cache
def cue_rows(task: str, cue: str) -> tuple[int, ...]:
    """Return the rows of a cue: its own and its task's, several times over, so that it outweighs single n-grams."""
    own, shared = (
        1 + zlib.crc32(name.encode()) % (ROWS - 1) for name in (f"cue {task} {cue}", f"task {task}")
    )
    return (own, shared) * CUE_WEIGHT


def hash_rows(texts: Sequence[str], cues: Sequence[Sequence[int]] = ()) -> Rows:
    """Return the features of folded, single-line texts (`excerpt.fold`); at most `MAX_CHARS` in all. Never raises.

    `cues[i]` are the `cue_rows` of all cues found in `texts[i]`.
    """
    joined = (_BREAK + _BREAK.join(f" {text} " for text in texts) + _BREAK)[:MAX_CHARS]
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), dtype=np.uint32)
    breaks = np.cumsum(codes == ord(_BREAK))
    prefix = np.concatenate(
        (np.zeros(1, np.uint64), np.cumsum((codes + np.uint32(1)) * _POWERS[: codes.size]))
    )
    rows, owners = [], []
    for order in CHAR_ORDERS:
        starts = np.arange(max(0, codes.size - order + 1))
        whole = breaks[starts] == breaks[starts + order - 1]
        starts = starts[whole & (codes[starts] != ord(_BREAK))]
        rows.append(_spans(prefix, starts, starts + order) + np.uint64(order))
        owners.append(breaks[starts])
    words, word_owner = _words(codes, prefix, breaks)
    rows.append(words ^ _WORD_SALT)
    owners.append(word_owner)
    for gap, salt in ((1, _PAIR_SALT), (2, _SKIP_SALT)):
        same = word_owner[:-gap] == word_owner[gap:]
        rows.append(((words[:-gap] * _MIX) ^ words[gap:])[same] ^ salt)
        owners.append(word_owner[:-gap][same])
    owner = np.concatenate(owners).astype(np.int64) - 1
    row = np.maximum(((np.concatenate(rows) * _MIX) >> _SHIFT).astype(np.int64), 1)
    count = np.maximum(np.bincount(owner, minlength=len(texts))[: len(texts)], 1).astype(np.float32)
    flat = [cue for found in cues for cue in found]
    if flat:
        row = np.concatenate((row, np.array(flat, dtype=np.int64)))
        owner = np.concatenate((owner, np.repeat(np.arange(len(cues)), [len(found) for found in cues])))
    return Rows(row, owner, count, ((words * _MIX) >> _WORD_SHIFT).astype(np.int64))


def _spans(
    prefix: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """Return one hash per span, the same wherever in the text the span stands."""
    spans: npt.NDArray[np.uint64] = (prefix[ends] - prefix[starts]) * _INVERSE_POWERS[starts]
    return spans


def _words(
    codes: npt.NDArray[np.uint32], prefix: npt.NDArray[np.uint64], breaks: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    inside = (codes >= 128) | ((codes >= ord("a")) & (codes <= ord("z"))) | (codes == ord("0"))
    edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    return _spans(prefix, starts, ends), breaks[starts]
