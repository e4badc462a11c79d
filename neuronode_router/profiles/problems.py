"""The closed vocabulary of what can be wrong with profile files, and where in them it is.

It must not know how files are read or what a host offers: `reader`, `schema` and `checks` find the problems.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from neuronode_router.errors import Problem

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of a document: `("tasks", "classification")`."""

MAX_NAME_SHOWN = 80
MAX_PROBLEMS = 50
"""How many problems one file is told at once, by each of reading, schema and checks."""


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


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document came from, so that a problem can name file, line and column."""

    file: str
    places: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """(line, column), both from 1, of every key and list item; empty for a document that came as JSON."""

    def problem(self, code: Code, path: Path, message: str, fix: str) -> Problem:
        """Return the problem at `path`, or at the nearest place above it that the document has."""
        line, column = next(
            (self.places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.places), (0, 0)
        )
        return Problem(code.value, message, fix, self.file, line, column, dotted(path))


def dotted(path: Path) -> str:
    """Return a path as people read it: `tiers.fast[0]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in path)
    return "".join(steps).removeprefix(".")


def shown(name: str) -> str:
    """Return a name as it may appear in a message: printable and short, whatever was sent."""
    text = name if name.isprintable() else name.encode("unicode_escape").decode("ascii")
    return text if len(text) <= MAX_NAME_SHOWN else f"{text[:MAX_NAME_SHOWN]}..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean ...? " for the closest known name, or nothing when none is close."""
    if len(name) > MAX_NAME_SHOWN:
        return ""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
