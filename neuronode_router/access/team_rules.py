"""Whether the rules that LiteLLM's team metadata has for us are administrators' alone to write.

It must not know LiteLLM's classes, nor what the rules say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuronode_router.errors import Problem

EDITABLE = "team_admin_editable_team_fields"
"""LiteLLM's general setting: the fields of a team that the team's own administrators may write."""


def open_team_rules(general_settings: Mapping[str, Any]) -> Problem | None:
    """Return what is wrong where the administrators of teams may write their team's metadata. Never raises."""
    fields = general_settings.get(EDITABLE)
    if not isinstance(fields, list | tuple) or "metadata" not in fields:
        return None
    return Problem(
        "team_rules_open",
        "The administrators of teams may write their team's metadata, and with it the cap, the residency, the rule for "
        "personal data and the managers that stand there for this plugin.",
        "Take `metadata` out of that list, in the configuration and under LiteLLM's Settings > UI.",
        path=f"general_settings.{EDITABLE}",
    )
