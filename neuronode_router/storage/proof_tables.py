"""The tables of the proof room, for SQLAlchemy Core.

It must not know how they are created (the migrations of `control`) or what is done with them.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, Integer, MetaData, String, Table

metadata = MetaData()

proof = Table(
    "neuronode_proof",
    metadata,
    Column("group", String(256), primary_key=True),
    Column("shape", String(16), primary_key=True),
    Column("why", String(32), nullable=False),
    Column("checked_at", Double, nullable=False),
    Column("latency_ms", Double),
    Column("cost_usd", Double),
)
"""The newest evidence. Which profiles and tasks it speaks for is read from the profiles."""

turn = Table(
    "neuronode_proof_turn",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("taken_at", Double, nullable=False),
)
"""One row, id 1: when a worker last took the turn to refresh. Whoever moves it on leads that refresh."""
