"""Turn short texts into rows of the weight table: hashed character and word n-grams, in numpy, linear in their length.

What costs is each call of numpy more than a text's length: all texts are hashed at once, in lines along them, and what
is no feature falls to row 0. It must not know tasks, tiers or weights; training and serving share it.
"""

from __future__ import annotations

import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

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
Flags = npt.NDArray[np.bool_]

_BREAK = "\n"
_SHORTEST, _LONGEST = min(CHAR_ORDERS), max(CHAR_ORDERS)
_BEFORE = "\0"
"""Stands before the first text and counts for nothing: whatever runs along the texts begins with 0."""
_WORDS_AFTER = 2
_AFTER = _BREAK * _LONGEST + f"0{_BREAK}" * _WORDS_AFTER
"""Ends the last text: room for an n-gram at each of its characters, and words of no text to follow its last ones."""
_ONE, _LEAST = np.array(1, np.uint32), np.array(1, np.int64)
"""As arrays, like the numbers below: numpy would make an array of a scalar for each call."""
_HIGH, _TABLE, _WORD_SHIFT = (np.array(number, np.uint64) for number in (32, ROWS, 64 - 17))
_BASE = 0x9E3779B97F4A7C15
_MIX = np.array(0xD6E8FEB86659FD93, np.uint64)
_WORD_SALT, _PAIR_SALT, _SKIP_SALT, _FIRST_SALT, _FIRST_PAIR_SALT, _ASKING_SALT = (
    0xA0761D6478BD642F,
    0xE7037ED1A0B428DB,
    0x8EBC6AF09C88C6E3,
    0x589965CC75374CC3,
    0x1D8E4E27C47D124F,
    0xEB44ACCAB455D165,
)


def _column(*numbers: int) -> Hashes:
    return np.array([[number] for number in numbers], dtype=np.uint64)


_ORDER_SALTS = _column(*CHAR_ORDERS)
_IN_ORDER, _OPENING, _TOLD = 3, 4, 2
"""Features of each word: alone, with the next one of its text, with the one after that. And of one that opens a
sentence: alone, with the next one; and where the sentence asks, alone again, and that it does."""
_LINES = {
    words: np.array([[len(CHAR_ORDERS)], [words], [1]]) for words in (_IN_ORDER + _TOLD, _IN_ORDER + _OPENING)
}
"""Features at each place, of each word, and in each row of cues, by those of each word."""
_IN_ORDER_SALTS = _column(_WORD_SALT, _PAIR_SALT, _SKIP_SALT)
_WITH_ANOTHER = _column(0, 2**64 - 1, 2**64 - 1)
_OPENING_SALTS = _column(_WORD_SALT ^ _FIRST_SALT, _PAIR_SALT ^ _FIRST_PAIR_SALT)
"""From the hash of a word alone, and with the next one, to that of the same where it opens a sentence."""
_ASKING_WORD, _ASKING = (np.array(number, np.uint64) for number in (_WORD_SALT ^ _ASKING_SALT, _ASKING_SALT))


def _counts(*shorter: int) -> list[int]:
    """Return how many runs there are in so many places: of each kind fewer than places, by as many as is given."""
    return [sum(max(places - less, 0) for less in shorter) for places in range(MAX_CHARS + 2)]


_GRAMS_IN, _IN_ORDER_IN = _counts(*CHAR_ORDERS), _counts(*range(_IN_ORDER))
"""How many features count of a text by its places, the one of its end included, and by its words."""
_OTHER = 128
"""Stands for every character beyond ASCII, which is clipped to it: all of them are taken for letters."""
_LETTERS = np.zeros(_OTHER + 1, dtype=np.bool_)
_LETTERS[[*map(ord, string.ascii_lowercase), ord("0"), _OTHER]] = True
_TO_ASKED, _TO_BREAKS, _ASKED = 16, 32, 0xFFFF
_MARKS = np.zeros(_OTHER + 1, dtype=np.int64)
_MARKS[[ord(end) for end in ".!?:;"]] = 1
_MARKS[ord("?")] += 1 << _TO_ASKED
_MARKS[ord(_BREAK)] = 1 << _TO_BREAKS
"""What is counted along the texts, three counters in one number: ends of sentences, those that ask, ends of texts."""


def _powers(base: int) -> Hashes:
    powers = [1]
    for _ in range(MAX_CHARS + len(_AFTER)):
        powers.append(powers[-1] * base % 2**64)
    return np.array(powers, dtype=np.uint64)


_POWERS = np.concatenate((np.zeros(len(_BEFORE), np.uint64), _powers(_BASE)))
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


