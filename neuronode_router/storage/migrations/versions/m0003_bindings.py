"""Who is bound to which profile, in the state and in each row of the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column to both tables; what is there has no bindings."""
    for table in ("neuronode_state", "neuronode_audit"):
        op.add_column(table, sa.Column("bindings", sa.Text, nullable=False, server_default=""))
