"""The implementations every contract is tested over: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.auto import judged_days, outcome_store
from neuronode_router.control import idempotency
from neuronode_router.control.store import ControlStore
from neuronode_router.proof import store as proof_store
from neuronode_router.storage import database
from tests.support.clock import Clock
from tests.support.migrated import migrated
from tests.support.servers import PostgresServer

MakeStore = Callable[..., ControlStore]


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """The database that a test is about."""
    return str(request.param)


@pytest.fixture
def state_url(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty control state."""
    if backend == "sqlite":
        yield migrated(tmp_path / "state" / "control.db")
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    yield postgres.new_database(like=request.getfixturevalue("migrated_postgres"))
    postgres.thaw()


@pytest.fixture
def new_url(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> str:
    """The URL of a database, or of none at all yet, that nothing was migrated in."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path}/new/control.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def make_store(state_url: str) -> Iterator[MakeStore]:
    """Open further stores over the same state, or another one; all are closed at the end."""
    opened: list[ControlStore] = []

    def make(url: str = state_url, **options: Any) -> ControlStore:
        opened.append(ControlStore(url, **options))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def shared_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that all hosts share, which a test moves: of either database."""
    clock = Clock()
    for room in (database, idempotency, proof_store, outcome_store, judged_days):
        monkeypatch.setattr(room, "database_time", lambda _connection, _clock: clock())
    return clock


@pytest.fixture
def store(make_store: MakeStore) -> ControlStore:
    """One store over an empty state."""
    return make_store()