class Hashed(NamedTuple):
    """The features of some texts, laid out as their weights are added up soonest: text by text, kind by kind."""

    row: Places
    """Row 0 where there is no feature, and at the end, so that nothing begins beyond it."""
    begin: Places
    """Where each text begins in `row`: a line for n-grams, for words, and for cues where there are any."""
    size: Places
    """Of each text, in the same lines: its places, its words, and its rows of cues, of which the first is row 0."""
    counted: npt.NDArray[np.float32]
    """How many features each text has, as `Rows.count`."""
    mixed: Hashes
    """The hash of each word, spread over all bits."""

    @property
    def words(self) -> Places:
        """Which of `WORDS` slots the words of all texts fall into."""
        return (self.mixed >> _WORD_SHIFT).view(np.int64)


@cache
def cue_rows(task: str, cue: str) -> tuple[int, ...]:
    """Return the rows of a cue: its own and its task's, several times over, so that it outweighs single n-grams."""
    own, shared = (
        1 + zlib.crc32(name.encode()) % (ROWS - 1) for name in (f"cue {task} {cue}", f"task {task}")
    )
    return (own, shared) * CUE_WEIGHT


def hash_rows(texts: Sequence[str], cues: Sequence[Sequence[int]] = ()) -> Rows:
    """Return the features of `hash_lines`, each with its text: what can be kept and learned from. Never raises."""
    if not texts:
        none = np.empty(0, np.int64)
        return Rows(none, none, none.astype(np.float32), none)
    hashed = hash_lines(texts, cues)
    ends = (*hashed.begin[1:, 0].tolist(), hashed.row.size - 1)
    kinds = zip(hashed.begin[:, 0].tolist(), ends, hashed.size, strict=True)
    rows, owners = zip(*(_owned(hashed.row[begin:end], size) for begin, end, size in kinds), strict=True)
    return Rows(np.concatenate(rows), np.concatenate(owners), hashed.counted, hashed.words)


def _owned(flat: Places, size: Places) -> tuple[Places, Places]:
    """Return the rows of a kind, all first ones of a place before all second ones, and the text of each."""
    owner = np.arange(size.size).repeat(size)
    row = flat.reshape(owner.size, -1).T if owner.size else flat[:0]
    there = row > 0
    return row[there], np.broadcast_to(owner, row.shape)[there]


def hash_lines(texts: Sequence[str], cues: Sequence[Sequence[int]] = ()) -> Hashed:
    """Return the features of folded, single-line texts (`excerpt.fold`); at most `MAX_CHARS` in all. Never raises.

    `cues[i]` are the `cue_rows` of all cues found in `texts[i]`.
    """
    run = _run(texts)
    there = _spoken(run)
    grams, size = (len(CHAR_ORDERS), run.places), len(CHAR_ORDERS) * run.places
    hashes = np.empty(size + there.size, np.uint64)
    _grams(run.prefix, hashes[:size].reshape(grams))
    mixed = _words(run, hashes[size:].reshape(there.shape))
    line = _rows(hashes)
    found = [row for own in cues for row in (0, *own)] if any(cues) else []
    row = np.empty(line.size + len(found) + 1, np.int64)
    within = np.equal(_later(run.breaks, _SHORTEST, grams), run.breaks[: run.places])
    np.multiply(line[:size].reshape(grams), within, out=row[:size].reshape(grams[::-1]).T)
    spoken = row[size : line.size].reshape(there.shape[::-1])
    np.multiply(line[size:].reshape(there.shape), there, out=spoken.T)
    row[line.size :] = *found, 0
    start = _starts(run, len(texts), cues if found else ())
    begin = start[:, :-1] * _LINES[len(there)][: len(start)]
    begin[1] += size
    begin[2:] += line.size
    sizes = start[:, 1:] - start[:, :-1]
    counts = [
        _GRAMS_IN[places] + _IN_ORDER_IN[words] for places, words in zip(*sizes[:2].tolist(), strict=True)
    ]
    return Hashed(row, begin, sizes, np.maximum(counts, 1, dtype=np.float32), mixed)


class _Run(NamedTuple):
    """What runs along the texts: for each place, of whatever stands before it."""

    prefix: Hashes
    marks: Places
    breaks: Places
    """Of `marks`, the ends of texts."""
    edges: Places
    """Where each word starts and ends."""
    of: Places
    """In which text each word is, counted from 1."""
    places: int
    """As many as characters; the words beyond them are no text's."""


