"""The first connection to a database: one attempt for all who want it at once, and one failure."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neuronode_router.errors import StoreUnavailable
from neuronode_router.storage import database as database_module
from neuronode_router.storage.database import Database
from tests.support.servers import wait_until

CALLERS = 6


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
