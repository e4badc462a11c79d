"""Control states in SQLite as the migrations leave them: copies of one, since the migrations take 50 ms of a core.

It must not know what is tested.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from neuronode_router import private_files
from neuronode_router.control.change import ChangeOrder, ChangeTarget
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.audit import Actor
from neuronode_router.storage.database import Database
from tests.support.control import make_set


def migrated(path: Path) -> str:
    """Make an empty control state in a file that is not there yet, and its folder; return its URL."""
    private_files.make_file(path)
    path.write_bytes(_empty())
    return f"sqlite:///{path}"


def migrate(url: str) -> None:
    """Run the migrations in a database, and leave no connection open."""
    database = Database(url)
    with database.reading():
        pass
    database.dispose()


def migrated_by_a_newer_release(path: Path) -> str:
    """Make the control state of a release after the next, which does not allow for this one; return its URL."""
    url = migrated(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE neuronode_version SET version_num = '9999'")
        connection.execute("UPDATE neuronode_reader SET oldest = '9999'")
        connection.commit()
    return url


def with_a_revision_of_a_newer_release(path: Path) -> str:
    """Make a control state whose one revision says what this release does not know; return its URL."""
    url = migrated(path)
    with closing(ControlStore(url)) as store:
        target = ChangeTarget("balanced", make_set())
        store.commit(ChangeOrder("bootstrap", Actor("anna"), ""), target, (), expected=0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE neuronode_state SET canary = '{\"newer\": 1}'")
        connection.commit()
    return url


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "control.db"
        migrate(f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()
