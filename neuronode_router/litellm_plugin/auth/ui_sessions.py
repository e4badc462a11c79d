"""Sessions of people who come from LiteLLM's own UI: its identity claim, verified, becomes a key for an hour.

It must not know routes. A session is good for our admin routes only: LiteLLM itself knows nothing of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable

from cryptography.fernet import Fernet, InvalidToken
from litellm.proxy._types import LitellmUserRoles

from neuronode_router.access import Principal, Role, UiSession
from neuronode_router.errors import AdminClosed, NotAuthenticated

PLUGIN_NAME = "neuronode-profiles"
"""The name under which the page must stand in `general_settings.plugins`: claims are made out to a name."""

KEY_PREFIX = "nnui-"
SESSION_SECONDS = 3600
_PURPOSE = b"neuronode dashboard session"
_AGAIN = "Open the page from LiteLLM's UI again, or sign in with a key."


class UiSessions:
    """Issues and reads sessions. They are sealed, not stored, so every worker with the same keys knows them.

    They end at a rotation of the salt, by which LiteLLM's claims are sealed, and of the master key.
    """

    def __init__(
        self,
        *,
        salt: Callable[[], str | None],
        master_key: Callable[[], str | None],
        roles: Callable[[LitellmUserRoles], Role],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._salt = salt
        self._master_key = master_key
        self._roles = roles
        self._clock = clock

    def sign_in(self, claim: str) -> UiSession:
        """Return a session for whom LiteLLM says the claim is about.

        Raises `NotAuthenticated` for a claim that is forged, of another plugin or older than its 30 seconds, and
        `AdminClosed` without a master key.
        """
        from litellm.proxy.plugin_routes import verify_plugin_session_claim

        seal = self._seal()
        try:
            said = verify_plugin_session_claim(PLUGIN_NAME, claim)
        except ValueError as error:
            raise NotAuthenticated("LiteLLM's identity claim is not valid.", fix=_AGAIN) from error
        now = self._clock()
        content = {"name": said["user_id"] or "unknown", "role": self._role(said["user_role"]).value}
        sealed = seal.encrypt_at_time(json.dumps(content).encode(), int(now))
        return UiSession(key=KEY_PREFIX + sealed.decode(), expires_at=now + SESSION_SECONDS)

    def principal(self, key: str) -> Principal:
        """Return whose session a key is. Raises `NotAuthenticated` when it is over, or was never ours."""
        try:
            sealed = key.removeprefix(KEY_PREFIX).encode()
            content = json.loads(self._seal().decrypt_at_time(sealed, SESSION_SECONDS, int(self._clock())))
        except InvalidToken as error:
            raise NotAuthenticated("This session is over.", fix=_AGAIN) from error
        return Principal(name=content["name"], role=Role(content["role"]), id=f"user:{content['name']}")

    def _role(self, said: str) -> Role:
        try:
            return self._roles(LitellmUserRoles(said))
        except ValueError:  # a role this LiteLLM does not define: no rights come with it
            return Role.MEMBER

    def _seal(self) -> Fernet:
        salt, master_key = self._salt(), self._master_key()
        if not master_key:
            raise AdminClosed("The proxy runs without a master key, so nobody can sign in.")
        if not salt:
            # LiteLLM verifies claims against an empty salt too: then anybody could make one.
            raise NotAuthenticated(
                "Signing in from LiteLLM's UI needs LITELLM_SALT_KEY.", fix="Set it, or sign in with a key."
            )
        secret = hmac.digest(salt.encode(), _PURPOSE, hashlib.sha256)
        return Fernet(base64.urlsafe_b64encode(hmac.digest(secret, master_key.encode(), hashlib.sha256)))
