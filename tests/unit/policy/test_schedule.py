"""Windows by the clock on the wall, on ordinary days and when the clocks change."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.policy.document import DAYS, ScheduleWindow, Want
from neuronode_router.policy.schedule import day_begins, is_open, month_begins, turns

BERLIN = "Europe/Berlin"
NIGHT = ScheduleWindow("night", Want(profile="a"), BERLIN, begins=time(20), ends=time(6))
WORK = ScheduleWindow("work", Want(profile="a"), BERLIN, days=DAYS[:5], begins=time(8), ends=time(18))
HALF_PAST_TWO = ScheduleWindow("early", Want(profile="a"), BERLIN, begins=time(2, 30), ends=time(4))
FORWARD = date(2026, 3, 29)
BACK = date(2026, 10, 25)


def berlin(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "text", "expected"),
    [
        (NIGHT, "2026-11-30T19:59:59", False),
        (NIGHT, "2026-11-30T20:00", True),
        (NIGHT, "2026-12-01T05:59:59", True),
        (NIGHT, "2026-12-01T06:00", False),
        (WORK, "2026-11-27T17:59", True),
        (WORK, "2026-11-28T12:00", False),
        (WORK, "2026-11-27T18:00", False),
    ],
)
def test_a_window_is_open_from_its_beginning_up_to_its_end(
    window: ScheduleWindow, text: str, expected: bool
) -> None:
    """The end belongs to what follows, over midnight too."""
    assert is_open(window, berlin(text)) is expected


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    """A window of Fridays and an exception mean the evening and the morning after it."""
    friday = ScheduleWindow("f", Want(profile="a"), BERLIN, ("fri",), time(20), time(6))
    never = ScheduleWindow(
        "f", Want(profile="a"), BERLIN, ("fri",), time(20), time(6), exceptions=(date(2026, 11, 27),)
    )

    assert is_open(friday, berlin("2026-11-28T05:00"))
    assert not is_open(friday, berlin("2026-11-27T05:00"))
    assert not is_open(never, berlin("2026-11-28T05:00"))


def test_dates_replace_days() -> None:
    """A window of one date is open on that day only, all day."""
    once = ScheduleWindow("once", Want(profile="a"), BERLIN, dates=(date(2026, 12, 24),))

    assert is_open(once, berlin("2026-12-24T00:00"))
    assert is_open(once, berlin("2026-12-24T23:59:59"))
    assert not is_open(once, berlin("2026-12-25T00:00"))


def test_a_beginning_that_the_clocks_leap_over_is_when_they_have() -> None:
    """In spring there is no 02:30 in Berlin: at 03:00 the window is open, until 04:00."""
    opened = [moment for moment in _hours(FORWARD) if is_open(HALF_PAST_TWO, moment)]

    assert opened[0] == berlin("2026-03-29T03:00")
    assert opened[-1] == berlin("2026-03-29T04:00") - 60


def test_an_hour_that_comes_twice_is_meant_twice() -> None:
    """In autumn 02:30 comes twice in Berlin; in between, at the second 02:00, the window is closed."""
    assert is_open(HALF_PAST_TWO, berlin("2026-10-25T02:30", fold=0))
    assert not is_open(HALF_PAST_TWO, berlin("2026-10-25T02:00", fold=1))
    assert is_open(HALF_PAST_TWO, berlin("2026-10-25T02:30", fold=1))


@pytest.mark.parametrize(("day", "hours"), [(FORWARD, 23), (BACK, 25), (date(2026, 6, 1), 24)])
def test_days_are_as_long_as_they_are(day: date, hours: int) -> None:
    """A day of a budget has 23 or 25 hours where the clocks change."""
    begins, ends = day_begins(datetime.combine(day, time(12), ZoneInfo(BERLIN)).timestamp(), BERLIN)

    assert ends - begins == hours * 3600


def test_a_month_begins_in_its_zone() -> None:
    """December begins at midnight in Berlin, which is still November in UTC."""
    begins, ends = month_begins(berlin("2026-12-31T23:59"), BERLIN)

    assert (begins, ends) == (berlin("2026-12-01T00:00"), berlin("2027-01-01T00:00"))


@given(
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    begins=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    ends=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
)
def test_nothing_opens_or_closes_but_at_a_turn(zone: str, begins: time, ends: time, day: date) -> None:
    """Between two turns that follow each other a window is open all the time or not at all, whatever the clocks do."""
    window = ScheduleWindow("w", Want(profile="a"), zone, begins=begins, ends=ends)
    since = datetime.combine(day, time(0), ZoneInfo("UTC")).timestamp()
    edges = [since, *turns([window], since, since + 2 * 86_400), since + 2 * 86_400]

    for first, last in pairwise(edges):
        assert len({is_open(window, at) for at in (first, (first + last) / 2, last - 1)}) == 1


def _hours(day: date) -> list[float]:
    start = datetime.combine(day, time(0), ZoneInfo(BERLIN)).timestamp()
    return [start + minute * 60 for minute in range(24 * 60)]
