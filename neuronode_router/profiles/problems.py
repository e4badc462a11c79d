"""The closed vocabulary of what can be wrong with profile files.

It must not know how files are read or what a host offers: `safe_yaml`, `schema` and `checks` find the problems.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum

from neuronode_router.safe_yaml import MAX_NAME_SHOWN


class Code(StrEnum):
    """Every code a `Problem` of the profiles can carry. docs/profiles.md explains each."""

    UNREADABLE = "unreadable"
    LEADS_OUTSIDE = "leads_outside"
    TOO_MANY_FILES = "too_many_files"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    NOT_UTF8 = "not_utf8"
    SYNTAX = "syntax"
    EMPTY = "empty"
    SEVERAL_DOCUMENTS = "several_documents"
    ANCHOR = "anchor"
    TAG = "tag"
    DUPLICATE_KEY = "duplicate_key"
    YAML_TRAP = "yaml_trap"
    BAD_NAME = "bad_name"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KEY = "missing_key"
    WRONG_TYPE = "wrong_type"
    BAD_VALUE = "bad_value"
    MISSING_TASK = "missing_task"
    UNKNOWN_GROUP = "unknown_group"
    ALIAS_CHAIN = "alias_chain"
    NAME_COLLISION = "name_collision"
    NO_PROFILE = "no_profile"
    MISSING_BALANCED = "missing_balanced"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean ...? " for the closest known name, or nothing when none is close."""
    if len(name) > MAX_NAME_SHOWN:
        return ""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
