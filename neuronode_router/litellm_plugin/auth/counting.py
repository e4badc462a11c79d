"""Routes that count tokens: LiteLLM asks providers there without calling a hook, so who asks is judged at the door.

They are LiteLLM's own routes with one more dependency, put before the originals. It must not know what is allowed.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

HOLDERS = tuple(
    f"litellm.proxy.{name}.endpoints"
    for name in ("anthropic_endpoints", "google_endpoints", "response_api_endpoints")
)
"""Modules of LiteLLM's with a `router`."""

COUNTING = re.compile(r"/(count_tokens|input_tokens|token_counter)|:countTokens")

Judge = Callable[[UserAPIKeyAuth, object], Awaitable[None]]
"""From a caller and the model it names to nothing. Raises HTTPException where it may not have it asked."""


def guard(app: FastAPI, judge: Judge) -> None:
    """Let `judge` be asked before each of these routes; what this LiteLLM lacks of them needs no guard."""

    async def judged(request: Request, user: Annotated[UserAPIKeyAuth, Depends(user_api_key_auth)]) -> None:
        await judge(user, request.path_params.get("model_name") or _model(await request.body()))

    guarded = APIRouter()
    for route in _routes(app):
        guarded.add_api_route(
            route.path,
            route.endpoint,
            methods=list(route.methods or ()),
            response_model=route.response_model,
            dependencies=[Depends(judged)],
            include_in_schema=False,
        )
    app.router.routes[:0] = guarded.routes


def _routes(app: FastAPI) -> Iterator[APIRoute]:
    holders: list[Any] = [app]
    for name in HOLDERS:
        try:
            holders.append(importlib.import_module(name).router)
        except (ImportError, AttributeError):  # a LiteLLM without these calls
            continue
    for holder in holders:
        for route in holder.routes:
            if isinstance(route, APIRoute) and COUNTING.search(route.path):
                yield route


def _model(body: bytes) -> object:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document.get("model") if isinstance(document, dict) else None
