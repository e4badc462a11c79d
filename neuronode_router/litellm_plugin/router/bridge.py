"""LiteLLM's live router as the plugin uses it, by official entry points: deployments, aliases, settings, cooldowns.

Every read or write of the router stands here, and for releases before 1.110 in `legacy`. It must not know what the
facts are used for. A proxy that has no router yet reads as one without deployments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import litellm

from neuronode_router.litellm_plugin import timeouts

Entry = Mapping[str, Any]
"""An entry of LiteLLM's model list."""

AliasTable = dict[str, Any]
"""LiteLLM's map: a target group, or `{"model": group, "hidden": bool}` where the operator wrote it so."""

Merge = Callable[[AliasTable], AliasTable]
"""From a map that is about to be written to the one that is. It must not raise."""

AccessCheck = Callable[..., Any]
"""LiteLLM's `fallback_access_check`: awaited with keywords, it tells whether a fallback may go to a group."""

FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""The settings that say where failed requests go, each a list of `{name: [group, ...]}`."""

_COOLING = ("deployment:", ":cooldown")
"""What LiteLLM writes around the id of a deployment in cooldown."""

ALIASES = "model_group_alias"

COSTLESS = "_zero_cost_cache"
"""Where LiteLLM remembers which names cost nothing: a dictionary, emptied whenever models or aliases change."""

OVERRIDE = "routing_strategy"
"""Entry of a request that brings a strategy of its key or team."""


def group_in(target: object) -> str | None:
    """Return the group that an entry of LiteLLM's map leads to, None where it is none."""
    group = target.get("model") if isinstance(target, Mapping) else target
    return group if isinstance(group, str) else None


class RouterBridge(Protocol):
    """What is asked of a router. Nothing here waits; what LiteLLM raises goes on."""

    def live(self) -> Any | None:
        """Return the router itself, None while there is none."""
        ...

    def entries(self) -> Sequence[Entry]:
        """Return the model list; of an entry that was edited LiteLLM holds a new object."""
        ...

    def has_group(self, name: str) -> bool:
        """Return whether a model group has this name."""
        ...

    def has_deployment(self, deployment_id: str) -> bool:
        """Return whether a deployment has this id."""
        ...

    def deployment(self, deployment_id: str) -> Entry | None:
        """Return the entry of this id, the very object that `entries` holds; None where there is none."""
        ...

    def aliases(self) -> AliasTable:
        """Return the alias map. It must not be edited."""
        ...

    def write_aliases(self, table: AliasTable) -> None:
        """Replace the alias map."""
        ...

    def hold_aliases(self, merge: Merge) -> None:
        """Let every map that anybody writes pass `merge`, for as long as this router lives; a second call is nothing.

        LiteLLM reads its settings anew all the time and writes the map it finds there: what is merged into that very
        write is missing at no moment.
        """
        ...

    def release_aliases(self) -> None:
        """Let maps be written as they are."""
        ...

    def filters_by_tag(self) -> bool:
        """Return whether tags of a request choose deployments."""
        ...

    def checks_before_calls(self) -> bool:
        """Return whether LiteLLM drops deployments that cannot hold a prompt, after it asked its filters."""
        ...

    def fallbacks(self) -> Mapping[str, Sequence[Any]]:
        """Return what `FALLBACKS` are set to."""
        ...

    def strategy(self, group: str, request: Mapping[str, Any]) -> str | None:
        """Return the routing strategy in force for a request to `group`."""
        ...

    def cooling(self) -> frozenset[str]:
        """Return the ids of deployments in cooldown, as far as this process knows."""
        ...

    def allowed_seconds(self, deployment_id: str, *, streams: bool) -> float | None:
        """Return the time-out in seconds that the operator gave a deployment, None where LiteLLM has only its own."""
        ...

    def access_check(self) -> AccessCheck | None:
        """Return what LiteLLM asks before a fallback goes to another group, None where it asks nobody."""
        ...

    def set_access_check(self, check: AccessCheck | None) -> None:
        """Let LiteLLM ask `check`. Does nothing where it asks nobody."""
        ...

    def hold_costless(self, memory: type[dict[str, bool]]) -> bool:
        """Let LiteLLM remember in a `memory` which names cost nothing; return whether it remembers them at all."""
        ...


