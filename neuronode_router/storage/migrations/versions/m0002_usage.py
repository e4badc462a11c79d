"""The tables of the usage room: sums per period, the last batch of each worker, requests of the last hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NAMES = ("profile", "task", "tier", "requested", "served", "deployment", "team", "reason", "outcome")
COUNTERS = (
    "requests",
    "fallbacks",
    "priced",
    "unpriced",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_nano",
    "output_nano",
    "images",
    "audio",
    "largest",
)


def upgrade() -> None:
    """Create the tables, and the row that whoever writes locks."""
    op.create_table(
        "neuronode_usage",
        sa.Column("period", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        *(sa.Column(name, sa.String(128), nullable=False) for name in NAMES),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTERS),
        sa.Column("latency", sa.Text, nullable=False),
        sa.Column("first_token", sa.Text, nullable=False),
    )
    batch = op.create_table(
        "neuronode_usage_batch",
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.bulk_insert(batch, [{"worker": "", "sequence": 0, "at": 0.0}])
    op.create_table(
        "neuronode_usage_request",
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("call_id", sa.String(128), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("neuronode_usage_request_call_id", "neuronode_usage_request", ["call_id"])
    op.create_index("neuronode_usage_request_at", "neuronode_usage_request", ["at"])
