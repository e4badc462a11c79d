"""Whether a body can be written as JSON at all: what no server accepts is the client's fault, and no server's.

It looks at every value and key, never at what they mean; its work is less than that of reading the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

LONG, _PLAIN = 64, frozenset({int, bool, type(None)})
"""Lists of so many values that can always be written, such as tokens, are skipped at once."""


def unsendable(body: Mapping[str, object]) -> str | None:
    """Return what is wrong with a body, as a reader of JSON makes it; None where it can be sent. Never raises."""
    waiting: list[Iterable[object]] = [body, body.values()]
    # By class and not by `isinstance`: there are thousands of these, and JSON has no other kinds.
    while waiting:
        for value in waiting.pop():
            kind = value.__class__
            if kind is str:
                if not value.isascii() and not _is_unicode(value):  # type: ignore[attr-defined, arg-type]  # a text
                    return "a text with half of a surrogate pair"
            elif kind is dict:
                waiting += (value, value.values())  # type: ignore[arg-type, attr-defined]  # a dict
            elif kind is list:
                if len(value) < LONG or not _PLAIN.issuperset(map(type, value)):  # type: ignore[arg-type, call-overload]
                    waiting.append(value)  # type: ignore[arg-type]  # a list
            elif kind is float and not isfinite(value):  # type: ignore[arg-type]  # a number
                return "a number that is not finite"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
