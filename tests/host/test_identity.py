"""Who is let in by the access file and by LiteLLM's UI, and what is told of him: LiteLLM's classes in this process."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
from fastapi import Request
from litellm.constants import LITELLM_PROXY_MASTER_KEY_ALIAS
from litellm.proxy import plugin_routes

from neuronode_router.access import Role
from neuronode_router.errors import AdminClosed, NotAuthenticated
from neuronode_router.litellm_plugin.auth.identity import Identity, access_file_auth, role_of
from neuronode_router.litellm_plugin.auth.ui_sessions import UiSessions

KEY = "sk-chosen-by-an-operator"
NOW = 1_900_000_000.0


async def test_nothing_made_of_the_master_key_is_told_of_who_has_it() -> None:
    """An audit log is read by viewers: a hash without a salt is guessed from where an operator chose the key."""
    request = Request({"type": "http", "headers": [], "state": {}})

    user = await access_file_auth(lambda: None, lambda: KEY)(request, f"Bearer {KEY}")

    who = Identity(proxy=SimpleNamespace(), access=None).principal(user)
    assert who.role is Role.ADMIN
    assert who.signature == f"default_user_id ({LITELLM_PROXY_MASTER_KEY_ALIAS})"
    told = f"{user.model_dump()} {who}"
    assert KEY not in told
    assert hashlib.sha256(KEY.encode()).hexdigest() not in told


def sessions(*, salt: str | None = "salt", master_key: str | None = KEY) -> UiSessions:
    return UiSessions(salt=lambda: salt, master_key=lambda: master_key, roles=role_of, clock=lambda: NOW)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a session that a worker has issued to an administrator."""
    said = {"user_id": "anna", "user_role": "proxy_admin"}
    monkeypatch.setattr(plugin_routes, "verify_plugin_session_claim", lambda *_: said)
    return sessions().sign_in("a claim").key


def test_every_worker_of_a_proxy_knows_a_session(session: str) -> None:
    """They share both keys, and nothing is stored."""
    assert sessions().principal(session).role is Role.ADMIN


@pytest.mark.parametrize("rotated", [sessions(salt="another"), sessions(master_key="sk-another")])
def test_a_session_ends_with_either_key(session: str, rotated: UiSessions) -> None:
    """Whoever rotates a key that got out ends what was signed in with it."""
    with pytest.raises(NotAuthenticated):
        rotated.principal(session)


def test_nobody_signs_in_without_a_master_key(session: str) -> None:
    """An empty one would seal as much as none."""
    with pytest.raises(AdminClosed):
        sessions(master_key=None).principal(session)
