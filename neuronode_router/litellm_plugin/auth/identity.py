"""Who is calling: LiteLLM's own authentication, turned into our `Principal` and our error classes.

It decides nothing: what a principal may do is `access`'s business. It never reads a request body.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException, Request
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth
from litellm.proxy.auth.auth_checks import get_key_object
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

from neuronode_router.access import AccessFile, AccessKey, Principal, Role, key_hash, sent_key
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.domain.rules import PersonalDataRule
from neuronode_router.errors import AdminClosed, NotAllowed, NotAuthenticated
from neuronode_router.litellm_plugin.auth.key_headers import key_headers
from neuronode_router.litellm_plugin.auth.ui_sessions import KEY_PREFIX, UiSessions
from neuronode_router.routing.residency import read_requirement

ANY_KEY_ROUTE = "/v1/models"
"""A route of LiteLLM's that every valid key may read: asked only to learn who a refused caller is."""

UI_TEAM = "litellm-dashboard"
"""LiteLLM's own team for sessions of its UI: no team of the operator's."""

MAX_TIER = "neuronode_max_tier"
"""Key in a team's metadata: the highest tier that `auto` may use for the team."""

RESIDENCY = "neuronode_residency"
"""Key in a team's metadata: where the data of the team's requests may go, a place or a list of places."""

PERSONAL_DATA = "neuronode_personal_data"
"""Key in a team's metadata: what becomes of the team's requests that hold personal data, a `PersonalDataRule`."""

MANAGERS = "neuronode_managers"
"""Key in a team's metadata: ids of the users who may choose the team's profile."""

MASTER_KEY = "litellm_proxy_master_key"
"""LiteLLM's word for the master key wherever it tells whose key it was: an unsalted hash could be guessed from."""

KNOWN = "LiteLLM knows this key and refuses it (blocked, expired, limited or over budget)."

ROLES = {
    LitellmUserRoles.PROXY_ADMIN: Role.ADMIN,
    LitellmUserRoles.PROXY_ADMIN_VIEW_ONLY: Role.VIEWER,
}


def role_of(said: LitellmUserRoles | None) -> Role:
    """Return our role for LiteLLM's. Never raises."""
    return ROLES.get(said, Role.MEMBER)


class Identity:
    """Turns a request or LiteLLM's `UserAPIKeyAuth` into a `Principal`."""

    def __init__(self, *, proxy: Any, access: AccessFile | None, sessions: UiSessions | None = None) -> None:
        self._proxy = proxy
        self._access = access
        self._sessions = sessions

    def principal(self, user: UserAPIKeyAuth) -> Principal:
        """Return who LiteLLM says the caller is. Grants come from the access file and the team, never from
        metadata that a key's owner could write himself (see `open_team_rules`). Never raises.
        """
        entry = self._access.by_hash(user.token) if self._access is not None and user.token else None
        if entry is not None:
            return entry.principal
        role = role_of(user.user_role)
        team = user.team_id if user.team_id != UI_TEAM else None
        return Principal(
            name=_display_name(user),
            role=role,
            team=team,
            max_tier=_max_tier(user),
            manages=_managed(user, team),
            residency=read_requirement((user.team_metadata or {}).get(RESIDENCY)),
            personal_data=_personal_data(user),
            id=_id(user),
        )

    async def authenticate(self, request: Request) -> Principal:
        """Return the caller of an admin route.

        Raises `AdminClosed` without a master key, `NotAuthenticated` for a missing or unknown key and `NotAllowed`
        for a key that LiteLLM knows and refuses (blocked, expired, limited, over budget).
        """
        if not self._proxy.master_key:
            raise AdminClosed("The proxy runs without a master key, so the admin routes are closed.")
        key = _bearer(request)
        if self._sessions is not None and key.startswith(KEY_PREFIX):
            return self._sessions.principal(key)
        if self._access is not None:
            with contextlib.suppress(NotAuthenticated):
                return self._access.find(key).principal
        try:
            return self.principal(await self.ask(request, key, path=request.scope["path"]))
        except Exception as refusal:  # noqa: BLE001 - without `prisma` LiteLLM's own refusal ends in ImportError
            return await self._as_member(request, key, refusal)

    async def _as_member(self, request: Request, key: str, refusal: Exception) -> Principal:
        """LiteLLM keeps unknown management routes to proxy admins. Any other valid key is known, without rights."""
        try:
            user = await self.ask(request, key, path=ANY_KEY_ROUTE)
        except Exception as error:
            raise NotAllowed(KNOWN) if await self._blocked(key) else _refused(error) from error
        known = self.principal(user)
        if known.role is Role.ADMIN:
            # An admin's key that is limited to other routes: it keeps that limit here.
            raise NotAllowed("This key is limited to routes that do not include this one.") from refusal
        return known

    async def _blocked(self, key: str) -> bool:
        """Return whether LiteLLM's database has this key, blocked: LiteLLM refuses it like one that nobody knows."""
        found = await self._stored(key_hash(key))
        return found is not None and found.blocked is True

    async def known(self, key: str) -> UserAPIKeyAuth | None:
        """Return whose key it is by the access file or LiteLLM's database, None where neither tells. Never raises.

        It is no authentication: whether the key is valid now LiteLLM alone says.
        """
        entry = self._access.by_hash(key_hash(key)) if self._access is not None else None
        return _as_litellm(entry, key) if entry is not None else await self._stored(key_hash(key))

    async def knows(self, name: str) -> bool | None:
        """Return whether there is a key of this name in the access file or hash in LiteLLM's database. Never raises.

        None where neither can tell.
        """
        if self._access is not None and name in {key.name for key in self._access.entries()}:
            return True
        if getattr(self._proxy, "prisma_client", None) is None:
            return None if self._access is None else False
        return await self._stored(name) is not None

    async def _stored(self, token: str) -> UserAPIKeyAuth | None:
        if getattr(self._proxy, "prisma_client", None) is None:
            return None
        try:
            found: UserAPIKeyAuth = await get_key_object(
                hashed_token=token,
                prisma_client=self._proxy.prisma_client,
                user_api_key_cache=self._proxy.user_api_key_cache,
            )
        except Exception:  # noqa: BLE001 - unknown, or nobody can say: it stays with LiteLLM's refusal
            return None
        return found

    async def ask(self, request: Request, key: str, *, path: str) -> UserAPIKeyAuth:
        """Return whom LiteLLM's authentication finds for a GET of `path`. Raises what LiteLLM's raises."""
        # Only what authentication needs, without the caller's body, so that LiteLLM neither consumes the body stream
        # nor takes fields of it for its own.
        headers = key_headers(key, self._proxy)
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "root_path": request.scope.get("root_path", ""),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "server": request.scope.get("server"),
            "client": request.scope.get("client"),
            "scheme": request.scope.get("scheme", "http"),
            "state": {},
        }
        user: UserAPIKeyAuth = await user_api_key_auth(
            request=Request(scope, receive=_no_body),
            api_key=f"Bearer {key}",
            azure_api_key_header="",
            anthropic_api_key_header=None,
            google_ai_studio_api_key_header=None,
            azure_apim_header=None,
            custom_litellm_key_header=None,
        )
        return user


