"""The tables of the books, for SQLAlchemy Core.

It must not know how they are created (the migrations of `control`) or what is done with them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Text

from neuronode_router.usage.finished import MAX_NAME
from neuronode_router.usage.sums import ADDED

metadata = MetaData()

usage = Table(
    "neuronode_usage",
    metadata,
    Column("period", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(32), primary_key=True),
    Column("profile", String(MAX_NAME), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("task", String(MAX_NAME), nullable=False),
    Column("tier", String(MAX_NAME), nullable=False),
    Column("requested", String(MAX_NAME), nullable=False),
    Column("served", String(MAX_NAME), nullable=False),
    Column("deployment", String(MAX_NAME), nullable=False),
    Column("team", String(MAX_NAME), nullable=False),
    Column("reason", String(MAX_NAME), nullable=False),
    Column("outcome", String(MAX_NAME), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ADDED),
    Column("largest", BigInteger, nullable=False),
    Column("latency", Text, nullable=False),
    Column("first_token", Text, nullable=False),
)
"""Sums of one key over `period` seconds from `start` (Unix time) on. `key` is a digest of the names that follow."""

batch = Table(
    "neuronode_usage_batch",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
)
"""The last batch of each worker process. The row of worker "" is locked by whoever writes."""

request = Table(
    "neuronode_usage_request",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("call_id", String(MAX_NAME), nullable=False),
    Column("at", Double, nullable=False),
    Column("document", Text, nullable=False),
    Index("neuronode_usage_request_call_id", "call_id"),
    Index("neuronode_usage_request_at", "at"),
)
"""Single requests of the last hour, for `explain`."""
