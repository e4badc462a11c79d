"""`ModelRouter`, for Python callers: tasks over a LiteLLM proxy with this plugin, checked, asked again, escalated.

It must not know LiteLLM: it runs the same engine as the task API, in the caller's process, over HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import httpx

from neuronode_router.domain.keys import require_sendable
from neuronode_router.domain.names import AUTO, Tier
from neuronode_router.errors import BadTaskInput, SettingsError
from neuronode_router.settings import Settings, process_environment
from neuronode_router.tasks import shipped
from neuronode_router.tasks.completions import Completions
from neuronode_router.tasks.engine import TaskOrder, run, tier_names
from neuronode_router.tasks.presenters import model_response
from neuronode_router.tasks.rendering import harmless
from neuronode_router.tasks.results import ModelResponse

TIMEOUT = httpx.Timeout(600.0, connect=10.0)
"""Seconds: answers may take long, connections may not."""


class Wishes(TypedDict, total=False):
    """What else may be wished for of one answer."""

    max_tokens: int
    """At least 1."""
    temperature: float
    """0 to 2."""


class ModelRouter(AbstractAsyncContextManager["ModelRouter"]):
    """Asks a proxy at `base_url` (default: `LITELLM_BASE_URL`) with `api_key` (default: `LITELLM_API_KEY`).

    `NEURONODE_MODEL_FAST`, `_MEDIUM` and `_COMPLEX` name what is asked for a tier, as on the proxy. `client` replaces
    the httpx client: its base URL and headers then say whom to ask. Raises `SettingsError`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        settings = Settings.load()
        self._names = tier_names(settings.model_fast, settings.model_medium, settings.model_complex)
        self._client = client or _client(base_url, api_key)
        self._complete = Completions(self._client)

    async def initialize(self) -> None:
        """Do nothing: the proxy knows what is there. Callers may go on calling it."""

    async def route_and_generate(
        self,
        query: str,
        system_prompt: str | None = None,
        context: Mapping[str, Any] | None = None,
        force_tier: Tier | str | None = None,
        **wishes: Unpack[Wishes],
    ) -> ModelResponse:
        """Return an answer from the tier that the query needs, or from `force_tier`.

        `context` is JSON-ready material that goes along with the query. Raises `TaskError` or `AccessError`.
        """
        _check(wishes)
        message = query if context is None else f"{_material(context)}\n\n{query}"
        order = TaskOrder(
            replace(shipped()["chat"], **wishes),
            {"message": message},
            tier=None if force_tier is None else _tier(force_tier),
            name=AUTO if force_tier is None else None,
            names=self._names,
            system=system_prompt,
        )
        return await self._run(order)

    async def sentiment(self, text: str) -> ModelResponse:
        """Return BULLISH, BEARISH or NEUTRAL as `content`. Raises `TaskError` or `AccessError`."""
        return await self._run(TaskOrder(shipped()["sentiment"], {"text": text}, names=self._names))

    async def classify(self, text: str, categories: Sequence[str]) -> ModelResponse:
        """Return one of the categories as `content`. Raises `TaskError` or `AccessError`."""
        inputs = {"text": text, "categories": list(categories)}
        return await self._run(TaskOrder(shipped()["classify"], inputs, names=self._names))

    async def trading_analysis(
        self, market_data: Mapping[str, Any], rag_context: Sequence[str] = ()
    ) -> ModelResponse:
        """Return a recommendation as JSON in `content`; `TradingRecommendation.from_value` types its `value`.

        Raises `TaskError` or `AccessError`.
        """
        inputs = {"market_data": dict(market_data), "rag_context": list(rag_context)}
        return await self._run(TaskOrder(shipped()["analysis"], inputs, names=self._names))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, order: TaskOrder) -> ModelResponse:
        return model_response(await run(order, self._complete))


def _client(base_url: str | None, api_key: str | None) -> httpx.AsyncClient:
    environ = process_environment()
    address = base_url or environ.get("LITELLM_BASE_URL")
    key = (api_key or environ.get("LITELLM_API_KEY", "")).strip()
    if not address or not key:
        raise SettingsError(
            "ModelRouter needs a proxy's address and a key.",
            fix="Pass base_url and api_key, or set LITELLM_BASE_URL and LITELLM_API_KEY.",
        )
    require_sendable(key, "The key for ModelRouter")
    return httpx.AsyncClient(
        base_url=_url(address),
        headers={"authorization": f"Bearer {key}"},
        timeout=TIMEOUT,
    )


def _url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.strip().rstrip("/").removesuffix("/v1"))
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise SettingsError(
            "The proxy's address for ModelRouter is none.",
            fix="Write it as http://host:port or https://host.",
        )
    return url


def _tier(name: str) -> Tier:
    try:
        return Tier(name)
    except ValueError as error:
        known = ", ".join(tier.value for tier in Tier)
        raise BadTaskInput("force_tier is no tier.", fix=f"The tiers are: {known}.") from error


def _check(wishes: Wishes) -> None:
    tokens, temperature = wishes.get("max_tokens", 1), wishes.get("temperature", 0.0)
    if not isinstance(tokens, int) or tokens < 1:
        raise BadTaskInput("max_tokens must be a whole number from 1.")
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise BadTaskInput("temperature must be a number from 0 to 2.")


def _material(context: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(context, ensure_ascii=False, allow_nan=False, sort_keys=True, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        reason = "context must be data that JSON can say, without NaN and not nested too deep."
        raise BadTaskInput(reason, fix="Give it texts as keys.") from error
    return f"<context>\n{harmless(text)}\n</context>"
