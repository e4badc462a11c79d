"""Points in time on a command line: `24h` ago, or a date in this machine's zone.

It must not know what happens then.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from datetime import time as clock_time

import click

from neuronode_router.durations import seconds_of

_CLOCK = re.compile(r"\d\d:\d\d", re.ASCII)


def to_moment(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Return Unix seconds, None where nothing was given. Raises `click.BadParameter` for what is no time."""
    if text is None:
        return None
    if (ago := seconds_of(text)) is not None:
        return time.time() - ago
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise click.BadParameter(
            f"{text!r} is no time: write 90m, 24h, 7d, 2026-11-01 or 2026-11-01T08:00."
        ) from error


def to_future(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Return Unix seconds of a time to come, None where none was given. Raises `click.BadParameter`."""
    if text is None:
        return None
    if (ahead := seconds_of(text)) is not None:
        return time.time() + ahead
    now = datetime.now().astimezone()
    try:
        if _CLOCK.fullmatch(text):
            today = datetime.combine(now.date(), clock_time.fromisoformat(text))
            at = today.timestamp()
            return at if at > now.timestamp() else (today + timedelta(days=1)).timestamp()
        at = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise click.BadParameter(f"{text!r} is no time: write 18:00, 2h or 2026-11-01T08:00.") from error
    if at <= now.timestamp():
        raise click.BadParameter(f"{text!r} is over.")
    return at


def in_order(since: float | None, until: float | None) -> None:
    """Raise `click.BadParameter` where a period ends before it begins."""
    if since is not None and since >= (time.time() if until is None else until):
        raise click.BadParameter("The period ends before it begins.", param_hint="'--since'")


since_option = click.option("--since", callback=to_moment, help="From when on: 24h, 7d, or 2026-11-01T08:00.")
until_option = click.option("--until", callback=to_moment, help="Until when, likewise. Default: now.")
