"""Whether a body can be written as JSON at all: what no server accepts is the client's fault, and no server's.

It looks at values, never at what they mean; its work grows with the body and stops at a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice

MAX_VALUES = 5_000
"""So many values of a body are looked at."""


def unsendable(body: Mapping[str, object]) -> str | None:
    """Return what is wrong with a body, None where it can be sent. Never raises."""
    waiting: list[Iterable[object]] = [body.values()]
    left = MAX_VALUES
    while waiting:
        for value in islice(waiting.pop(), left):
            left -= 1
            if isinstance(value, str):
                if not value.isascii() and not _is_unicode(value):
                    return "a text with half of a surrogate pair"
            elif isinstance(value, float):
                if not math.isfinite(value):
                    return "a number that is not finite"
            elif isinstance(value, dict):
                waiting.append(value.values())
            elif isinstance(value, list):
                waiting.append(value)
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
