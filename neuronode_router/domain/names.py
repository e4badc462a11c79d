"""What profiles, tasks and tiers are called, and what clients may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import quote

from neuronode_router.errors import SettingsError

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""Names of profiles and tasks (use with `fullmatch`): no dots, slashes, upper case or control characters."""

LABEL_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", re.ASCII)
"""What a key of the access file, or its team, is called (use with `fullmatch`)."""

_HEADER = re.compile(r"[!-~\xa1-\xff](?:[ -~\xa0-\xff]*[!-~\xa1-\xff])?")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def has_controls(name: str) -> bool:
    """Return whether a name holds control characters or ends of lines: logs and terminals would not show it as one.

    Spaces of other kinds and signs that nobody sees are none: what is wrong with such a name is that nothing has it.
    """
    return _CONTROL.search(name) is not None


def fits_header(name: str) -> bool:
    """Return whether an HTTP header can carry a name as it is: printable Latin-1, no space around it."""
    return _HEADER.fullmatch(name) is not None


def path_step(name: str) -> str:
    """Return a name as one step of an address, whatever is in it. Raises `SettingsError` for none at all.

    A step that is one dot or two would be taken out of the address with the step before it.
    """
    if not name:
        raise SettingsError("A name is empty.", fix="Write what is meant.")
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


TASK_ALIASES: tuple[str, ...] = (
    "classification",
    "extraction",
    "synthesis",
    "validation_primary",
    "validation_secondary",
    "sentiment",
    "summary",
    "rag_query",
    "trading_analysis",
    "strategy",
    "chat",
)
"""The task aliases every profile maps."""

STABLE_ALIAS_PREFIX = "task_"

STABLE_ALIAS_PROFILE = "balanced"
"""`task_<alias>` is always available and always means the profile `balanced`."""

PROFILE_NAME_PREFIX = "@profile/"
"""`@profile/<name>` reaches a profile for one request, for its task `chat`."""


class Tier(StrEnum):
    """How heavy a model a request needs."""

    FAST = "fast"
    MEDIUM = "medium"
    COMPLEX = "complex"


TIERS = (Tier.FAST, Tier.MEDIUM, Tier.COMPLEX)
"""From the lightest to the heaviest."""

TOO_CHEAP, TOO_DEAR = 1.5, 1.0
"""What it costs to take a request for one tier lighter or heavier than it is, where a profile does not say."""

AUTO = "auto"
"""The name whose tier is found by classifying the request. As a task's target in a profile it means the same."""

AUTO_NAMES: Mapping[str, Tier | None] = MappingProxyType(
    {AUTO: None} | {f"{AUTO}:{tier.value}": tier for tier in TIERS}
)
"""`auto`, and the names that force a tier (`auto:fast`)."""
