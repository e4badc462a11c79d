"""Windows of a week by the clock on the wall: whether one is open, and when anything opens or closes.

Zones and their summer times are the standard library's `zoneinfo`. It must not know what windows are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from neuronode_router.policy.document import DAYS, ScheduleWindow

QUARTER = 900
"""Seconds. Clocks are put forward and back at full quarters of an hour (of UTC) everywhere."""


def is_open(window: ScheduleWindow, at: float) -> bool:
    """Return whether the clock on the wall stands within the window at a Unix time. Never raises.

    The clock decides: where it is put forward over the beginning, the window opens when it has been; of an hour that
    comes twice both are meant.
    """
    wall = datetime.fromtimestamp(at, ZoneInfo(window.zone))
    now, today = wall.time().replace(tzinfo=None), wall.date()
    if window.begins < window.ends:
        return window.begins <= now < window.ends and _begins_on(window, today)
    if now >= window.begins:
        return _begins_on(window, today)
    return now < window.ends and _begins_on(window, today - timedelta(days=1))


def turns(windows: Iterable[ScheduleWindow], since: float, until: float) -> Iterator[float]:
    """Yield, in order, every Unix time in (since, until) at which a window may open or close."""
    first = int(since) // QUARTER * QUARTER
    moments = set(range(first, int(until) + 1, QUARTER))
    for window in windows:
        zone = ZoneInfo(window.zone)
        day = datetime.fromtimestamp(since, zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(until, zone).date()
        while day <= last:
            for edge in (window.begins, window.ends):
                moments.update(_moments(day, edge, zone))
            day += timedelta(days=1)
    yield from (float(moment) for moment in sorted(moments) if since < moment < until)


def month_begins(at: float, zone: str) -> tuple[float, float]:
    """Return when the calendar month around a Unix time begins and ends there."""
    wall = datetime.fromtimestamp(at, ZoneInfo(zone))
    first = wall.date().replace(day=1)
    return _midnight(first, zone), _midnight((first + timedelta(days=32)).replace(day=1), zone)


def day_begins(at: float, zone: str) -> tuple[float, float]:
    """Return when the calendar day around a Unix time begins and ends there."""
    today = datetime.fromtimestamp(at, ZoneInfo(zone)).date()
    return _midnight(today, zone), _midnight(today + timedelta(days=1), zone)


def _begins_on(window: ScheduleWindow, day: date) -> bool:
    if day in window.exceptions:
        return False
    return day in window.dates if window.dates else DAYS[day.weekday()] in window.days


def _moments(day: date, edge: time, zone: ZoneInfo) -> set[int]:
    wall = datetime.combine(day, edge, zone)
    return {int(wall.replace(fold=fold).astimezone(UTC).timestamp()) for fold in (0, 1)}


def _midnight(day: date, zone: str) -> float:
    return datetime.combine(day, time(0), ZoneInfo(zone)).timestamp()
