"""Durations as people write them: `30s`, `10m`, `2h`, `1d`, `2w`.

It must not know what takes so long. (LiteLLM has a reader of the same texts, with calendar months; the rooms that read
them here do not know LiteLLM.)
"""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(rf"(\d{{1,6}})([{''.join(_UNITS)}])", re.ASCII)


def seconds_of(text: str) -> float | None:
    """Return the seconds of a duration, None for what is none. Never raises."""
    found = _DURATION.fullmatch(text)
    return None if found is None else float(int(found[1]) * _UNITS[found[2]])
