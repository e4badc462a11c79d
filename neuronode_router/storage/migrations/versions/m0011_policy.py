"""Policies: what they make of a revision, every one that was in force, and what their rules remember."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns, and create the tables. What is there follows no policy."""
    for table in ("neuronode_state", "neuronode_audit"):
        op.add_column(table, sa.Column("steering", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "neuronode_policy",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    memory = op.create_table(
        "neuronode_policy_memory",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.bulk_insert(memory, [{"id": 1, "document": "{}"}])
