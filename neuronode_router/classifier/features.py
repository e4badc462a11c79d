"""Turn short texts into rows of the weight table: hashed character and word n-grams, in numpy, linear in their length.

It must not know tasks, tiers or weights; training and serving share it, so that both see the same features.
"""

from __future__ import annotations

import string
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 60_000
"""Rows of the weight table. Row 0 takes what belongs to no text, and weighs nothing."""
WORDS = 1 << 17
"""Slots of the vocabulary: it only tells whether a word was ever seen."""
CHAR_ORDERS = (3, 4, 5)
CUE_WEIGHT = 4
MAX_CHARS = 4096
"""No call looks at more characters than this, all texts together."""

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_BREAK = "\n"
_HIGH, _WORD_SHIFT = np.uint64(32), np.uint64(64 - 17)
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xD6E8FEB86659FD93)
_WORD_SALT, _PAIR_SALT, _SKIP_SALT, _FIRST_SALT, _FIRST_PAIR_SALT, _ASKING_SALT = (
    np.uint64(n)
    for n in (
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
        0x8EBC6AF09C88C6E3,
        0x589965CC75374CC3,
        0x1D8E4E27C47D124F,
        0xEB44ACCAB455D165,
    )
)
_OTHER = 128
"""Stands for every character beyond ASCII: all of them are taken for letters."""
_ENDS = np.zeros(_OTHER + 1, dtype=np.int64)
_ENDS[[ord(end) for end in ".!?:;"]] = 1
_LETTERS = np.zeros(_OTHER + 1, dtype=np.bool_)
_LETTERS[[*map(ord, string.ascii_lowercase), ord("0"), _OTHER]] = True


def _powers(base: int) -> Hashes:
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


@dataclass(frozen=True, slots=True)
class Words:
    """The words of all texts: their hash, their text counted from 1, and where they start and end."""

    hash: Hashes
    mixed: Hashes
    """The hashes, spread over all bits."""
    text: Places
    start: Places
    end: Places


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
    joined = (_BREAK + _BREAK.join(f" {text} " for text in texts))[: MAX_CHARS - 1] + _BREAK
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), dtype=np.uint32)
    breaks = np.cumsum(codes == ord(_BREAK))
    prefix = np.concatenate(
        (np.zeros(1, np.uint64), np.cumsum((codes + np.uint32(1)) * _POWERS[: codes.size]))
    )
    rows, owners = [], []
    inside = codes != ord(_BREAK)
    for order in CHAR_ORDERS:
        places = max(0, codes.size - order + 1)
        whole = inside[:places] & (breaks[:places] == breaks[order - 1 :])
        # By slices, for every place at once: to pick the places first takes three times as long.
        spans = (prefix[order:] - prefix[:places]) * _INVERSE_POWERS[:places]
        rows.append(spans[whole] + np.uint64(order))
        owners.append(breaks[:places][whole])
    ascii_codes = np.minimum(codes, _OTHER)
    words = _words(_LETTERS[ascii_codes], prefix, breaks)
    rows.append(words.hash ^ _WORD_SALT)
    owners.append(words.text)
    for gap, salt in ((1, _PAIR_SALT), (2, _SKIP_SALT)):
        same = words.text[:-gap] == words.text[gap:]
        rows.append((words.mixed[:-gap] ^ words.hash[gap:])[same] ^ salt)
        owners.append(words.text[:-gap][same])
    counted = np.concatenate(owners).astype(np.int64) - 1
    count = np.maximum(np.bincount(counted, minlength=len(texts))[: len(texts)], 1).astype(np.float32)
    for found, of in _openings(ascii_codes, words, asks="?" in joined):
        rows.append(found)
        owners.append(of)
    owner = np.concatenate(owners).astype(np.int64) - 1
    row = np.maximum(_rows(np.concatenate(rows)), 1)
    flat = [cue for found in cues for cue in found]
    if flat:
        row = np.concatenate((row, np.array(flat, dtype=np.int64)))
        owner = np.concatenate((owner, np.repeat(np.arange(len(cues)), [len(found) for found in cues])))
    return Rows(row, owner, count, (words.mixed >> _WORD_SHIFT).astype(np.int64))


def _rows(hashes: Hashes) -> npt.NDArray[np.int64]:
    """Return where in the table hashes fall, 0 included."""
    return (((hashes * _MIX) >> _HIGH) * np.uint64(ROWS) >> _HIGH).astype(np.int64)


def _openings(codes: npt.NDArray[np.uint32], words: Words, *, asks: bool) -> Iterator[tuple[Hashes, Places]]:
    """Yield what opens each sentence: its first word, its first two, and both facts again where it asks. `asks` tells
    whether any does.

    "List the keys" and "keys on the list" hold the same words; what is asked for is said by the first.
    """
    if not words.hash.size:
        return
    closed = _running(_ENDS[codes])
    first = np.ones(words.hash.size, np.bool_)
    first[1:] = (words.text[1:] != words.text[:-1]) | (closed[words.start[1:]] > closed[words.end[:-1]])
    at = np.flatnonzero(first)
    text, opening = words.text[at], words.hash[at]
    yield opening ^ _FIRST_SALT, text
    following = np.minimum(at + 1, words.hash.size - 1)
    same = (following > at) & (words.text[following] == text)
    yield ((words.mixed[at] ^ words.hash[following]) ^ _FIRST_PAIR_SALT)[same], text[same]
    if not asks:
        return
    asked = _running(codes == ord("?"))
    until = np.minimum(np.append(words.start[at[1:]], codes.size), np.flatnonzero(codes == ord(_BREAK))[text])
    asking = asked[until] > asked[words.start[at]]
    yield (opening ^ _ASKING_SALT)[asking], text[asking]
    yield np.full(int(asking.sum()), _ASKING_SALT), text[asking]


def _running(flags: npt.NDArray[Any]) -> Places:
    """Return how many flags are set before each place."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(flags)))


def _spans(prefix: Hashes, starts: Places, ends: Places) -> Hashes:
    """Return one hash per span, the same wherever in the text the span stands."""
    spans: Hashes = (prefix[ends] - prefix[starts]) * _INVERSE_POWERS[starts]
    return spans


def _words(inside: npt.NDArray[np.bool_], prefix: Hashes, breaks: Places) -> Words:
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1  # the first and the last character are breaks
    starts, ends = edges[::2], edges[1::2]
    spans = _spans(prefix, starts, ends)
    return Words(spans, spans * _MIX, breaks[starts], starts, ends)
