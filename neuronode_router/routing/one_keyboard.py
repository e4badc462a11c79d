"""Any text as if all of it had been typed on one keyboard: the fold before somebody looks for something in it.

It must not know what is looked for, and keeps nothing. Every step is linear in the length of the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from html.entities import html5
from urllib.parse import unquote

from neuronode_router.domain.normal_form import normalized

MARK = "\0"
"""What Markdown's stars, backticks and tildes become. Its underscores stay: only what stands around tells them from
those of names.
"""
_MARKDOWN = ("*", "`", "~~")

_DASHES = (
    "\u058a\u05be\u1400\u1806\u2010-\u2015\u2043\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u301c\u3030\u30a0"
    "\ufe31\ufe32\ufe58"
)
_FAR_DASHES = ("\U00010d6e", "\U00010ead")
"""Beyond 16 bits: in a class of signs they would make every search slow."""
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_RAISED = "\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089"
"""Digits of footnotes: they are part of no number, and of no word."""
_LINE_ENDS = "\u0085\u2028\u2029"
_UNSEEN = "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
"""What nobody sees, such as the marks that copied telephone numbers bring along."""
_ODD = re.compile(f"[{_DASHES}{_SPACES}{_RAISED}{_LINE_ENDS}{_UNSEEN}]++")
_TYPED = {"Pd": "-", "Po": "-", "Sm": "-", "Zs": " ", "No": " ", "Zl": "\n", "Zp": "\n", "Cc": "\n"}
"""How what is odd is typed, by its category; all others are unseen."""

_ESCAPED = re.compile(r"\\{1,4}(?:u([0-9a-fA-F]{4})|[nrt])")
"""How JSON within a text, as arguments of calls are, may write any sign. Bounded: a text of nothing but backslashes is
read in linear time.
"""
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY = re.compile(r"&(?:#\w{2,8}|([A-Za-z]\w{1,31}));")


def typed(text: str) -> str:
    """Return a text with one kind of spaces and of dashes, nothing encoded for a URL, HTML or JSON, composed letters,
    and `MARK` for emphasis. Never raises.
    """
    if "\\" in text:
        text = _ESCAPED.sub(_unescaped, text)
    if "&" in text:
        text = _ENTITY.sub(_named, text)
    if "%" in text and _ENCODED.search(text):
        text = unquote(text)
    if not text.isascii():
        text = normalized("NFKC", _ODD.sub(_folded, text))
        text = _replaced(text, _FAR_DASHES, "-")
    return _replaced(text, _MARKDOWN, MARK)


def _replaced(text: str, signs: Iterable[str], by: str) -> str:
    for sign in signs:
        text = text.replace(sign, by)
    return text


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else {"n": "\n", "r": "\r", "t": "\t"}[found[0][-1]]


def _named(found: re.Match[str]) -> str:
    return html5.get(f"{found[1]};", found[0]) if found[1] else html.unescape(found[0])


def _folded(found: re.Match[str]) -> str:
    return "".join(_TYPED.get(unicodedata.category(sign), "") for sign in found[0])
