"""The routers of LiteLLM 1.106 and 1.108, which have no entry points: their members are read and set by name.

It stands apart so that it can be deleted as a whole once 1.108 is out of support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neuronode_router.litellm_plugin import timeouts
from neuronode_router.litellm_plugin.router.bridge import (
    AccessCheck,
    AliasTable,
    Entry,
    HeldWrites,
    Merge,
    merged_settings,
    remember,
)

ACCESS_CHECK = "fallback_access_check"


class LegacyRouter:
    """What `bridge.RouterBridge` says, by the members of the router itself."""

    def __init__(self, router: Callable[[], Any | None]) -> None:
        self._router = router
        self._held = HeldWrites("update_settings", _updating)

    def live(self) -> Any | None:
        """Return the router itself."""
        return self._router()

    def entries(self) -> Sequence[Entry]:
        """Return the model list."""
        return getattr(self._router(), "model_list", None) or ()

    def has_group(self, name: str) -> bool:
        """Return whether a model group has this name."""
        return name in (getattr(self._router(), "model_names", None) or ())

    def has_deployment(self, deployment_id: str) -> bool:
        """Return whether a deployment has this id."""
        return self.deployment(deployment_id) is not None

    def deployment(self, deployment_id: str) -> Entry | None:
        """Return the entry of this id."""
        router = self._router()
        found: Entry | None = None if router is None else router.get_model_info(id=deployment_id)
        return found

    def aliases(self) -> AliasTable:
        """Return the alias map."""
        return getattr(self._router(), "model_group_alias", None) or {}

    def write_aliases(self, table: AliasTable) -> None:
        """Replace the alias map, by a new one: LiteLLM compares old and new to drop its caches."""
        router = self._router()
        if router is not None:
            router.update_settings(model_group_alias=table)
            # Not covered by update_settings: listings by access group would keep the old target.
            router._invalidate_access_groups_cache()

    def hold_aliases(self, merge: Merge) -> None:
        """Merge into each update of the settings that has a map."""
        self._held.hold(self._router(), merge)

    def release_aliases(self) -> None:
        """Update with what comes as it is."""
        self._held.release()

    def filters_by_tag(self) -> bool:
        """Return whether tags of a request choose deployments."""
        return bool(getattr(self._router(), "enable_tag_filtering", False))

    def checks_before_calls(self) -> bool:
        """Return whether LiteLLM drops deployments that cannot hold a prompt."""
        return bool(getattr(self._router(), "enable_pre_call_checks", False))

    def fallbacks(self) -> Mapping[str, Sequence[Any]]:
        """Return LiteLLM's settings of fallbacks."""
        router = self._router()
        names = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
        return {name: getattr(router, name, None) or () for name in names}

    def strategy(self, group: str, request: Mapping[str, Any]) -> str | None:
        """Return the routing strategy in force for a request to `group`."""
        router = self._router()
        if router is None:
            return None
        # A copy: LiteLLM would note in the request that its strategy was chosen.
        found: str | None = router._get_routing_context(group, dict(request))[0]
        return found

    def cooling(self) -> frozenset[str]:
        """Return the ids of deployments in cooldown: from memory, without asking LiteLLM's Redis."""
        router = self._router()
        if router is None:
            return frozenset()
        cache, ids = router.cooldown_cache, router.get_model_ids()
        held = cache.in_memory_cache.batch_get_cache([cache.get_cooldown_cache_key(name) for name in ids])
        return frozenset(name for name, _ in cache.active_cooldowns_from_results(ids, held))

    def allowed_seconds(self, deployment_id: str, *, streams: bool) -> float | None:
        """Return the time-out of the deployment, else of the router."""
        router = self._router()
        deployment = None if router is None else router.get_deployment(model_id=deployment_id)
        if router is None or deployment is None:
            return None
        params = deployment.litellm_params.model_dump(exclude_none=True)
        return timeouts.seconds(router._get_timeout(kwargs={"stream": streams}, data=params))

    def access_check(self) -> AccessCheck | None:
        """Return what LiteLLM asks before a fallback; 1.106 asks nobody unless it is told to."""
        return getattr(self._router(), ACCESS_CHECK, None)

    def set_access_check(self, check: AccessCheck | None) -> None:
        """Let LiteLLM ask `check`."""
        router = self._router()
        if hasattr(router, ACCESS_CHECK):
            setattr(router, ACCESS_CHECK, check)

    def hold_costless(self, memory: type[dict[str, bool]]) -> bool:
        """Change the member itself."""
        return remember(self._router(), memory)


def _updating(update: Callable[..., Any], merge: Merge) -> Callable[..., Any]:
    def updated(**settings: Any) -> Any:
        return update(**merged_settings(merge, settings))

    return updated
