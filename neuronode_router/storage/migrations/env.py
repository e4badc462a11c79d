"""Alembic's entry point: runs the migrations on the connection and in the transaction that `storage.database` opened.

It must not know URLs, locks or settings.
"""

from __future__ import annotations

from alembic import context

from neuronode_router.storage.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
