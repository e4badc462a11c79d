"""The last revision that moved all conversations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; no revision has moved any yet."""
    op.add_column("neuronode_state", sa.Column("moved", sa.Integer, nullable=False, server_default="0"))
