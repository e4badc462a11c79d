"""Which deployments of LiteLLM's list an outage is about: those of a group, a provider, or one server.

It decides nothing, and returns ids and names only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuronode_router.health.ollama import Defaults, read_places
from neuronode_router.litellm_plugin.router.location import Entries, servers_of
from neuronode_router.litellm_plugin.router.model_facts import with_model_facts
from neuronode_router.policy.document import OutageScope, OutageTarget

CHATS = frozenset({None, "chat", "responses"})
"""LiteLLM's modes of what it can ask a chat question."""


@dataclass(frozen=True, slots=True)
class AskedPart:
    """What is asked of a target: a deployment, or the group."""

    name: str
    """Its id, or the name of the group."""
    chats: bool
    """Whether it answers chat questions, as far as anybody said."""
    loads: bool
    """Whether an Ollama serves it, which loads weights while it is asked."""


class WatchedDeployments:
    """The deployments of outages, read from the live list at every question."""

    def __init__(self, entries: Entries, defaults: Defaults | None = None) -> None:
        self._entries = entries
        self._defaults = defaults

    def of(self, target: OutageTarget) -> tuple[str, ...]:
        """Return the ids of a target's deployments, in the order of the list. Never raises."""
        return tuple(entry["model_info"]["id"] for entry in self._entries() if _belongs(entry, target))

    def asked(self, target: OutageTarget) -> tuple[AskedPart, ...]:
        """Return what tells whether a target is there, at least one. Never raises.

        Of a group it is the group, as clients ask it; of a provider or a server its deployments, those that answer
        chat questions where there are any.
        """
        entries = self._entries()
        local = read_places(entries, self._defaults)
        found = [_part(entry, local) for entry in entries if _belongs(entry, target)]
        if target.scope is OutageScope.GROUP or not found:
            chats, loads = any(part.chats for part in found), any(part.loads for part in found)
            return (AskedPart(target.name, chats, loads),)
        return tuple(part for part in found if part.chats) or tuple(found)


def _part(entry: Mapping[str, Any], local: Mapping[str, object]) -> AskedPart:
    (known,) = with_model_facts((entry,))
    about, name = known["model_info"], str((entry.get("litellm_params") or {}).get("model"))
    # Nobody can be asked for all that a wildcard stands for.
    return AskedPart(about["id"], about.get("mode") in CHATS and "*" not in name, about["id"] in local)


def _belongs(entry: Mapping[str, Any], target: OutageTarget) -> bool:
    if target.scope is OutageScope.GROUP:
        return bool(entry["model_name"] == target.name)
    servers = servers_of(entry.get("litellm_params"))
    if target.scope is OutageScope.PROVIDER:
        return any(server.provider == target.name for server in servers)
    return any(server.base and server.base.rstrip("/") == target.name.rstrip("/") for server in servers)
