"""What comparing answers costs a day, in SQL: money is set aside before it is spent, so all workers keep one budget.

It must not know what is compared. Every method blocks and may raise `StoreUnavailable`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from neuronode_router.storage.database import Database, database_time
from neuronode_router.storage.inserting import insert_into
from neuronode_router.storage.tables import judged_day
from neuronode_router.usage.sums import NANO

DAY = 86_400
KEPT_DAYS = 90
"""Days that are kept, for whoever asks the database what comparisons have cost: the budget needs today's."""


@dataclass(frozen=True, slots=True)
class JudgedDay:
    """What the comparisons of one day came to."""

    cost_usd: float = 0.0
    """What those that run may still cost included."""
    enough: int = 0
    """How often the light answer would have done."""
    short: int = 0
    """How often it would not."""
    failed: int = 0
    """How often nobody could tell."""


class JudgedDays:
    """The table of days, which are those of UTC, under a budget in US dollars a day. Which day it is the database says
    to all hosts; `clock`, in Unix seconds, where it has no clock.
    """

    def __init__(
        self, database: Database, *, budget_usd: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self.budget_usd = budget_usd
        self._clock = clock

    def set_aside(self, usd: float) -> int | None:
        """Set money aside for a comparison and return the day, None where its budget would be exceeded."""
        nano, most = _nano(usd), int(self.budget_usd * NANO)
        if nano > most:
            return None
        with self._database.writing() as connection:
            day = self._today(connection)
            connection.execute(delete(judged_day).where(judged_day.c.day < day - KEPT_DAYS * DAY))
            new = insert_into(connection, judged_day).values(day=day, nano=nano, enough=0, short=0, failed=0)
            total = judged_day.c.nano + new.excluded.nano
            took = new.on_conflict_do_update(
                index_elements=["day"], set_={"nano": total}, where=total <= most
            )
            return connection.execute(took.returning(judged_day.c.day)).scalar()

    def settle(self, day: int, set_aside: float, *, cost: float, enough: bool | None) -> None:
        """Put what a comparison cost in the place of what was set aside for it that day, and count its verdict.

        `enough` tells whether the light answer would have done, None where nobody could tell.
        """
        counter = {True: "enough", False: "short", None: "failed"}[enough]
        change = {
            "nano": judged_day.c.nano - _nano(set_aside) + _nano(cost),
            counter: judged_day.c[counter] + 1,
        }
        with self._database.writing() as connection:
            connection.execute(update(judged_day).where(judged_day.c.day == day).values(**change))

    def today(self) -> JudgedDay:
        """Return what the comparisons of today came to."""
        with self._database.reading() as connection:
            today = select(judged_day).where(judged_day.c.day == self._today(connection))
            row = connection.execute(today).first()
        return JudgedDay() if row is None else JudgedDay(row.nano / NANO, row.enough, row.short, row.failed)

    def _today(self, connection: Connection) -> int:
        return int(database_time(connection, self._clock)) // DAY * DAY


def _nano(usd: float) -> int:
    """Round up: a budget must hold."""
    return math.ceil(usd * NANO)
