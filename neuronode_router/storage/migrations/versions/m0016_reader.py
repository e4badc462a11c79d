"""Which release the schema can still be used by: an earlier one that starts asks it before it refuses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table with its one row; whoever migrates writes into it what holds then."""
    reader = op.create_table(
        "neuronode_reader",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("oldest", sa.String(32), nullable=False),
    )
    op.bulk_insert(reader, [{"id": 1, "oldest": revision}])
