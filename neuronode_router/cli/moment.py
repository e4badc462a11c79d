"""Points in time on a command line: `24h` ago, or a date in this machine's zone.

It must not know what happens then.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGO = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)


def to_moment(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Return Unix seconds, None where nothing was given. Raises `click.BadParameter` for what is no time."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return time.time() - int(ago[1]) * UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise click.BadParameter(
            f"{text!r} is no time: write 90m, 24h, 7d, 2026-11-01 or 2026-11-01T08:00."
        ) from error


since_option = click.option("--since", callback=to_moment, help="From when on: 24h, 7d, or 2026-11-01T08:00.")
until_option = click.option("--until", callback=to_moment, help="Until when, likewise. Default: now.")
