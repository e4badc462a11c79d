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
_SHORTEST, _LONGEST = min(CHAR_ORDERS), max(CHAR_ORDERS)
_PAD = _BREAK * _LONGEST
"""Ends the last text, and leaves room for an n-gram to begin at each of its characters."""
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
_ORDER_SALTS = np.array([[order] for order in CHAR_ORDERS], dtype=np.uint64)
_OTHER = 128
"""Stands for every character beyond ASCII: all of them are taken for letters."""
_LETTERS = np.zeros(_OTHER + 1, dtype=np.bool_)
_LETTERS[[*map(ord, string.ascii_lowercase), ord("0"), _OTHER]] = True
_TO_ASKED, _TO_BREAKS, _ASKED = 16, 32, 0xFFFF
_MARKS = np.zeros(_OTHER + 1, dtype=np.int64)
_MARKS[[ord(end) for end in ".!?:;"]] = 1
_MARKS[ord("?")] += 1 << _TO_ASKED
_MARKS[ord(_BREAK)] = 1 << _TO_BREAKS
"""What is counted along the text, three counters in one number: ends of sentences, those that ask, ends of texts."""


def _powers(base: int) -> Hashes:
    powers = [1]
    for _ in range(MAX_CHARS + _LONGEST):
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
class HashedRows:
    """Some features: their hashes, and the text of each, counted from 1."""

    hash: Hashes
    text: Places


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
    joined = (_BREAK + _BREAK.join([f" {text} " for text in texts]))[: MAX_CHARS - 1] + _PAD
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), dtype=np.uint32)
    chars = np.minimum(codes, _OTHER)
    prefix = _running((codes + np.uint32(1)) * _POWERS[: codes.size])
    marks = _running(_MARKS[chars])
    breaks = marks >> _TO_BREAKS
    words = _words(_LETTERS[chars], prefix, breaks)
    counted = [_grams(prefix, breaks), HashedRows(words.hash ^ _WORD_SALT, words.text), *_pairs(words)]
    size = sum(found.text.size for found in counted)
    every = [*counted, *_openings(marks, words)]
    row = np.maximum(_rows(np.concatenate([found.hash for found in every])), 1)
    owner = np.concatenate([found.text for found in every])
    owner -= 1
    count = np.maximum(np.bincount(owner[:size], minlength=len(texts))[: len(texts)], 1).astype(np.float32)
    if any(cues):
        of = [number for number, found in enumerate(cues) for _ in found]
        row = np.concatenate((row, np.array([cue for found in cues for cue in found], dtype=np.int64)))
        owner = np.concatenate((owner, np.array(of, dtype=np.int64)))
    return Rows(row, owner, count, (words.mixed >> _WORD_SHIFT).view(np.int64))


def _grams(prefix: Hashes, breaks: Places) -> HashedRows:
    """Return the n-grams of all orders that lie within one text, from what runs over the codes.

    Of every place at once, one line for each order: to pick the places first takes three times as long.
    """
    places = prefix.size - _LONGEST
    begin = breaks[:places]
    within = _later(breaks, places) == begin
    spans = _later(prefix, places) - prefix[:places]
    spans *= _INVERSE_POWERS[:places]
    spans += _ORDER_SALTS
    text = np.ndarray(
        within.shape, breaks.dtype, breaks, 0, (0, breaks.itemsize)
    )  # `begin`, once for each order
    return HashedRows(spans[within], text[within])


def _later(running: npt.NDArray[Any], places: int) -> npt.NDArray[Any]:
    """Return what has run up at the end of an n-gram from each place, a line for each of `CHAR_ORDERS`: a view."""
    step = running.itemsize
    return np.ndarray((len(CHAR_ORDERS), places), running.dtype, running, _SHORTEST * step, (step, step))


def _pairs(words: Words) -> Iterator[HashedRows]:
    """Yield words with the next one of their text, and with the one after that."""
    for gap, salt in ((1, _PAIR_SALT), (2, _SKIP_SALT)):
        same = words.text[:-gap] == words.text[gap:]
        yield HashedRows((words.mixed[:-gap] ^ words.hash[gap:])[same] ^ salt, words.text[:-gap][same])


def _rows(hashes: Hashes) -> npt.NDArray[np.int64]:
    """Return where in the table hashes fall, 0 included. The hashes are used up."""
    hashes *= _MIX
    hashes >>= _HIGH
    hashes *= np.uint64(ROWS)
    hashes >>= _HIGH
    return hashes.view(np.int64)


def _openings(marks: Places, words: Words) -> Iterator[HashedRows]:
    """Yield what opens each sentence: its first word, its first two, and both facts again where it asks.

    "List the keys" and "keys on the list" hold the same words; what is asked for is said by the first.
    """
    if not words.hash.size:
        return
    before = marks[words.start]
    first = np.ones(words.hash.size, np.bool_)
    first[1:] = before[1:] > marks[words.end[:-1]]  # a sentence or a text has ended between the two words
    at = first.nonzero()[0]
    text, opening = words.text[at], words.hash[at]
    yield HashedRows(opening ^ _FIRST_SALT, text)
    following = np.minimum(at + 1, words.hash.size - 1)
    same = (following > at) & (words.text[following] == text)
    yield HashedRows((words.mixed[at] ^ words.hash[following] ^ _FIRST_PAIR_SALT)[same], text[same])
    if not marks[-1] >> _TO_ASKED & _ASKED:
        return
    # Counted up to the next sentence's first word, or to the text's end: what is asked there belongs to no other.
    ends = (marks >> _TO_BREAKS).searchsorted(text + 1)
    until = np.minimum(np.concatenate((words.start[at[1:]], (marks.size - 1,))), ends - 1)
    asked = marks >> _TO_ASKED & _ASKED
    asking = asked[until] > asked[words.start[at]]
    yield HashedRows((opening ^ _ASKING_SALT)[asking], text[asking])
    yield HashedRows(np.full(np.count_nonzero(asking), _ASKING_SALT), text[asking])


def _running(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sum of the numbers before each place, and that of all."""
    sums = np.zeros(numbers.size + 1, numbers.dtype)
    numbers.cumsum(out=sums[1:])
    return sums


def _words(inside: npt.NDArray[np.bool_], prefix: Hashes, breaks: Places) -> Words:
    edges = (inside[1:] != inside[:-1]).nonzero()[0] + 1  # the first and the last character are breaks
    starts, ends = edges[::2], edges[1::2]
    spans = (prefix[ends] - prefix[starts]) * _INVERSE_POWERS[
        starts
    ]  # the same wherever in the text they stand
    return Words(spans, spans * _MIX, breaks[starts], starts, ends)
