"""How usage is read: what begins at a time is found by the key of its table, however long the record is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from neuronode_router.storage.database import Database
from neuronode_router.usage.periods import TimeSpan
from neuronode_router.usage.store import UsageStore
from tests.support.migrated import migrated

READINGS: dict[str, Callable[[UsageStore], object]] = {
    "collect": lambda usage: usage.collect(TimeSpan(60, 120), team="t"),
    "arms": lambda usage: usage.arms(100_000.0, revision=3),
    "cached": lambda usage: usage.cached(60.0),
    "costs_by_team": lambda usage: usage.costs_by_team(60.0),
    "cost": lambda usage: usage.cost(60.0),
}


@pytest.mark.parametrize("name", READINGS)
def test_no_reading_of_a_span_goes_through_all_of_the_record(name: str, tmp_path: Path) -> None:
    """SQLite says so itself: it searches for the beginning, and scans nothing."""
    database = Database(migrated(tmp_path / "usage.db"))
    usage = UsageStore(database)
    plans: list[str] = []

    def explain(_: Connection, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
        if statement.startswith("SELECT") and "neuronode_usage" in statement:
            plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(str(row[-1]) for row in plan.fetchall())

    usage.cost(0.0)  # asks whether the tables are there
    event.listen(database._engine, "before_cursor_execute", explain)
    READINGS[name](usage)
    database.dispose()

    assert any("start>?" in plan for plan in plans)
    assert not any(plan.startswith("SCAN neuronode_usage") for plan in plans)
