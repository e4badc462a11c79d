"""The guardrails that operators wrote at the deployments of a group: they run for the group that is called.

LiteLLM has put those into the request that belong to the name by its map, which knows the active profile only. It must
not know how a group was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import litellm
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.proxy._types import UserAPIKeyAuth

from neuronode_router.litellm_plugin.router.bridge import Entry, RouterBridge, group_in
from neuronode_router.routing.inventory import is_same_list

GUARDRAILS = "guardrails"
METADATA = "metadata"
"""Where LiteLLM merges guardrails of groups, whatever the call."""

_OF_POLICIES = ("applied_policies", "policy_sources", "_guardrail_pipelines")
"""What LiteLLM writes into a request whose guardrails come of its policies."""

_OF_CALLER = ("metadata", "team_metadata", "project_metadata", "organization_metadata")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Where one request of a caller goes: for the name that was sent to `groups`, and if they fail along `ladders`."""

    user: UserAPIKeyAuth
    name: str
    groups: Sequence[str]
    ladders: Sequence[str] = ()


@dataclass(slots=True)
class GroupGuardrails:
    """The guardrails of groups, over one router."""

    bridge: RouterBridge
    _entries: Sequence[Entry] = ()
    _by_group: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def settle(self, data: dict[str, Any], guarded: Guarded) -> None:
        """Have the guardrails of the groups run on a request, and those of the map's group no more.

        Of a ladder's groups those are added that run beside the call: the others LiteLLM runs where it calls a
        deployment that has them. In doubt a guardrail runs.
        """
        known = self._known()
        if not known:
            return
        from litellm.proxy.utils import check_and_merge_model_level_guardrails

        mapped = group_in(self.bridge.aliases().get(guarded.name))
        merged = [group for group in dict.fromkeys(guarded.groups) if group in known and group != mapped]
        for group in merged:
            about = check_and_merge_model_level_guardrails(
                {**data, METADATA: data.get(METADATA) or {}, "model": group},
                self.bridge.live(),
                trust_client_model_info=False,
            )
            data[METADATA] = about[METADATA]
        beside = [one for group in guarded.ladders for one in known.get(group, ()) if _runs_beside(one)]
        if beside:
            metadata = data.setdefault(METADATA, {})
            present = _listed(metadata)
            metadata[GUARDRAILS] = [*present, *(one for one in beside if one not in present)]
        if mapped is not None and mapped not in guarded.groups and mapped in known:
            wanted = [one for group in guarded.groups for one in known.get(group, ())]
            _take_back(data, guarded.user, [one for one in known[mapped] if one not in (*wanted, *beside)])

    def _known(self) -> Mapping[str, tuple[Any, ...]]:
        entries = self.bridge.entries()
        if not is_same_list(entries, self._entries):
            found: dict[str, tuple[Any, ...]] = {}
            for entry in entries:
                if own := _of(entry):
                    found[entry["model_name"]] = (*found.get(entry["model_name"], ()), *own)
            self._by_group, self._entries = found, tuple(entries)
        return self._by_group


def _of(entry: Entry) -> Sequence[Any]:
    written = (entry.get("litellm_params") or {}).get(GUARDRAILS)
    return [written] if isinstance(written, str) else written if isinstance(written, list) else ()


def _listed(metadata: Mapping[str, Any]) -> list[Any]:
    found = metadata.get(GUARDRAILS)
    return found if isinstance(found, list) else [found] if found else []


def _runs_beside(one: Any) -> bool:
    """Return whether a guardrail runs while a deployment is asked; also of one that nobody knows."""
    from litellm.types.guardrails import GuardrailEventHooks

    asked = {METADATA: {GUARDRAILS: [one]}}
    names = set(one) if isinstance(one, Mapping) else {one}
    known = [it for it in litellm.callbacks if isinstance(it, CustomGuardrail) and it.guardrail_name in names]
    beside = GuardrailEventHooks.during_call
    return not known or any(it.should_run_guardrail(data=asked, event_type=beside) is True for it in known)


def _take_back(data: dict[str, Any], user: UserAPIKeyAuth, only_mapped: Sequence[Any]) -> None:
    """Take guardrails out that nothing but the map's group has brought in."""
    metadata = data.get(METADATA)
    if not isinstance(metadata, dict) or any(metadata.get(field) for field in _OF_POLICIES):
        return
    elsewhere = set(_named(data, user))
    gone = [one for one in only_mapped if isinstance(one, str) and one not in elsewhere]
    metadata[GUARDRAILS] = [one for one in _listed(metadata) if one not in gone]


def _named(data: Mapping[str, Any], user: UserAPIKeyAuth) -> Iterator[str]:
    """Yield the guardrails that the client, his key or whom it belongs to has asked for."""
    request = data.get("proxy_server_request")
    body = request.get("body") if isinstance(request, Mapping) else None
    said = [body, body.get(METADATA), body.get("litellm_metadata")] if isinstance(body, Mapping) else []
    for place in (*said, *(getattr(user, name, None) for name in _OF_CALLER)):
        for one in _listed(place) if isinstance(place, Mapping) else ():
            names = one if isinstance(one, Mapping) else [one]
            yield from (name for name in names if isinstance(name, str))
