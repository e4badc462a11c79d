"""The migrations make exactly the tables that the code uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn

from neuronode_router.control.store import ControlStore
from neuronode_router.storage.database import MIGRATIONS
from neuronode_router.storage.tables import (
    HEAD_VERSION,
    OLDEST_READER,
    USAGE_COUNTERS,
    VERSION_TABLE,
    metadata,
)
from neuronode_router.usage.sums import ADDED


def test_migrated_database_has_the_tables_of_the_code(store: ControlStore, tmp_path: Path) -> None:
    """Alembic finds nothing to change between a migrated database and `storage.tables`."""
    store.revision()
    engine = create_engine(f"sqlite:///{tmp_path}/control.db")

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        difference = compare_metadata(context, metadata)

    engine.dispose()
    assert difference == []


def test_head_version_is_the_newest_migration() -> None:
    """The constant that saves the import of Alembic names the newest migration."""
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD_VERSION


def lost(path: Path, before: str, after: str) -> list[str]:
    """Return what a release of migration `before` would miss, or be asked for, in a database of migration `after`."""
    engine, config = create_engine(f"sqlite:///{path}"), Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found: list[dict[str, dict[str, ReflectedColumn]]] = []
    for revision in (before, after):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            looking = inspect(connection)
            tables = looking.get_table_names()
            found.append({t: {column["name"]: column for column in looking.get_columns(t)} for t in tables})
    engine.dispose()
    then, now = found
    gone = [f"{t}.{c}" for t, columns in then.items() for c in columns if c not in now.get(t, {})]
    wanted = [
        f"{table}.{name}"
        for table in then.keys() & now.keys()
        for name, column in now[table].items()
        if name not in then[table] and not column["nullable"] and column["default"] is None
    ]
    return [*gone, *wanted]


def test_a_release_that_the_schema_allows_for_finds_all_that_it_knows(tmp_path: Path) -> None:
    """What is newer may be left out by it. A migration for which that does not hold raises `OLDEST_READER`."""
    assert lost(tmp_path / "state.db", OLDEST_READER, HEAD_VERSION) == []
    assert {"neuronode_usage.served", "neuronode_usage.served_group"} <= {
        *lost(tmp_path / "renamed.db", "0004", "0005")
    }
    assert lost(tmp_path / "added.db", "0014", "0015") == []


def test_the_counters_of_usage_have_a_column_each() -> None:
    """What `Sums` adds up is what the table keeps."""
    assert {*ADDED, "largest"} == set(USAGE_COUNTERS)


def test_start_on_an_up_to_date_sqlite_imports_neither_alembic_nor_drivers(
    store: ControlStore, tmp_path: Path
) -> None:
    """What is not used costs no memory: Alembic, psycopg, redis."""
    store.revision()
    program = f"""
import sys
from neuronode_router.control import manager, store, wake, watcher, worker
store.ControlStore("sqlite:///{tmp_path}/control.db").revision()
unused = ("alembic", "psycopg", "redis", "litellm", "fastapi", "sqlalchemy.dialects.postgresql")
print([name for name in unused if name in sys.modules])
"""

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
