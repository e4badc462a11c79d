"""An empty database is made from the tables of the code: as all migrations would have made it, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect, text

from neuronode_router.storage.database import MIGRATIONS, SCHEMA
from neuronode_router.storage.tables import HEAD_VERSION
from tests.support.migrated import migrate


def looked_at(url: str, act: Callable[[Connection], None] = lambda _: None) -> Mapping[str, Any]:
    """Return columns, keys, indexes and rows of all tables, after `act`."""
    schema = SCHEMA if url.startswith("postgresql") else None
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        if schema is not None:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            connection.execute(text(f"SET search_path TO {schema}"))
        act(connection)
        looking = inspect(connection)
        found = {
            name: {
                "columns": {
                    one["name"]: {**one, "type": str(one["type"])}
                    for one in looking.get_columns(name, schema=schema)
                },
                "key": looking.get_pk_constraint(name, schema=schema)["constrained_columns"],
                "foreign": looking.get_foreign_keys(name, schema=schema),
                "unique": looking.get_unique_constraints(name, schema=schema),
                "indexes": sorted(looking.get_indexes(name, schema=schema), key=lambda one: str(one["name"])),
                "rows": [dict(row) for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()],
            }
            for name in looking.get_table_names(schema=schema)
        }
    engine.dispose()
    return found


def upgraded(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD_VERSION)


def test_a_new_database_is_as_the_migrations_make_one(
    request: pytest.FixtureRequest, backend: str, new_url: str, tmp_path: Any
) -> None:
    """Tables, columns with types and defaults, keys, indexes and first rows; the order of columns means nothing."""
    other = f"sqlite:///{tmp_path}/other.db"
    if backend == "postgres":
        other = request.getfixturevalue("postgres").new_database()
    migrate(new_url)

    made, migrated = looked_at(new_url), looked_at(other, upgraded)

    assert made.keys() == migrated.keys()
    for name in migrated:
        for kind, value in migrated[name].items():
            assert made[name][kind] == value, (name, kind)