class OfficialRouter:
    """The router of LiteLLM 1.110 and later."""

    def __init__(self, router: Callable[[], Any | None]) -> None:
        self._router = router
        self._held = HeldWrites("apply", _applying)

    def live(self) -> Any | None:
        """Return the router itself."""
        return self._router()

    def entries(self) -> Sequence[Entry]:
        """Return the model list: LiteLLM's live one."""
        router = self._router()
        return () if router is None else router.registry().all()

    def has_group(self, name: str) -> bool:
        """Return whether a model group has this name."""
        router = self._router()
        return router is not None and name in router.registry().names(kind="group_set")

    def has_deployment(self, deployment_id: str) -> bool:
        """Return whether a deployment has this id."""
        router = self._router()
        return router is not None and bool(router.registry().has_deployment(deployment_id))

    def deployment(self, deployment_id: str) -> Entry | None:
        """Return the entry of this id."""
        router = self._router()
        found: Entry | None = None if router is None else router.registry().deployment_dict(deployment_id)
        return found

    def aliases(self) -> AliasTable:
        """Return the alias map."""
        router = self._router()
        return {} if router is None else router.registry().aliases() or {}

    def write_aliases(self, table: AliasTable) -> None:
        """Replace the alias map."""
        self._apply(settings={ALIASES: table})

    def hold_aliases(self, merge: Merge) -> None:
        """Merge into each `ChangeSet` with a map that is applied: LiteLLM's own synchronisation is such a one."""
        self._held.hold(self._router(), merge)

    def release_aliases(self) -> None:
        """Apply what comes as it is."""
        self._held.release()

    def filters_by_tag(self) -> bool:
        """Return whether tags of a request choose deployments."""
        router = self._router()
        return router is not None and bool(router.settings().enable_tag_filtering)

    def checks_before_calls(self) -> bool:
        """Return whether LiteLLM drops deployments that cannot hold a prompt."""
        router = self._router()
        return router is not None and bool(router.settings().enable_pre_call_checks)

    def fallbacks(self) -> Mapping[str, Sequence[Any]]:
        """Return what `FALLBACKS` are set to."""
        router = self._router()
        settings = None if router is None else router.settings()
        return {name: getattr(settings, name, None) or () for name in FALLBACKS}

    def strategy(self, group: str, request: Mapping[str, Any]) -> str | None:
        """Return the strategy of the request, else of the routing group, else of the router."""
        router = self._router()
        if router is None:
            return None
        own = request.get(OVERRIDE)
        if isinstance(own, str):
            return own
        registry = router.registry()
        for routing_group in (registry.routing_groups() or {}).values():
            if group == routing_group.group_name or group in routing_group.models:
                return _name(routing_group.routing_strategy)
        return _name(router.settings().routing_strategy)

    def cooling(self) -> frozenset[str]:
        """Return the ids of deployments in cooldown."""
        router = self._router()
        if router is None:
            return frozenset()
        # From memory: with Redis the other readings ask it, and may wait for it.
        held, now = router.health().cooldowns.cooldown_store.snapshot(), time.time()
        return frozenset(
            key.removeprefix(_COOLING[0]).removesuffix(_COOLING[1])
            for key, value in held.items()
            if value["timestamp"] + value["cooldown_time"] > now
        )

    def allowed_seconds(self, deployment_id: str, *, streams: bool) -> float | None:
        """Return the time-out of the deployment, else of the router."""
        router = self._router()
        entry = self.deployment(deployment_id)
        if router is None or entry is None:
            return None
        return timeouts.first_seconds(
            timeouts.NAMES[streams],
            entry.get("litellm_params") or {},
            router.settings().default_litellm_params or {},
        )

    def access_check(self) -> AccessCheck | None:
        """Return what LiteLLM asks before a fallback."""
        router = self._router()
        found: AccessCheck | None = None if router is None else router.settings().fallback_access_check
        return found

    def set_access_check(self, check: AccessCheck | None) -> None:
        """Let LiteLLM ask `check`."""
        self._apply(assign={"fallback_access_check": check})

    def hold_costless(self, memory: type[dict[str, bool]]) -> bool:
        """Change what the registry's `zero_cost` returns."""
        router = self._router()
        return remember(getattr(router.registry(), "_router", None) if router is not None else None, memory)

    def _apply(self, **changes: Any) -> None:
        router = self._router()
        if router is not None:
            from litellm.router_api import ChangeSet

            router.apply(ChangeSet(**changes))


class HeldWrites:
    """One method of a router that writes settings, and what stands before it: `around` makes that of both."""

    def __init__(
        self, method: str, around: Callable[[Callable[..., Any], Merge], Callable[..., Any]]
    ) -> None:
        self._method = method
        self._around = around
        self._router: Any | None = None

    def hold(self, router: Any | None, merge: Merge) -> None:
        """Stand before the method of `router`, if it is another router than before."""
        if router is not None and router is not self._router:
            self.release()
            setattr(router, self._method, self._around(getattr(router, self._method), merge))
            self._router = router

    def release(self) -> None:
        """Leave the router as it was."""
        if self._router is not None:
            delattr(self._router, self._method)
            self._router = None


def merged_settings(merge: Merge, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings whose map, where they have one, is merged."""
    table = settings.get(ALIASES, ())
    if table is None or isinstance(table, Mapping):
        return {**settings, ALIASES: merge(dict(table or {}))}
    return settings


def _applying(apply: Callable[..., Any], merge: Merge) -> Callable[..., Any]:
    def applied(changes: Any) -> Any:
        assign, settings = (merged_settings(merge, part) for part in (changes.assign, changes.settings))
        return apply(replace(changes, assign=assign, settings=settings))

    return applied


def remember(holder: object, memory: type[dict[str, bool]]) -> bool:
    """Let the part of a router that has a memory of what costs nothing have this kind of one; return whether it has."""
    known = getattr(holder, COSTLESS, None)
    if isinstance(known, dict) and not isinstance(known, memory):
        setattr(holder, COSTLESS, memory(known))
    return isinstance(known, dict)


def bridge_of(router: Callable[[], Any | None]) -> RouterBridge:
    """Return the bridge to the router that `router` returns, by what this LiteLLM's routers offer."""
    if hasattr(litellm.Router, "registry"):
        return OfficialRouter(router)
    from neuronode_router.litellm_plugin.router.legacy import LegacyRouter

    return LegacyRouter(router)


def _name(strategy: object) -> str | None:
    value = getattr(strategy, "value", strategy)
    return value if isinstance(value, str) else None
