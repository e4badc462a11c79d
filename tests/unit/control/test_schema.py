"""The migrations make exactly the tables that the code uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from neuronode_router.control.store import ControlStore
from neuronode_router.storage.control_tables import HEAD_VERSION, VERSION_TABLE, metadata
from neuronode_router.storage.database import MIGRATIONS
from neuronode_router.storage.proof_tables import metadata as proof_metadata
from neuronode_router.storage.usage_tables import metadata as usage_metadata


def test_migrated_database_has_the_tables_of_the_code(store: ControlStore, tmp_path: Path) -> None:
    """Alembic finds nothing to change between a migrated database and the `tables` of every room."""
    store.revision()
    engine = create_engine(f"sqlite:///{tmp_path}/control.db")

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        difference = compare_metadata(context, [metadata, usage_metadata, proof_metadata])

    engine.dispose()
    assert difference == []


def test_head_version_is_the_newest_migration() -> None:
    """The constant that saves the import of Alembic names the newest migration."""
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD_VERSION


def test_start_on_an_up_to_date_sqlite_imports_neither_alembic_nor_drivers(
    store: ControlStore, tmp_path: Path
) -> None:
    """What is not used costs no memory: Alembic, psycopg, redis."""
    store.revision()
    program = f"""
import sys
from neuronode_router.control import manager, store, wake, watcher, worker
store.ControlStore("sqlite:///{tmp_path}/control.db").revision()
print([name for name in ("alembic", "psycopg", "redis", "litellm", "fastapi") if name in sys.modules])
"""

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
