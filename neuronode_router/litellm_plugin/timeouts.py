"""How long an attempt may take, by what a request or an operator wrote: every spelling of it that LiteLLM takes.

It must not know who wrote it, nor what became of the attempt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

NAMES = {True: ("stream_timeout", "timeout", "request_timeout"), False: ("timeout", "request_timeout")}
"""Where time-outs stand in parameters, by whether the request streams, in LiteLLM's order of precedence."""

PARTS = ("connect", "read", "write", "pool")
"""What httpx's time-outs consist of; any of them may run out."""


def seconds(written: object) -> float | None:
    """Return the shortest wait in seconds that a time-out allows; None where nobody can read it. Never raises."""
    if isinstance(written, httpx.Timeout):
        return _shortest(getattr(written, part) for part in PARTS)
    if isinstance(written, Mapping):
        return _shortest(written.values())
    if not isinstance(written, int | float | str | bytes):
        return None
    try:
        value = float(written)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _shortest(parts: Iterable[object]) -> float | None:
    read = [seconds(part) for part in parts if not isinstance(part, Mapping)]
    return min((part for part in read if part is not None), default=None)


def wished(attempt: Mapping[str, Any]) -> float | None:
    """Return the seconds after which an attempt's parameters end it, None where they do not say. Never raises.

    What nobody can read counts as a wish to wait no time at all: LiteLLM may understand it, and no operator's
    time-out is written so. So does what is written for the deployment's own server, which may obey it.
    """
    names = NAMES[bool(attempt.get("stream"))]
    extra = attempt.get("extra_body")
    # LiteLLM passes over a 0, but not over "0".
    given = next((value for name in names if (value := attempt.get(name))), None)
    further = [extra.get(name) for name in NAMES[True]] if isinstance(extra, Mapping) else []
    return min((seconds(value) or 0.0 for value in (given, *further) if value is not None), default=None)


def first_seconds(names: Sequence[str], *places: Mapping[str, Any]) -> float | None:
    """Return the first time-out that one of `places` has under one of `names`; the places go before the names."""
    found = (seconds(place.get(name)) for place in places for name in names)
    return next((value for value in found if value), None)
