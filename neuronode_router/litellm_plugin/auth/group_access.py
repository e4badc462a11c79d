"""Whether a caller may use the group that a name leads to: LiteLLM's own rules for keys, teams, projects and users.

LiteLLM judges a name by its alias map, which knows the active profile only. It is asked again as if the map said where
this one request goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.auth_checks import (
    can_key_call_resolved_model,
    can_user_call_model,
    get_user_object,
)

from neuronode_router.litellm_plugin.auth.identity import MASTER_KEY
from neuronode_router.litellm_plugin.router.bridge import RouterBridge, group_in


class GroupAccess:
    """The rules, over one router."""

    def __init__(self, bridge: RouterBridge, *, proxy: Any, group_of: Callable[[str], str | None]) -> None:
        """`proxy` has LiteLLM's users; `group_of` tells the group of a deployment's id."""
        self._proxy = proxy
        self._bridge = bridge
        self._group_of = group_of

    async def may_use(self, user: UserAPIKeyAuth, name: str, group: str) -> bool:
        """Return whether what `user` holds grants the name itself or the group.

        What LiteLLM has judged already, at the door, is not judged again. Raises what its look-ups raise.
        """
        router = self._bridge.live()
        if router is None or name == group or group_in(self._bridge.aliases().get(name)) == group:
            return True
        return await self.grants(user, name, group)

    async def grants(self, user: UserAPIKeyAuth, name: str, group: str) -> bool:
        """Return the same, for a group that nobody has judged."""
        return await self._granted(user, name, _RouterWithAlias(self._bridge.live(), name, group))

    async def lets_in(self, user: UserAPIKeyAuth, name: str) -> bool:
        """Return whether LiteLLM grants the name by the map that it knows."""
        return await self._granted(user, name, self._bridge.live())

    async def _granted(self, user: UserAPIKeyAuth, name: str, router: Any) -> bool:
        try:
            await can_key_call_resolved_model(
                model=name, llm_model_list=None, valid_token=user, llm_router=router
            )
            await can_user_call_model(model=name, llm_router=router, user_object=await self._owner(user))
        except ProxyException:
            return False
        return True

    async def _owner(self, user: UserAPIKeyAuth) -> Any | None:
        """Return whose list holds for a key: its user's, where it is no team's. None where LiteLLM has none."""
        if user.team_id is not None or user.user_id is None or user.api_key == MASTER_KEY:
            return None
        try:
            return await get_user_object(
                user_id=user.user_id,
                prisma_client=self._proxy.prisma_client,
                user_api_key_cache=self._proxy.user_api_key_cache,
                user_id_upsert=False,
            )
        except Exception:  # noqa: BLE001 - who cannot be read has no list to LiteLLM's authentication either
            return None

    def named(self, name: str) -> str | None:
        """Return the group that a name means to LiteLLM: a group's, an operator's alias, a deployment's id.

        None where LiteLLM alone can tell, as with wildcards and names that its own routers resolve.
        """
        if self._bridge.has_group(name):
            return name
        group = group_in(self._bridge.aliases().get(name))
        return self._group_of(name) if group is None else group


class _WithAlias:
    """Something of LiteLLM's as it would be if `name` led to `group`; everything else is its own."""

    def __init__(self, theirs: Any, name: str, group: str) -> None:
        self._theirs = theirs
        self._name = name
        self._group = group

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._theirs, attribute)

    def _led(self, model: str | None) -> str | None:
        return self._group if model == self._name else model


class _RouterWithAlias(_WithAlias):
    """A router: from 1.110 on its registry is read, before that the members below."""

    def registry(self) -> _RegistryWithAlias:
        return _RegistryWithAlias(self._theirs.registry(), self._name, self._group)

    @property
    def model_group_alias(self) -> Mapping[str, Any]:
        return {**self._theirs.model_group_alias, self._name: self._group}

    def get_model_from_alias(self, model: str) -> Any:
        return self._group if model == self._name else self._theirs.get_model_from_alias(model)

    def get_model_access_groups(self, model_name: str | None = None, **context: Any) -> Any:
        return self._theirs.get_model_access_groups(model_name=self._led(model_name), **context)


class _RegistryWithAlias(_WithAlias):
    """The registry of a router."""

    def aliases(self) -> Mapping[str, Any]:
        return {**self._theirs.aliases(), self._name: self._group}

    def resolve(self, name: str, *, kind: str = "group", **context: Any) -> Any:
        if kind == "alias" and name == self._name:
            return self._group
        return self._theirs.resolve(name, kind=kind, **context)

    def access_groups(self, model_name: str | None = None, **context: Any) -> Any:
        return self._theirs.access_groups(model_name=self._led(model_name), **context)
