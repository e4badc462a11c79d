"""Chooses the deployment within a model group: LiteLLM's own pipeline to the last step, and there what was measured.

It must not know how deployments are measured or judged. Whenever it knows nothing, LiteLLM's own choice stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from litellm.types.router import CustomRoutingStrategyBase

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.hooks.request_metadata import BUCKETS, stamped
from neuronode_router.routing import conversation
from neuronode_router.routing.fallback_chain import DeploymentStatus, Needs
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.pick import Candidate, quickest, shortlist

REPLACED = frozenset({"simple-shuffle", "least-busy", "latency-based-routing"})
"""LiteLLM's strategies whose choice is made by ours. The others keep limits or prices: an operator chose those."""

SHUFFLE = "simple-shuffle"
SHARES = ("weight", "rpm", "tpm")
"""What an operator gives deployments to share requests by: LiteLLM's shuffle draws by these."""

PROMPTS = ("messages", "input")

SEAM = "async_get_available_deployment"
SEAMS = (SEAM, "get_available_deployment")
"""What `set_custom_routing_strategy` sets on a router."""

Listed = Mapping[str, Any]
"""An entry of LiteLLM's model list."""


class Board(Protocol):
    """What is known of deployments now."""

    def candidate(self, deployment_id: str) -> Candidate | None:
        """Return a deployment with its figures, None where it is unknown. Never waits."""
        ...


class DeploymentChoice(CustomRoutingStrategyBase):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The routing strategy of one LiteLLM router. `hold` puts it in force, and back after LiteLLM has dropped it."""

    def __init__(
        self,
        router: Any,
        board: Board,
        *,
        failures: Failures | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.failures = failures or Failures()
        self.holds = 0
        """How often it was put in force: more than once where LiteLLM's strategy was changed meanwhile."""
        self._router = router
        self._board = board
        self._chance = chance
        self._harmless = self.failures.harmless("choosing a deployment")
        self._own = type(router)
        self._pipeline = _pipeline(router, self._narrow)

    def hold(self) -> bool:
        """Be the router's strategy; return False where somebody else's custom strategy is, which then stays."""
        present = vars(self._router).get(SEAM)
        if present is None:
            self._router.set_custom_routing_strategy(self)
            self.holds += 1
        return present is None or getattr(present, "__self__", None) is self

    def release(self) -> None:
        """Give LiteLLM its own choice back."""
        if getattr(vars(self._router).get(SEAM), "__self__", None) is self:
            for name in SEAMS:
                vars(self._router).pop(name, None)

    async def async_get_available_deployment(
        self,
        model: str,
        messages: list[dict[str, str]] | None = None,
        input: str | list[Any] | None = None,  # noqa: A002  LiteLLM's name
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return LiteLLM's choice, made from what is left after ours. Raises what LiteLLM raises."""
        return await self._own.async_get_available_deployment(
            self._pipeline,
            model=model,
            request_kwargs=request_kwargs,
            messages=messages,
            input=input,
            specific_deployment=specific_deployment,
        )

    def get_available_deployment(
        self,
        model: str,
        messages: list[dict[str, str]] | None = None,
        input: str | list[Any] | None = None,  # noqa: A002  LiteLLM's name
        specific_deployment: bool | None = False,
        request_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return LiteLLM's own choice: calls outside an event loop are not measured, and not chosen for."""
        return self._own.get_available_deployment(
            self._router,
            model=model,
            messages=messages,
            input=input,
            specific_deployment=specific_deployment,
            request_kwargs=request_kwargs,
        )

    def _narrow(
        self, model: str, healthy: list[Listed], request: dict[str, Any], prompt: Mapping[str, Any]
    ) -> list[Listed]:
        """Return those of the healthy deployments that LiteLLM may choose from; all of them where we know nothing."""
        with self._harmless:
            return self._left(model, healthy, request, prompt)
        return healthy

    def _left(
        self, model: str, healthy: list[Listed], request: dict[str, Any], prompt: Mapping[str, Any]
    ) -> list[Listed]:
        strategy, _ = self._router._get_routing_context(model, request)
        shared = bool(request.get("_router_weights")) or any(map(_has_share, healthy))
        if strategy not in REPLACED or (shared and strategy != SHUFFLE):
            return healthy
        tried = _tried(request)
        healthy = [entry for entry in healthy if _id(entry) not in tried] or healthy
        ids = [_id(entry) for entry in healthy]
        known = [self._board.candidate(name) for name in ids]
        if not any(known):
            return healthy
        candidates = [found or _unknown(name, model) for name, found in zip(ids, known, strict=True)]
        among = shortlist(
            candidates,
            needs=_needs(candidates, request, prompt),
            random=self._chance,
            keep=(stamped(request) or {}).get("keep"),
        )
        one = None if shared else quickest(among, random=self._chance)
        left = {found.standing.deployment.id for found in among} if one is None else {one}
        return [entry for entry, name in zip(healthy, ids, strict=True) if name in left]


def is_taken(router: Any) -> bool:
    """Return whether a custom routing strategy is set on a router."""
    return SEAM in vars(router)


def _pipeline(router: Any, narrow: Callable[..., list[Listed]]) -> Any:
    """Return the router once more, all its state shared, whose healthy deployments are narrowed.

    LiteLLM's choice runs on it as on the router itself: pre-routing, aliases, teams, cooldown, callbacks, pre-call
    checks, tags, order, retries, the strategy of a key or a group.
    """

    class Pipeline(type(router)):  # type: ignore[misc]
        async def async_get_healthy_deployments(
            self, model: str, request_kwargs: dict[str, Any], **others: Any
        ) -> Any:
            healthy = await super().async_get_healthy_deployments(
                model=model, request_kwargs=request_kwargs, **others
            )
            if others.get("health_check_probe") or not isinstance(healthy, list) or len(healthy) < 2:
                return healthy
            return narrow(model, healthy, request_kwargs, others)

    pipeline = object.__new__(Pipeline)
    pipeline.__dict__ = router.__dict__
    return pipeline


def _id(entry: Listed) -> str:
    name: str = entry["model_info"]["id"]
    return name


def _tried(request: Mapping[str, Any]) -> frozenset[object]:
    """Return the deployments at which this very request has failed: LiteLLM notes them when it tries again."""
    for name in BUCKETS:
        bucket = request.get(name)
        notes = bucket.get("previous_models") if isinstance(bucket, Mapping) else None
        if isinstance(notes, list | tuple):
            return frozenset(note.get("deployment_id") for note in notes if isinstance(note, Mapping))
    return frozenset()


def _has_share(entry: Listed) -> bool:
    params = entry.get("litellm_params")
    return isinstance(params, Mapping) and any(params.get(name) is not None for name in SHARES)


def _unknown(deployment_id: str, group: str) -> Candidate:
    """Return a deployment that the board has not seen yet: well, and never measured."""
    return Candidate(DeploymentStatus(Deployment(id=deployment_id, group=group)))


def _needs(candidates: Sequence[Candidate], request: dict[str, Any], prompt: Mapping[str, Any]) -> Needs:
    """Return what a request needs, looked up only where the deployments differ in what they hold."""
    first, *others = (found.standing.deployment for found in candidates)
    if all(
        (other.context_window, other.modalities) == (first.context_window, first.modalities)
        for other in others
    ):
        return Needs()
    # LiteLLM hands the prompt on beside the rest of the body.
    return conversation.read(
        request | {name: prompt[name] for name in PROMPTS if prompt.get(name) is not None}
    ).needs
