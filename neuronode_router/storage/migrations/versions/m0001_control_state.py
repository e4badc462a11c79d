"""The first tables: state, profile sets, audit log, workers, idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and the one state row, at revision 0."""
    op.create_table(
        "neuronode_profile_set",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
    state = op.create_table(
        "neuronode_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("active", sa.String(64)),
        sa.Column("digest", sa.String(64), sa.ForeignKey("neuronode_profile_set.digest")),
        sa.Column("committed_at", sa.Double),
        sa.Column("head", sa.String(64), nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "revision": 0, "head": ""}])
    _create_audit()
    _create_worker()
    op.create_table(
        "neuronode_idempotency",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("actor", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )


def _create_audit() -> None:
    op.create_table(
        "neuronode_audit",
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("profile_before", sa.String(64)),
        sa.Column("profile_after", sa.String(64), nullable=False),
        sa.Column("digest_before", sa.String(64)),
        sa.Column("digest_after", sa.String(64), nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def _create_worker() -> None:
    op.create_table(
        "neuronode_worker",
        sa.Column("instance", sa.String(64), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("heartbeat_at", sa.Double, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("applied_at", sa.Double),
        sa.Column("refused", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
