"""The tables of the control state, for SQLAlchemy Core.

It must not know how they are created (migrations) or what is done with them. Names carry the prefix `neuronode_`,
because the database may be shared with LiteLLM.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData()

VERSION_TABLE = "neuronode_version"
"""Alembic's table: which migration the database has."""

HEAD_VERSION = "0004"
"""The newest migration. Kept here so that a start with an up-to-date database need not import Alembic."""

state = Table(
    "neuronode_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("active", String(64)),
    Column("digest", String(64), ForeignKey("neuronode_profile_set.digest")),
    Column("committed_at", Double),
    Column("head", String(64), nullable=False),
    Column("bindings", Text, nullable=False, server_default=""),
)
"""One row, id 1, made by the migration with revision 0 ("nothing committed"), so that there is always a row to lock.

`head` is the hash of the newest audit row: it makes a truncated audit log visible.
"""

profile_set = Table(
    "neuronode_profile_set",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

audit = Table(
    "neuronode_audit",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("action", String(16), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("profile_before", String(64)),
    Column("profile_after", String(64), nullable=False),
    Column("digest_before", String(64)),
    Column("digest_after", String(64), nullable=False),
    Column("changes", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("bindings", Text, nullable=False, server_default=""),
)

worker = Table(
    "neuronode_worker",
    metadata,
    Column("instance", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("mark", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("applied_at", Double),
    Column("refused", Integer),
    Column("detail", Text, nullable=False),
    Column("report", Text, nullable=False),
)
"""`revision` is what the worker serves; `refused` the newest revision it could not take up, with `detail` as reason."""

idempotency = Table(
    "neuronode_idempotency",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("actor", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("at", Double, nullable=False),
)
