"""The name by which LiteLLM judges a request at its door, where the caller's profile leads the asked name elsewhere.

LiteLLM knows one map of aliases, that of the active profile. A caller who is led elsewhere by a binding or by his own
wish would be judged there by a group that is never called. Where what he holds grants the group that is called, LiteLLM
is told that name while it lets him in. This decides nothing: admission judges the same request again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import HTTPException, Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.auth_utils import get_request_route
from litellm.proxy.common_utils.http_parsing_utils import read_request_body

from neuronode_router.background import Failures
from neuronode_router.errors import NeuronodeError
from neuronode_router.litellm_plugin.auth.group_access import GroupAccess
from neuronode_router.litellm_plugin.auth.identity import ANY_KEY_ROUTE, Identity
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.litellm_plugin.hooks import request_metadata
from neuronode_router.litellm_plugin.hooks.asking import Asking
from neuronode_router.litellm_plugin.hooks.gate import is_listed

AskingOf = Callable[[UserAPIKeyAuth, dict[str, Any]], Asking]
"""From a caller and a request to what it means. Raises `NotReady`."""


class NameAtTheDoor:
    """Tells LiteLLM the group, for as long as it judges."""

    def __init__(
        self,
        *,
        proxy: Any,
        identity: Identity,
        access: GroupAccess,
        current: CurrentSnapshot,
        asking: AskingOf,
        failures: Failures,
    ) -> None:
        self._proxy = proxy
        self._identity = identity
        self._access = access
        self._current = current
        self._asking = asking
        self._failures = failures

    @asynccontextmanager
    async def told(self, request: Request, keys: Mapping[str, Any]) -> AsyncIterator[None]:
        """While it is open the parsed body of `request` names the group. `keys` are LiteLLM's headers by parameter."""
        group = None
        if self._may_lead_elsewhere(request):
            with self._failures.harmless("name at the door"):
                group = await self._group(request, keys)
        if group is None:
            yield
            return
        name = await _rename(request, group)
        try:
            yield
        finally:
            # LiteLLM leads whose budget for the group is spent elsewhere, where the operator says so.
            if (await read_request_body(request)).get("model") == group:
                await _rename(request, name)

    def _may_lead_elsewhere(self, request: Request) -> bool:
        snapshot = self._current.snapshot
        if snapshot is None or request.method != "POST":
            return False
        return bool(snapshot.state.bindings) or request_metadata.PROFILE_HEADER in request.headers

    async def _group(self, request: Request, keys: Mapping[str, Any]) -> str | None:
        """Return the group that LiteLLM is told, None where the name will do."""
        try:
            user = await self._caller(request, self._key(request, keys))
            if user is None or not is_listed(user):
                return None
            name = (await read_request_body(request)).get("model")
            asked = {"proxy_server_request": {"headers": dict(request.headers)}}
            decision = self._asking(user, asked).decide(name) if isinstance(name, str) else None
        except (HTTPException, ProxyException, NeuronodeError):
            return None  # LiteLLM and admission refuse it with their own words
        if decision is None or decision.profile is None or decision.auto:
            return None
        if await self._access.lets_in(user, decision.original_model):
            return None
        granted = await self._access.grants(user, decision.original_model, decision.group)
        return decision.group if granted else None

    async def _caller(self, request: Request, key: str) -> UserAPIKeyAuth | None:
        """Return whose key it is. Who may wish depends on his role, which LiteLLM's authentication alone finds."""
        if request_metadata.PROFILE_HEADER in request.headers:
            return await self._identity.ask(request, key, path=ANY_KEY_ROUTE)
        return await self._identity.known(key)

    def _key(self, request: Request, keys: Mapping[str, Any]) -> str:
        from litellm.proxy.auth.user_api_key_auth import get_api_key

        settings = self._proxy.general_settings or {}
        if (header := settings.get("litellm_key_header_name")) and header in request.headers:
            return str(request.headers[header]).removeprefix("Bearer ").strip()
        key, _ = get_api_key(
            **keys,
            pass_through_endpoints=settings.get("pass_through_endpoints"),
            route=get_request_route(request),
            request=request,
        )
        return str(key)


async def _rename(request: Request, name: object) -> object:
    """Put a name into the parsed body and return the one that was there."""
    from litellm.proxy.common_utils.http_parsing_utils import _safe_set_request_parsed_body

    body = await read_request_body(request)
    _safe_set_request_parsed_body(request, {**body, "model": name})
    return body["model"]
