"""Who may do what: roles and rules, keys, and the access file for proxies without a database.

This room knows neither HTTP, LiteLLM nor SQL.
"""

from neuronode_router.access.document import parse_access
from neuronode_router.access.file import AccessFile, add_key
from neuronode_router.access.keys import AccessKey, generate_key, key_hash, key_id, sent_key
from neuronode_router.access.rules import (
    Principal,
    Role,
    UiSession,
    may_override,
    may_read_all,
    require_may_bind,
    require_reader,
    require_writer,
    visible,
)
from neuronode_router.access.team_rules import open_team_rules

__all__ = [
    "AccessFile",
    "AccessKey",
    "Principal",
    "Role",
    "UiSession",
    "add_key",
    "generate_key",
    "key_hash",
    "key_id",
    "may_override",
    "may_read_all",
    "open_team_rules",
    "parse_access",
    "require_may_bind",
    "require_reader",
    "require_writer",
    "sent_key",
    "visible",
]
