"""Rollouts: the two arms in the state, the audit log and usage; rollouts, what was done to them, and who leads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, and create the tables. What is there belongs to no rollout."""
    for table in ("neuronode_state", "neuronode_audit"):
        op.add_column(table, sa.Column("canary", sa.Text, nullable=False, server_default=""))
    op.add_column("neuronode_usage", sa.Column("arm", sa.String(128), nullable=False, server_default=""))
    op.add_column("neuronode_usage", sa.Column("cost", sa.Text, nullable=False, server_default="{}"))
    op.create_table(
        "neuronode_rollout",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("since_revision", sa.Integer, nullable=False),
        sa.Column("held", sa.Double, nullable=False),
        sa.Column("watched_at", sa.Double, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "neuronode_rollout_event",
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rollout", sa.String(32), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_index("neuronode_rollout_event_rollout", "neuronode_rollout_event", ["rollout"])
    op.create_table(
        "neuronode_lease",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
