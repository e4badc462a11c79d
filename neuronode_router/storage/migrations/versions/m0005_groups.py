"""Usage names the group that admission chose and the group that answered by one word each, in code and API too."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

RENAMED = {"requested": "chosen_group", "served": "served_group"}


def upgrade() -> None:
    """Rename both columns; their rows stay as they are."""
    for before, after in RENAMED.items():
        op.alter_column("neuronode_usage", before, new_column_name=after)
