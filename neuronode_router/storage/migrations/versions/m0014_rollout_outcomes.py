"""How answers of a rollout turned out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table. Nothing was counted so far."""
    op.create_table(
        "neuronode_rollout_outcome",
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("task", sa.String(128), primary_key=True),
        sa.Column("arm", sa.String(16), primary_key=True),
        sa.Column("outcome", sa.String(32), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
