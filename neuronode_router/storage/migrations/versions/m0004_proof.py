"""What probes found, and whose turn it is to refresh it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create both tables, and the row that workers race for."""
    op.create_table(
        "neuronode_proof",
        sa.Column("group", sa.String(256), primary_key=True),
        sa.Column("shape", sa.String(16), primary_key=True),
        sa.Column("why", sa.String(32), nullable=False),
        sa.Column("checked_at", sa.Double, nullable=False),
        sa.Column("latency_ms", sa.Double),
        sa.Column("cost_usd", sa.Double),
    )
    turn = op.create_table(
        "neuronode_proof_turn",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("taken_at", sa.Double, nullable=False),
    )
    op.bulk_insert(turn, [{"id": 1, "taken_at": 0.0}])
