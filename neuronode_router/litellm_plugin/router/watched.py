"""Which deployments of LiteLLM's list an outage is about: those of a group, a provider, or one server.

It decides nothing, and returns ids only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuronode_router.litellm_plugin.router.location import Entries, server_of
from neuronode_router.policy.document import OutageScope, OutageTarget


class WatchedDeployments:
    """The deployments of outages, read from the live list at every question."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def of(self, target: OutageTarget) -> tuple[str, ...]:
        """Return the ids of a target's deployments, in the order of the list. Never raises."""
        return tuple(entry["model_info"]["id"] for entry in self._entries() if _belongs(entry, target))


def _belongs(entry: Mapping[str, Any], target: OutageTarget) -> bool:
    if target.scope is OutageScope.GROUP:
        return bool(entry["model_name"] == target.name)
    server = server_of(entry.get("litellm_params"))
    if server is None:
        return False
    if target.scope is OutageScope.PROVIDER:
        return server.provider == target.name
    return server.base is not None and server.base.rstrip("/") == target.name.rstrip("/")
