"""Inserts that meet a row which is there already: left alone, replaced or added up. SQL has no one way for that.

It must not know what is inserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Table, and_, select


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an insert of the connection's own dialect, which knows `on_conflict_do_nothing` and `..._do_update`."""
    # Not imported above: nobody pays for the dialect of a database that he has not.
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def add_counts(
    connection: Connection, table: Table, names: Mapping[str, object], counts: Mapping[str, float]
) -> None:
    """Add counts to the row of these names, which are the table's primary key."""
    new = insert_into(connection, table).values(**names, **counts)
    sums = {name: table.c[name] + new.excluded[name] for name in counts}
    connection.execute(new.on_conflict_do_update(index_elements=list(names), set_=sums))


def is_next(
    connection: Connection, table: Table, names: Mapping[str, object], *, sequence: int, **more: object
) -> bool:
    """Note the number of a batch, and what else of it, in the row of these names, which are the table's primary key.

    Returns False, and notes nothing, where that batch or a later one was noted there before. The caller holds a lock.
    """
    row = and_(*(table.c[name] == value for name, value in names.items()))
    last = connection.execute(select(table.c.sequence).where(row)).scalar()
    if last is not None and last >= sequence:
        return False
    noted = {"sequence": sequence, **more}
    new = insert_into(connection, table).values(**names, **noted)
    connection.execute(new.on_conflict_do_update(index_elements=list(names), set_=noted))
    return True
