"""Points in time on a command line: `24h` ago, or a date in this machine's zone.

It must not know what happens then, nor by whose clock a length counts: whoever acts says what time it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock_time
from typing import TypeAlias

import click

from neuronode_router.durations import seconds_of

_CLOCK = re.compile(r"\d\d:\d\d", re.ASCII)

Clock: TypeAlias = Callable[[], float]
"""Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class FromNow:
    """A moment that was named by its distance from now, in seconds; negative before it."""

    seconds: float


Moment: TypeAlias = float | FromNow
"""Unix seconds, or a distance."""


def resolved(moment: Moment | None, clock: Clock) -> float | None:
    """Return Unix seconds, None of None. `clock` is read for a distance only."""
    return clock() + moment.seconds if isinstance(moment, FromNow) else moment


def to_moment(context: click.Context, parameter: click.Parameter, text: str | None) -> Moment | None:
    """Return a moment, None where nothing was given. Raises `click.BadParameter` for what is no time."""
    if text is None:
        return None
    if (ago := seconds_of(text)) is not None:
        return FromNow(-ago)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise click.BadParameter(
            f"{text!r} is no time: write 90m, 24h, 7d, 2026-11-01 or 2026-11-01T08:00."
        ) from error


def to_future(context: click.Context, parameter: click.Parameter, text: str | None) -> Moment | None:
    """Return a moment to come, None where none was given. Raises `click.BadParameter`."""
    if text is None:
        return None
    if (ahead := seconds_of(text)) is not None:
        return FromNow(ahead)
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


def asked_period(given: Mapping[str, Moment | None], clock: Clock) -> dict[str, float | None]:
    """Return `from` and `to` of a request in Unix seconds, None where nothing was given.

    Raises `click.BadParameter` where the period ends before it begins.
    """
    since, until = (resolved(given[name], clock) for name in ("since", "until"))
    if since is not None and since >= (clock() if until is None else until):
        raise click.BadParameter("The period ends before it begins.", param_hint="'--since'")
    return {"from": since, "to": until}


since_option = click.option("--since", callback=to_moment, help="From when on: 24h, 7d, or 2026-11-01T08:00.")
until_option = click.option("--until", callback=to_moment, help="Until when, likewise. Default: now.")
