"""Where requests were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; of what was counted before nobody can tell."""
    column = sa.Column("location", sa.String(128), nullable=False, server_default="")
    op.add_column("neuronode_usage", column)
