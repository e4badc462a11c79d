"""How many tokens texts are, estimated from the kinds of their characters: exact up to a bound, sampled beyond it.

No tokenizer is asked: a deployment's own is unknown here, and the quickest takes milliseconds. The weights are the
upper edge of six tokenizers (benchmarks/tokens.py): a text may have fewer tokens than this says, hardly ever more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

WINDOWS, WINDOW = 40, 128
"""Texts that are longer together than these are judged by as many windows of so many characters, evenly spread."""
FEW = 8
"""Windows by which each of many texts is judged that are served one by one."""

_KINDS: tuple[tuple[str, float, tuple[tuple[int, int], ...]], ...] = (
    ("other", 3.0, ((0x0000, 0xFFFF),)),
    ("upper", 0.0, ((0x41, 0x5A),)),
    ("digit", 1.243, ((0x30, 0x39),)),
    ("space", 0.0, ((0x20, 0x20),)),
    ("break", 0.992, ((0x00, 0x1F), (0x7F, 0x7F))),
    ("punctuation", 0.805, ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E))),
    ("western", 0.640, ((0xC0, 0xFF),)),
    ("latin", 1.220, ((0x100, 0x24F),)),
    ("vietnamese", 1.047, ((0x1E00, 0x1EFF),)),
    ("symbol", 4.0, ((0x80, 0xBF), (0x250, 0x36F), (0x2000, 0x2FFF), (0xFE00, 0xFE6F))),
    ("greek", 1.06, ((0x370, 0x3FF), (0x1F00, 0x1FFF))),
    ("cyrillic", 0.63, ((0x410, 0x44F),)),
    ("further cyrillic", 1.8, ((0x400, 0x40F), (0x450, 0x52F))),
    ("armenian", 2.068, ((0x530, 0x58F),)),
    ("hebrew", 1.132, ((0x590, 0x5FF),)),
    ("arabic", 0.813, ((0x600, 0x77F), (0xFB00, 0xFDFF), (0xFE70, 0xFEFF))),
    ("devanagari", 1.204, ((0x900, 0x97F),)),
    ("thai", 0.904, ((0xE00, 0xE7F),)),
    ("georgian", 2.043, ((0x10A0, 0x10FF),)),
    ("han", 1.42, ((0x3000, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF))),
    ("rare", 3.0, ((0x1780, 0x17FF), (0x3400, 0x4DBF), (0xE000, 0xF8FF))),
    ("hangul", 1.33, ((0x1100, 0x11FF), (0xAC00, 0xD7FF))),
    ("surrogate", 2.0, ((0xD800, 0xDFFF),)),
)
"""Kinds of UTF-16 units, what one of them costs in tokens, and where they stand. Later ones go before earlier ones."""

_PAIRS: tuple[tuple[str, str, float], ...] = (
    ("upper", "lower", 0.200),
    ("upper", "upper", 0.364),
    ("digit", "digit", -0.245),
    ("break", "break", -0.8),
    ("lower", "digit", 0.786),
    ("digit", "lower", 0.786),
    ("upper", "digit", 0.786),
    ("digit", "upper", 0.786),
)
"""What a unit costs more, or less, after one of another kind."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_STEP = 0.03
_SPELT = (
    "p296pppppp822apfpf52pjp42p",
    "oppp2ppppkp2pp9ppppppppppp",
    "gppp2pp2pp22pp2pppp2pppppp",
    "2ppp2ppp3pppoppppppppppppp",
    "ip22p5ppppp2j2pp222pppp2pp",
    "pppppppp3ppppp2ppppp6ppppp",
    "pppp2ppppppppppppgpppppppp",
    "pppp2ppppppppppppppppppppp",
    "pp2p63epp2ppk24pjp22p2p3mp",
    "pppppppppppppppppppppppppp",
    "pppphppppppppppppppppppppp",
    "hppp4ppp2pp2pppppp7opppp2p",
    "4ppp2pppppppppc2pppppppphp",
    "op229p2pppppppg2pp22pppppp",
    "pk24p2pppp2p22p2p22ple9ppp",
    "2pppepppppp2pp22p2p22pppmp",
    "pppppppppppppppppppp2ppppp",
    "gpnp2p6pppppdpdpp6d2pppp2p",
    "pp2p2pppppppppnnpp222pappp",
    "pppp2pp22ppppp22pe2jpppp2p",
    "pppp2ppppppc3dp2pp72pppppp",
    "8ppp2pppjppppppppppppppppp",
    "2ppppppp8ppppppppppppppppp",
    "kppp9ppp7pppppppppp5pppppp",
    "bppppppppppnppa2pppppppplp",
    "gppppppppppppppppppplpppkp",
    "pe6ppoppcppppp8hppigpppppp",
)
"""What a small letter (column) costs after another one (row), and in the last row after anything else, in steps of
`_STEP` written with digits to base 36. Words of languages that tokenizers learned little of are cut into more pieces,
and they are known by how they are spelt. Fitted to texts of 50 languages, with and without accents, and to random
letters.
"""

