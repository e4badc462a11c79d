"""Unicode's normal forms in linear time.

Python's own takes time by the square of the marks on one letter, and lets nothing else run. It must not know what a
text is for.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Literal

MARKS = 30
"""How many marks on one letter are taken together: nothing that is written has more (UAX #15, stream-safe format)."""

_RUN_OF_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MARKS}}}")
"""Whatever may be a mark."""
_LETTERS_THAT_ARE_MARKS = (("\uff9e", "\u3099"), ("\uff9f", "\u309a"))
"""Narrow Japanese ones, by what NFKC makes of them."""


def normalized(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return a text in a normal form; marks beyond `MARKS` stand as if on no letter. Never raises."""
    if text.isascii() or unicodedata.is_normalized(form, text):
        return text
    if form == "NFKC":
        for narrow, mark in _LETTERS_THAT_ARE_MARKS:
            text = text.replace(narrow, mark)
    ends = (found.end() for found in _RUN_OF_MARKS.finditer(text))
    return "".join(unicodedata.normalize(form, text[a:b]) for a, b in pairwise((0, *ends, len(text))))
