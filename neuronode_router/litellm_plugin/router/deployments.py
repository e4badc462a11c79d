"""What the live router offers: model groups for validation, and who a deployment id belongs to.

Reads LiteLLM's model list; changes nothing in it and never returns `litellm_params` (they hold keys).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import litellm

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.litellm_plugin.router.location import Locations

EMBEDDED_MARK = "neuronode_embedded"
"""`model_info` entry of a deployment that is the built-in tiny model."""


class Deployments:
    """A view of the router's model list. The index is built on the first unknown id, not per request."""

    def __init__(self, bridge: RouterBridge) -> None:
        self._bridge = bridge
        self._by_id: dict[str, tuple[str | None, bool]] = {}
        self._makers: dict[str, str] = {}

    def facts(self, aliases: frozenset[str]) -> HostFacts:
        """Return the model groups of the live router and where they are, beside the operator's own `aliases`."""
        return HostFacts(
            groups=frozenset(entry["model_name"] for entry in self._bridge.entries()),
            aliases=aliases,
            places=Locations(self._bridge.entries).by_group(),
        )

    def embedded_groups(self) -> tuple[str, ...]:
        """Return the groups that the built-in model answers, sorted."""
        return tuple(sorted({entry["model_name"] for entry in self._bridge.entries() if _is_embedded(entry)}))

    def group_of(self, deployment_id: str) -> str | None:
        """Return the group of a deployment, None where the router has none of this id; clients may name any."""
        found = self._by_id.get(deployment_id)
        if found is None or found[0] is None:
            if not self._bridge.has_deployment(deployment_id):
                return None
            self._by_id.pop(deployment_id, None)
            found = self.served_by({"model_id": deployment_id})
        return found[0]

    def maker_of(self, deployment_id: str) -> str | None:
        """Return what tells the provider of a deployment, and the server that is asked, from others; None for no such.

        What one of a maker's deployments has signed, its other ones accept.
        """
        if not self._bridge.has_deployment(deployment_id):
            return None
        if deployment_id not in self._makers:
            self._makers = {entry["model_info"]["id"]: _maker(entry) for entry in self._bridge.entries()}
        return self._makers.get(deployment_id)

    def served_by(self, call_info: Mapping[str, Any]) -> tuple[str | None, bool]:
        """Return (group, embedded) of the deployment that answered, (None, False) where LiteLLM names
        none.
        """
        deployment_id = call_info.get("model_id")
        if not isinstance(deployment_id, str) or not deployment_id:
            return None, False
        if deployment_id not in self._by_id:
            self._by_id = {
                entry["model_info"]["id"]: (entry["model_name"], _is_embedded(entry))
                for entry in self._bridge.entries()
            }
            # A deployment that LiteLLM has dropped meanwhile is remembered as unknown, so that it is looked
            # up once.
            self._by_id.setdefault(deployment_id, (None, False))
        return self._by_id[deployment_id]


def _maker(entry: Mapping[str, Any]) -> str:
    """Return a hash: the address of a server need not be known anywhere."""
    params = entry.get("litellm_params") or {}
    name = str(params.get("model") or "")
    try:
        _, provider, _, base = litellm.get_llm_provider(
            name, custom_llm_provider=params.get("custom_llm_provider"), api_base=params.get("api_base")
        )
    except litellm.BadRequestError:  # a name that it cannot place: then the name itself tells
        provider, base = name.partition("/")[0], params.get("api_base")
    return hashlib.blake2b(f"{provider} {base}".encode(), digest_size=6).hexdigest()


def _is_embedded(entry: Mapping[str, Any]) -> bool:
    return bool((entry.get("model_info") or {}).get(EMBEDDED_MARK))
