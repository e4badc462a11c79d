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
from neuronode_router.storage.database import Database


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


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "control.db"
        migrate(f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()
