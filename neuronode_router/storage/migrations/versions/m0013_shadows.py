"""Shadow comparisons: what they are, what was found out, which batches are in it, and samples."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the tables. Nothing is compared."""
    op.create_table(
        "neuronode_shadow",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("budget_nano", sa.BigInteger, nullable=False),
        sa.Column("spent_nano", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "neuronode_shadow_batch",
        sa.Column("shadow", sa.String(32), primary_key=True),
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "neuronode_shadow_sums",
        sa.Column("shadow", sa.String(32), primary_key=True),
        sa.Column("profile", sa.String(64), primary_key=True),
        sa.Column("task", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "neuronode_shadow_sample",
        sa.Column("shadow", sa.String(32), primary_key=True),
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
