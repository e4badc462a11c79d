"""The implementations every contract is tested over: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.control.store import ControlStore

MakeStore = Callable[..., ControlStore]


@pytest.fixture(params=["sqlite", "postgres"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty control state."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/state/control.db"


@pytest.fixture
def make_store(state_url: str) -> Iterator[MakeStore]:
    """Open further stores over the same state; all are closed at the end."""
    opened: list[ControlStore] = []

    def make(**options: Any) -> ControlStore:
        opened.append(ControlStore(state_url, **options))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> ControlStore:
    """One store over an empty state."""
    return make_store()