def access_file_auth(
    access: Callable[[], AccessFile | None], master_key: Callable[[], str | None]
) -> Callable[[Request, str], Awaitable[UserAPIKeyAuth]]:
    """Return LiteLLM's `custom_auth` function for a proxy without a database: the master key and the access
    file.

    It raises HTTPException 401 for any other key. The key's `tasks` become LiteLLM's model list, which its
    common checks enforce (`custom_auth_run_common_checks` and `enable_post_custom_auth_checks` switch them
    on).
    """

    async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
        key = api_key.removeprefix("Bearer ")
        master, file = master_key(), access()
        # LiteLLM's own authentication hands its span on too; without it traces would fall apart.
        span = getattr(request.state, "parent_otel_span", None)
        if master and hmac.compare_digest(key.encode(), master.encode()):
            return UserAPIKeyAuth(
                api_key=MASTER_KEY,
                user_role=LitellmUserRoles.PROXY_ADMIN,
                user_id="default_user_id",
                parent_otel_span=span,
            )
        try:
            if file is None:
                raise NotAuthenticated("No access file is in force.")
            entry = file.find(key)
        except NotAuthenticated as error:
            raise HTTPException(status_code=401, detail=error.message) from error
        return _as_litellm(entry, key, span=span)

    return authenticate


def _as_litellm(entry: AccessKey, key: str, *, span: object = None) -> UserAPIKeyAuth:
    to_litellm = {ours: theirs for theirs, ours in ROLES.items()}
    return UserAPIKeyAuth(
        api_key=key,
        key_alias=entry.name,
        user_id=entry.name,
        team_id=entry.team,
        models=list(entry.tasks),
        user_role=to_litellm.get(entry.role, LitellmUserRoles.INTERNAL_USER),
        parent_otel_span=span,
    )


def _bearer(request: Request) -> str:
    key = sent_key(request.headers.get("authorization", ""))
    if not key:
        raise NotAuthenticated("This route needs a key.")
    return key


def _refused(error: Exception) -> NotAuthenticated | NotAllowed:
    """Map LiteLLM's refusal. Its texts are not passed on: they can quote parts of keys."""
    status = str(getattr(error, "code", None) or getattr(error, "status_code", ""))
    if status in {"403", "429"} or getattr(error, "type", "") in {"budget_exceeded", "expired_key"}:
        return NotAllowed(KNOWN)
    return NotAuthenticated("This proxy does not know the key.")


def _managed(user: UserAPIKeyAuth, team: str | None) -> tuple[str, ...]:
    """Return the caller's team where its metadata names the user. By user id: a key's alias its owner may choose."""
    managers = (user.team_metadata or {}).get(MANAGERS)
    named = isinstance(managers, list) and user.user_id is not None and user.user_id in managers
    return (team,) if named and team is not None else ()


def _max_tier(user: UserAPIKeyAuth) -> Tier:
    """Return the team's cap; one that nobody knows is the lowest."""
    cap = (user.team_metadata or {}).get(MAX_TIER)
    if cap is None:
        return Tier.COMPLEX
    return Tier(cap) if cap in TIERS else Tier.FAST


def _personal_data(user: UserAPIKeyAuth) -> PersonalDataRule:
    """Return the team's rule, likewise; one that nobody knows is the strictest."""
    said = (user.team_metadata or {}).get(PERSONAL_DATA)
    if said is None:
        return PersonalDataRule.ALLOW
    return PersonalDataRule(said) if said in list(PersonalDataRule) else PersonalDataRule.REFUSE


def _id(user: UserAPIKeyAuth) -> str:
    return str(user.token or (f"user:{user.user_id}" if user.user_id else ""))


def _display_name(user: UserAPIKeyAuth) -> str:
    if user.key_alias or user.user_id:
        return str(user.key_alias or user.user_id)
    return f"key-{user.token[:8]}" if user.token else "unknown"


async def _no_body() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
