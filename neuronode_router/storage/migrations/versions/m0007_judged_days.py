"""What comparisons of light answers cost a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "neuronode_judged_day",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("nano", sa.BigInteger, nullable=False),
        sa.Column("enough", sa.Integer, nullable=False),
        sa.Column("short", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
    )
