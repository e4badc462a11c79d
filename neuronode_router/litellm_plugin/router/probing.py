"""Sends probes through LiteLLM's router, in this process, to one model group each.

No key pays for one and no budget is touched: LiteLLM books it on its own account for health checks. Our usage and
statistics leave it out. No text of an answer or an error is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from neuronode_router.litellm_plugin.hooks.attempts import unmeasured
from neuronode_router.litellm_plugin.hooks.usage_reading import dollars_of, outcome_of
from neuronode_router.proof.probes import MAX_TOKENS, Probe, ProbeAnswer, ProbeReason
from neuronode_router.proof.runner import ProbeFailed
from neuronode_router.routing.inventory import Inventory
from neuronode_router.usage.finished import RequestOutcome

_WHYS: Mapping[RequestOutcome, ProbeReason] = {
    RequestOutcome.TIMEOUT: ProbeReason.TIMEOUT,
    RequestOutcome.RATE_LIMIT: ProbeReason.RATE_LIMIT,
    RequestOutcome.AUTHENTICATION: ProbeReason.AUTHENTICATION,
    RequestOutcome.NOT_FOUND: ProbeReason.NOT_FOUND,
    RequestOutcome.BAD_REQUEST: ProbeReason.BAD_REQUEST,
    RequestOutcome.UNAVAILABLE: ProbeReason.UNAVAILABLE,
}

ITSELF: Mapping[str, Any] = {
    "num_retries": 0,
    "disable_fallbacks": True,  # the group itself, and no other
    "cache": {"no-cache": True, "no-store": True},
    "cooldown_time": 0,  # an error keeps no client from the deployment
}
"""How a group itself is asked, anew, so that nothing of it is felt by clients."""
_HOW: Mapping[str, Any] = {**ITSELF, "drop_params": True}
"""A deployment that knows no JSON mode is asked without it."""


class RouterAsker:
    """`router` and `registry` are read anew for each probe: both are replaced while the proxy runs."""

    def __init__(self, router: Callable[[], Any | None], registry: Callable[[], Inventory]) -> None:
        self._router = router
        self._registry = registry

    def address(self, group: str, *, wake: bool) -> str | None:
        """Return the group, or the id of a deployment that is loaded where another one of the group is not.

        None where no weights are in memory and `wake` is not wanted. What is no Ollama counts as loaded.
        """
        deployments = self._registry().groups.get(group, ())
        if wake or all(deployment.loaded is not False for deployment in deployments):
            return group
        return next((each.id for each in deployments if each.loaded is not False and each.available), None)

    async def ask(self, name: str, probe: Probe, *, seconds: float) -> ProbeAnswer:
        """Return the answer. Raises `ProbeFailed` for whatever else comes, at the latest after `seconds`."""
        messages = [{"role": "user", "content": probe.prompt}]
        how = {"max_tokens": MAX_TOKENS, **probe.parameters}
        try:
            response = await ask_group(
                self._router(), name, messages, metadata=account(), seconds=seconds, **how
            )
            return _answer(response)
        except Exception as error:
            # Of LiteLLM's errors only the class is told: their texts quote addresses and keys.
            raise ProbeFailed(_WHYS.get(outcome_of(error), ProbeReason.FAILED)) from error


def account(name: str | None = None) -> dict[str, Any]:
    """Return the metadata of a request on no key's account, shown as `name`: a new one each, LiteLLM writes into it."""
    from litellm.constants import LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME as ACCOUNT

    return {"user_api_key": ACCOUNT, "user_api_key_alias": name or ACCOUNT}


async def ask_group(
    router: Any | None,
    name: str,
    messages: list[dict[str, str]],
    *,
    metadata: dict[str, Any],
    seconds: float,
    **body: Any,
) -> Any:
    """Return what a group itself answers, unmeasured. Raises whatever LiteLLM does, at the latest after `seconds`."""
    with unmeasured():
        async with asyncio.timeout(seconds):
            return await router.acompletion(  # type: ignore[union-attr]  # without a router an AttributeError
                model=name, messages=messages, metadata=metadata, timeout=seconds, **_HOW, **body
            )


def cost_of(response: Any) -> float | None:
    """Return US dollars; None for what has no price, of which LiteLLM says 0.0."""
    return dollars_of((getattr(response, "_hidden_params", None) or {}).get("response_cost")) or None


def _answer(response: Any) -> ProbeAnswer:
    message = response.choices[0].message
    calls = tuple(
        (call.function.name or "", call.function.arguments or "") for call in message.tool_calls or ()
    )
    return ProbeAnswer(text=message.content or "", tool_calls=calls, cost_usd=cost_of(response))