_WORD_IN_CAPITALS = 0.29
"""What a capital costs more. Where it follows another one that is in `_PAIRS`."""

_NAMES = [name for name, _, _ in _KINDS]
_FIRST = len(_NAMES)
"""The number of the kind `a`; the other small letters follow, each a kind of its own."""
_MANY = _FIRST + len(LETTERS)


def _kind_of_unit() -> npt.NDArray[np.uint16]:
    kinds = np.zeros(0x10000, np.uint16)
    for number, (_, _, ranges) in enumerate(_KINDS):
        for first, last in ranges:
            kinds[first : last + 1] = number
    kinds[ord("a") : ord("z") + 1] = np.arange(_FIRST, _MANY)
    return kinds


def _numbers(name: str) -> slice:
    if name == "lower":
        return slice(_FIRST, _MANY)
    return slice(_NAMES.index(name), _NAMES.index(name) + 1)


def _cost_of_pair() -> npt.NDArray[np.float32]:
    """Return the cost of a unit of kind `column` after one of kind `row`, as one row of numbers."""
    costs = np.zeros((_MANY, _MANY), np.float32)
    costs[:, :_FIRST] = [cost for _, cost, _ in _KINDS]
    spelt = np.array([[int(digit, 36) for digit in row] for row in _SPELT], np.float32) * _STEP
    costs[:_FIRST, _FIRST:], costs[_FIRST:, _FIRST:] = spelt[-1], spelt[:-1]
    costs[:, _numbers("upper")] += _WORD_IN_CAPITALS
    for before, after, more in _PAIRS:
        costs[_numbers(before), _numbers(after)] += more
    return np.ascontiguousarray(costs.ravel())


_KIND, _COST = _kind_of_unit(), _cost_of_pair()
_SHIFT = 0.618034
"""Repeated texts are not always met at the same place."""
_SPREAD = tuple(number + number * _SHIFT % 1 for number in range(WINDOWS))
"""Where each window begins, counted in stretches."""

_BEFORE_ALL = " ".encode("utf-16-le")
_ROW = np.array(_MANY, np.uint16)


def estimate(texts: Sequence[str]) -> int:
    """Return about how many tokens these texts are. Never raises; 0 for no text.

    The cost does not grow with their length, only with their number.
    """
    total = sum(map(len, texts))
    if not total:
        return 0
    sample = texts if total <= WINDOWS * WINDOW else _windows(texts, WINDOWS)
    joined = "\n".join(sample)
    looked_at = sum(map(len, sample))
    costs = np.add.reduce(_costs(joined.encode("utf-16-le", "surrogatepass")))
    return int(float(costs) * total / looked_at) + 1


def largest(texts: Sequence[str]) -> int:
    """Return about how many tokens the one of these texts is that has the most. Never raises; 0 for none."""
    different = [text for text in set(texts) if text]
    if not different:
        return 0
    sampled = [text if len(text) <= FEW * WINDOW else "".join(_windows([text], FEW)) for text in different]
    units = [text.encode("utf-16-le", "surrogatepass") for text in sampled]
    starts = [0, *accumulate(len(text) // 2 for text in units[:-1])]
    costs = np.add.reduceat(_costs(b"".join(units)), starts)
    longer = np.array([len(text) / len(sample) for text, sample in zip(different, sampled, strict=True)])
    return int((costs * longer).max()) + 1


def _windows(texts: Sequence[str], count: int) -> list[str]:
    """Return so many pieces of the texts, spread as if they were one: each at another place of its stretch."""
    ends = list(accumulate(map(len, texts)))
    step = (ends[-1] - WINDOW) / count
    if len(texts) == 1:
        text = texts[0]
        return [text[(at := int(spread * step)) : at + WINDOW] for spread in _SPREAD[:count]]
    pieces = []
    for spread in _SPREAD[:count]:
        at = int(spread * step)
        place = bisect_right(ends, at)
        start = at - (ends[place] - len(texts[place]))
        pieces.append(texts[place][start : start + WINDOW])
    return pieces


def _costs(text: bytes) -> npt.NDArray[np.float32]:
    """Return what each UTF-16 unit of a text costs."""
    kinds = _KIND.take(np.frombuffer(_BEFORE_ALL + text, np.uint16))
    return _COST.take(kinds[:-1] * _ROW + kinds[1:])
