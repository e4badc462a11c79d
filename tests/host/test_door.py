"""The door as FastAPI sees it: what stands in the place of LiteLLM's authentication is read anew for every request."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

from neuronode_router.litellm_plugin.auth import door


class Nobody:
    """Limits nobody."""

    def is_limited(self, user: UserAPIKeyAuth) -> bool:
        return False

    async def judge(self, user: UserAPIKeyAuth, body: Mapping[str, Any], *, counts: bool, web: bool) -> None:
        pass


def test_no_annotation_is_left_to_evaluate() -> None:
    app = FastAPI()
    door.guard(app, Nobody(), None)

    (asked,) = inspect.signature(app.dependency_overrides[user_api_key_auth]).parameters.values()
    assert asked.annotation is Request
