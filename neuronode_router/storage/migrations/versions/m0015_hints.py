"""Outcomes that are hints only, apart from verdicts; and how often all of them were forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add columns and table. What was counted before may have been either: as hints it promises nothing."""
    for name, kind in (("good", sa.Integer), ("bad", sa.Integer), ("expected", sa.Double)):
        op.add_column(
            "neuronode_outcome", sa.Column(f"hint_{name}", kind, nullable=False, server_default="0")
        )
    op.execute(
        "UPDATE neuronode_outcome SET hint_good = good, hint_bad = bad, hint_expected = expected, "
        "good = 0, bad = 0, expected = 0"
    )
    reset = op.create_table(
        "neuronode_outcome_reset",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("times", sa.Integer, nullable=False),
    )
    op.bulk_insert(reset, [{"id": 1, "times": 0}])
