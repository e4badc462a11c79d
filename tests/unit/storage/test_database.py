"""The first connection to a database, which is one attempt for all who want it at once, and how durable writes are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from neuronode_router.errors import StoreUnavailable
from neuronode_router.storage import database as database_module
from neuronode_router.storage.database import Database
from tests.support.servers import wait_until

CALLERS = 6
LEVELS = {1: "NORMAL", 2: "FULL"}


class Counted:
    """A lock that counts who has come to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.came = 0

    def __enter__(self) -> None:
        self.came += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@contextmanager
def told_to(told: list[str]) -> Iterator[None]:
    """Note every statement that a database is told meanwhile."""

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_callers_of_a_silent_database_fail_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for all who came before; who comes later tries anew."""
    database, lock = Database(f"sqlite:///{tmp_path}/state.db"), Counted()
    monkeypatch.setattr(database, "_migrating", lock)
    silence, attempts = threading.Event(), []

    def silent(*_: object, **__: object) -> None:
        attempts.append(1)
        silence.wait(30)
        raise StoreUnavailable("It never answered.")

    def ask() -> str:
        try:
            with database.reading():
                return "answered"
        except StoreUnavailable:
            return "failed"

    with monkeypatch.context() as broken, ThreadPoolExecutor(CALLERS) as threads:
        broken.setattr(database_module, "_migrate", silent)
        asked = [threads.submit(ask) for _ in range(CALLERS)]
        wait_until(lambda: lock.came == CALLERS, what="all callers")
        silence.set()
        assert [one.result(30) for one in asked] == ["failed"] * CALLERS
        assert len(attempts) == 1

    assert ask() == "answered"
    database.dispose()


def test_each_write_is_as_durable_as_it_says(tmp_path: Path) -> None:
    """SQLite remembers it for a connection, so that it is said anew only where it changes."""
    database = Database(f"sqlite:///{tmp_path}/state.db")
    told: list[str] = []

    def durability(*, durable: bool) -> str:
        with database.writing(durable=durable) as connection:
            return LEVELS[connection.exec_driver_sql("PRAGMA synchronous").scalar_one()]

    durability(durable=True)
    with told_to(told):
        found = [durability(durable=durable) for durable in (True, True, False, False, True)]

    assert found == ["FULL", "FULL", "NORMAL", "NORMAL", "FULL"]
    assert [text for text in told if "=" in text] == ["PRAGMA synchronous=NORMAL", "PRAGMA synchronous=FULL"]
    database.dispose()


def test_nothing_stays_open_once_it_was_closed(tmp_path: Path) -> None:
    """Not what was in use meanwhile, nor what a thread opens that began too late."""
    database = Database(f"sqlite:///{tmp_path}/state.db")
    closed: list[object] = []
    event.listen(database._engine, "close", lambda connection, _record: closed.append(connection))
    with database.reading() as in_use:
        first = in_use.connection.dbapi_connection
        database.dispose()
    with database.reading() as late:
        second = late.connection.dbapi_connection

    assert closed[-2:] == [first, second]