def _run(texts: Sequence[str]) -> _Run:
    joined = f"{_BEFORE}{_BREAK}{_BREAK.join([f' {text} ' for text in texts])}"[:MAX_CHARS]
    codes = np.frombuffer(f"{joined}{_AFTER}".encode("utf-32-le", "replace"), dtype=np.uint32)
    marks = _MARKS.take(codes, mode="clip").cumsum()
    breaks = marks >> _TO_BREAKS
    letters = _LETTERS.take(codes, mode="clip")
    edges = (letters[1:] != letters[:-1]).nonzero()[0]
    prefix = ((codes + _ONE) * _POWERS[: codes.size]).cumsum()
    return _Run(prefix, marks, breaks, edges, breaks.take(edges[::2]), len(joined))


def _starts(run: _Run, texts: int, cues: Sequence[Sequence[int]]) -> Places:
    """Return where each text starts and the last one ends: among places, words, and cues where there are any."""
    numbers = np.arange(1, texts + 2)
    start = np.empty((2 + bool(cues), numbers.size), np.int64)
    start[0] = run.breaks.searchsorted(numbers)
    start[1] = run.of.searchsorted(numbers)
    if run.places == MAX_CHARS:  # texts beyond the bound have nothing
        np.minimum(start[:2], [[run.places], [run.of.size - _WORDS_AFTER]], out=start[:2])
    if cues:
        start[2] = [0, *accumulate(1 + len(own) for own in cues)]
    return start


def _grams(prefix: Hashes, hashes: Hashes) -> None:
    """Write down the n-gram at each place, a line for each order."""
    places = hashes.shape[1]
    np.subtract(_later(prefix, _SHORTEST, hashes.shape), prefix[:places], out=hashes)
    hashes *= _INVERSE_POWERS[:places]
    hashes += _ORDER_SALTS


def _later(running: npt.NDArray[Any], first: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return lines of what stands `first` places later, one more, and so on: a view."""
    step = running.itemsize
    return np.ndarray(shape, running.dtype, running, first * step, (step, step))


def _words(run: _Run, hashes: Hashes) -> Hashes:
    """Write down each word and what it may open, a line for each feature, and return its mixed hash."""
    starts, at = run.edges[::2], run.prefix.take(run.edges)
    word = (at[1::2] - at[::2]) * _INVERSE_POWERS.take(starts)  # the same wherever in the text it stands
    mixed = word[: hashes.shape[1]] * _MIX
    in_order, opening = hashes[:_IN_ORDER], hashes[_IN_ORDER:]
    np.bitwise_and(_WITH_ANOTHER, mixed, out=in_order)
    in_order ^= _later(word, 0, in_order.shape)
    in_order ^= _IN_ORDER_SALTS
    np.bitwise_xor(in_order[:2], _OPENING_SALTS, out=opening[:2])
    if len(opening) > _TOLD:
        np.bitwise_xor(in_order[0], _ASKING_WORD, out=opening[2])
        opening[3] = _ASKING
    return mixed


def _spoken(run: _Run) -> Flags:
    """Return which words others of their text follow, which open a sentence, and, if any does, which one that asks.

    "List the keys" and "keys on the list" hold the same words; what is asked for is said by the first.
    """
    words, asked = run.of.size - _WORDS_AFTER, int(run.marks[-1]) >> _TO_ASKED & _ASKED
    there = np.empty((_IN_ORDER + (_OPENING if asked else _TOLD), words), np.bool_)
    np.equal(_later(run.of, 0, (_IN_ORDER, words)), run.of[:words], out=there[:_IN_ORDER])
    at = run.marks.take(run.edges[: 2 * words])
    first = there[_IN_ORDER]
    first[:1] = True
    np.greater(at[2::2], at[1:-1:2], out=first[1:])  # a sentence or a text has ended between the two words
    np.logical_and(first, there[1], out=there[_IN_ORDER + 1])
    if asked:
        there[_IN_ORDER + _TOLD :] = _asks(run, first)
    return there


def _asks(run: _Run, first: Flags) -> Flags:
    """Return which first words open a sentence that asks."""
    at, starts = first.nonzero()[0], run.edges[::2]
    # Counted up to the next sentence's first word, or to the text's end: what is asked there belongs to no other.
    ends = run.breaks.searchsorted(run.of[at] + 1) - 1
    until = np.minimum(np.append(starts[at[1:]], ends[-1:]), ends)
    asked = run.marks >> _TO_ASKED & _ASKED
    asks = np.zeros_like(first)
    asks[at] = asked[until] > asked[starts[at]]
    return asks


def _rows(hashes: Hashes) -> Places:
    """Return where in the table hashes fall: not into row 0. The hashes are used up."""
    hashes *= _MIX
    hashes >>= _HIGH
    hashes *= _TABLE
    hashes >>= _HIGH
    rows = hashes.view(np.int64)
    return np.maximum(rows, _LEAST, out=rows)
