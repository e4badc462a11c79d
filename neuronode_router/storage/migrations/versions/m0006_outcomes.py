"""How often a tier sufficed for a kind of request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "neuronode_outcome",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("profile", sa.String(64), primary_key=True),
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("tier", sa.String(16), primary_key=True),
        sa.Column("good", sa.Integer, nullable=False),
        sa.Column("bad", sa.Integer, nullable=False),
        sa.Column("expected", sa.Double, nullable=False),
    )
