"""How time is divided: minutes become hours, hours become days, and what that means for a span that is asked for.

It must not know what is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60
HOUR = 3600
DAY = 86_400

MINUTES_KEPT = 6 * HOUR
"""Seconds for which minutes can be told apart; after that, hours."""

HOURS_KEPT = 8 * DAY
"""Seconds for which hours can be told apart; after that, days (of UTC)."""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `since` up to, not including, `until`, in Unix seconds."""

    since: int
    until: int

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.until - self.since) / DAY

    @property
    def before(self) -> TimeSpan:
        """The span of the same length that ends where this one begins."""
        return TimeSpan(2 * self.since - self.until, self.since)


def resolution(at: float, *, now: float) -> int:
    """Return how many seconds are told apart at `at`: a minute, an hour or a day. Never raises."""
    age = now - at
    if age < MINUTES_KEPT:
        return MINUTE
    return HOUR if age < HOURS_KEPT else DAY


def before(span: TimeSpan, *, now: float) -> TimeSpan:
    """Return the span that ends where this one begins, of the same length as nearly as is told apart so long ago: at
    its beginning may be hours or days only. Never raises.
    """
    began = span.before.since
    nearest = _nearest(began, now)
    step = resolution(began, now=now)
    return TimeSpan(nearest if nearest < span.since else began // step * step, span.since)


def aligned(since: float, until: float, *, now: float) -> TimeSpan:
    """Return the span widened to what is told apart at its two ends. Never raises."""
    first, last = resolution(since, now=now), resolution(until, now=now)
    return TimeSpan(int(since) // first * first, -int(-until // last) * last)


def meeting(since: float, until: float, *, now: float) -> TimeSpan:
    """Return the span between what is told apart nearest to its two ends, so that periods that follow each other share
    nothing; minutes are widened, and so is a span that would be empty. Never raises.
    """
    widest = aligned(since, until, now=now)
    first = widest.since if resolution(since, now=now) == MINUTE else _nearest(since, now)
    last = widest.until if resolution(until, now=now) == MINUTE else _nearest(until, now)
    return TimeSpan(first, last) if first < last else widest


def _nearest(at: float, now: float) -> int:
    step = resolution(at, now=now)
    return (int(at) + step // 2) // step * step


def recorded(span: TimeSpan, *, oldest: int | None, now: float) -> TimeSpan:
    """Return the part of `span` of which there can be a record, at least a minute: from `oldest`, the start of the
    oldest one that is kept, until now. Hours without a request in it count. Never raises.
    """
    until = min(span.until, -int(-now // MINUTE) * MINUTE)
    since = span.since if oldest is None else max(span.since, oldest)
    return TimeSpan(min(since, until - MINUTE), until)
