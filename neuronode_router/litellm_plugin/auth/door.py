"""The door of the proxy: who was let in by LiteLLM is written down, and calls that come by no hook are judged here.

LiteLLM authenticates every request by one function that its routes depend on. FastAPI lets an application put another
one in its place: ours calls LiteLLM's, and then looks where the request goes. Which calls come by admission is listed;
all others that ask models are refused for callers to whom something is denied, also those of a newer LiteLLM. It must
not know what is allowed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

from fastapi import FastAPI, Request
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth.auth_utils import get_request_route
from litellm.proxy.auth.route_checks import RouteChecks
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
from litellm.proxy.common_utils.http_parsing_utils import read_request_body

from neuronode_router.litellm_plugin.hooks import gate, purse

ADMITTED = re.compile(
    r"/(?:chat/completions|completions|embeddings|responses(?:/compact)?|v1/messages|images/(?:generations|edits)"
    r"|audio/(?:speech|transcriptions|translations)|moderations|rerank|ocr|interactions)/?$"
    r"|^(?:/openai)?(?:/v1)?/videos/?$|:(?:stream)?[gG]enerateContent$"
)
"""Calls of which LiteLLM tells our admission before it asks anybody."""

COUNTING = re.compile(r"/(?:count_tokens|input_tokens|token_counter)/?$|:countTokens$")
"""Calls that count tokens, for which some providers are asked."""

ASKING = re.compile(r"^/health/?$|^/health/test_connection|/rag/|^/v\d+/decisions|^/v\d+/systemone")
"""Calls that ask models although LiteLLM does not have them among its calls of models, and whatever their method."""

CALLER = "neuronode.caller"
"""Entry of the scope of a request that somebody outside wants to know the caller of: a list that is given it."""

HARMLESS = re.compile(r"/cancel/?$|^/mcp|/mcp(?:/|$)|/traces|/logs|/transform_request/?$")
"""Calls that ask no model, among those by which models are asked."""

OF_THE_WEB = re.compile(r"^(?:/v1)?/search(?:/|$)")
"""Those that ask no model either, and send to others what they search for."""

LOOKING = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
"""Methods by which nothing is made."""


class Judge(Protocol):
    """What the door asks of admission."""

    def is_limited(self, user: UserAPIKeyAuth) -> bool:
        """Return whether anything is denied to a caller."""

    async def judge(self, user: UserAPIKeyAuth, body: Mapping[str, Any], *, counts: bool, web: bool) -> None:
        """Raise HTTPException where a caller may not make a call that comes by no hook."""


class Naming(Protocol):
    """What tells LiteLLM which name to judge."""

    def told(self, request: Request, keys: Mapping[str, Any]) -> AbstractAsyncContextManager[None]:
        """While it is open the parsed body of `request` holds the name that is judged."""


class Budgeting(Protocol):
    """What has LiteLLM judge budgets by what a name of ours may cost."""

    async def judged(
        self, request: Request, judge: Callable[[], Awaitable[UserAPIKeyAuth]]
    ) -> UserAPIKeyAuth:
        """Return the caller whom `judge` lets in, which may be asked twice. Raises what it raises."""


def guard(app: FastAPI, judge: Judge, naming: Naming | None, budgeting: Budgeting | None = None) -> None:
    """Let every route authenticate by `authenticator`.

    Without `naming` LiteLLM judges the names as they are sent, without `budgeting` budgets by its map.
    """
    app.dependency_overrides[user_api_key_auth] = authenticator(judge, naming, budgeting)


def authenticator(
    judge: Judge, naming: Naming | None, budgeting: Budgeting | None = None
) -> Callable[[Request], Awaitable[UserAPIKeyAuth]]:
    """Return LiteLLM's authentication of a request with the door behind it. Raises what LiteLLM's raises."""
    keys = {
        name: parameter.default.dependency
        for name, parameter in inspect.signature(user_api_key_auth).parameters.items()
        if hasattr(parameter.default, "dependency")
    }

    async def authenticate(request: Request) -> UserAPIKeyAuth:
        given = {name: await key(request) for name, key in keys.items()}
        route = get_request_route(request)

        async def let_in() -> UserAPIKeyAuth:
            async with naming.told(request, given) if naming else nullcontext():
                caller: UserAPIKeyAuth = await user_api_key_auth(request=request, **given)
            return caller

        purse.hold(None)
        admitted = ADMITTED.search(route) is not None
        user = await budgeting.judged(request, let_in) if budgeting and admitted else await let_in()
        request.scope.get(CALLER, []).append(user)
        gate.let(gate.Undecided(lambda: purse.is_spent() or judge.is_limited(user)))
        if not admitted:
            await _enter(request, route, user, judge)
        return user

    # FastAPI reads the signature of what stands in another's place for every request, and would evaluate it each time.
    authenticate.__signature__ = inspect.signature(authenticate, eval_str=True)  # type: ignore[attr-defined]
    return authenticate


async def _enter(request: Request, route: str, user: UserAPIKeyAuth, judge: Judge) -> None:
    """Judge what admission does not see."""
    counts = COUNTING.search(route) is not None
    if counts or _asks(route, request.method):
        body = dict(await read_request_body(request))
        if "model" not in body:
            named = request.path_params.get("model_name") or request.query_params.get("model")
            body |= {"model": named} if named else {}
        await judge.judge(user, body, counts=counts, web=OF_THE_WEB.search(route) is not None)
    elif request.method in LOOKING:
        gate.let(gate.FREE)


def _asks(route: str, method: str) -> bool:
    """Return whether a call that is not admitted may ask a model."""
    if ASKING.search(route):
        return True
    return method not in LOOKING and RouteChecks.is_llm_api_route(route) and not HARMLESS.search(route)
