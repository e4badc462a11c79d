"""What the dashboard's page gets from this worker beside the admin API: who may embed it, sign-in, keys.

It must not know HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuronode_router.access import AccessFile, AccessKey, UiSession
from neuronode_router.litellm_plugin.auth.ui_sessions import UiSessions


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Implements `admin_api.ports.DashboardView`."""

    frame_origin: str | None
    sessions: UiSessions
    access: AccessFile | None

    def sign_in(self, claim: str) -> UiSession:
        """Return a session for LiteLLM's identity claim. Raises `NotAuthenticated`."""
        return self.sessions.sign_in(claim)

    def keys(self) -> tuple[AccessKey, ...] | None:
        """Return the access file's entries; None without such a file. Never raises."""
        return None if self.access is None else self.access.entries()
