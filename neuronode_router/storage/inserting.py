"""Inserts that meet a row which is there already: left alone, or added up. SQL has no one way for that.

It must not know what is inserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an insert of the connection's own dialect, which knows `on_conflict_do_nothing` and `..._do_update`."""
    return _INSERTS[connection.dialect.name](table)


def add_counts(
    connection: Connection, table: Table, names: Mapping[str, object], counts: Mapping[str, float]
) -> None:
    """Add counts to the row of these names, which are the table's primary key."""
    new = insert_into(connection, table).values(**names, **counts)
    sums = {name: table.c[name] + new.excluded[name] for name in counts}
    connection.execute(new.on_conflict_do_update(index_elements=list(names), set_=sums))
