"""What the live router offers: model groups for validation, and who a deployment id belongs to.

Reads LiteLLM's model list; changes nothing in it and never returns `litellm_params` (they hold keys).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import litellm

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.litellm_plugin.router.bridge import Entry, RouterBridge
from neuronode_router.litellm_plugin.router.location import Locations
from neuronode_router.routing.inventory import is_same_list

EMBEDDED_MARK = "neuronode_embedded"
"""`model_info` entry of a deployment that is the built-in tiny model."""

FACTS_SECONDS = 10.0
"""How long facts hold while the list is the same: the environment, by which some places are known, may change too."""

TEAM_NAME = "team_public_model_name"
"""`model_info` entry of a team's own deployment: the name that the team asks for."""


class Deployments:
    """A view of the router's model list: what it tells of a deployment is what LiteLLM has under the id now.

    LiteLLM renames a deployment, and sends it elsewhere, under the same id.
    """

    def __init__(self, bridge: RouterBridge, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bridge = bridge
        self._clock = clock
        self._last: Mapping[str, Entry] = {}
        self._known: tuple[float, Sequence[Entry], HostFacts] = (-FACTS_SECONDS, (), HostFacts(frozenset()))

    def facts(self, aliases: frozenset[str]) -> HostFacts:
        """Return the model groups of the live router and where they are, beside the operator's own `aliases`.

        Every worker asks twice a second, and reading the places of forty deployments takes a third of a millisecond.
        """
        entries, now = tuple(self._bridge.entries()), self._clock()
        since, before, facts = self._known
        if facts.aliases == aliases and now - since < FACTS_SECONDS and is_same_list(entries, before):
            return facts
        groups = frozenset(entry["model_name"] for entry in entries)
        facts = HostFacts(groups=groups, aliases=aliases, places=Locations(lambda: entries).by_group())
        self._known = (now, entries, facts)
        return facts

    def embedded_groups(self) -> tuple[str, ...]:
        """Return the groups that the built-in model answers, sorted."""
        return tuple(sorted({entry["model_name"] for entry in self._bridge.entries() if _is_embedded(entry)}))

    def group_of(self, deployment_id: str) -> str | None:
        """Return the group of a deployment, None where the router has none of this id; clients may name any.

        Of one that LiteLLM has dropped while it answered it is the last one. It is for rules: a team's own deployment
        is in a group of its own.
        """
        entry = self._entry(deployment_id)
        return None if entry is None else str(entry["model_name"])

    def maker_and_group(self, deployment_id: str) -> tuple[str, str] | None:
        """Return what tells the provider of a deployment, and the server that is asked, from others, and its group.

        None where the router has none of this id. What one of a maker's deployments has signed, its other ones accept.
        """
        entry = self._bridge.deployment(deployment_id)
        if entry is None:
            return None
        params = entry.get("litellm_params") or {}
        name, provider, base = map(params.get, ("model", "custom_llm_provider", "api_base"))
        return _maker(str(name or ""), provider, base), str(entry["model_name"])

    def served_by(self, call_info: Mapping[str, Any]) -> tuple[str | None, bool]:
        """Return (group, embedded) of the deployment that answered, (None, False) where LiteLLM names none.

        It is for telling and counting: a team's own deployment is told by the name that the team asks for.
        """
        deployment_id = call_info.get("model_id")
        if not isinstance(deployment_id, str) or not deployment_id:
            return None, False
        entry = self._entry(deployment_id)
        return (None, False) if entry is None else (_told(entry), _is_embedded(entry))

    def team_names(self) -> frozenset[str]:
        """Return the names by which teams ask for deployments of their own."""
        return frozenset(name for entry in self._bridge.entries() if (name := team_name(entry)) is not None)

    def _entry(self, deployment_id: str) -> Entry | None:
        live = self._bridge.deployment(deployment_id)
        if live is None:
            return self._last.get(deployment_id)
        # LiteLLM puts a new entry in the place of one that was edited. Ours are held, so `is` can be trusted.
        if self._last.get(deployment_id) is not live:
            known = {entry["model_info"]["id"]: entry for entry in self._bridge.entries()}
            self._last = {**known, deployment_id: live}
        return live


@lru_cache(maxsize=4096)
def _maker(name: str, provider: str | None, base: str | None) -> str:
    """Return a hash: the address of a server need not be known anywhere."""
    try:
        _, known, _, asked = litellm.get_llm_provider(name, custom_llm_provider=provider, api_base=base)
    except litellm.BadRequestError:  # a name that it cannot place: then the name itself tells
        known, asked = name.partition("/")[0], base
    return hashlib.blake2b(f"{known} {asked}".encode(), digest_size=6).hexdigest()


def _is_embedded(entry: Mapping[str, Any]) -> bool:
    return bool((entry.get("model_info") or {}).get(EMBEDDED_MARK))


def team_name(entry: Mapping[str, Any]) -> str | None:
    """Return the name by which a team asks for a deployment of its own, None for what is no team's."""
    about = entry.get("model_info")
    name = about.get(TEAM_NAME) if isinstance(about, Mapping) and about.get("team_id") else None
    return name if isinstance(name, str) and name else None


def _told(entry: Mapping[str, Any]) -> str:
    """LiteLLM makes a group of its own for what a team adds, and shows the team's name in its place."""
    group, name = str(entry["model_name"]), team_name(entry)
    made = name is not None and group.startswith(f"model_name_{entry['model_info']['team_id']}_")
    return name if name is not None and made else group
