"""Chooses within a model group: of the healthy deployments LiteLLM may pick from, those that what was measured leaves.

LiteLLM's own pipeline stays whole: it asks its callbacks which deployments to keep, then applies tags, order and its
pick. It must not know how deployments are measured or judged. Whenever it knows nothing, LiteLLM's own choice stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.litellm_plugin.hooks.request_metadata import BUCKETS, stamped
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.routing import conversation
from neuronode_router.routing.fallback_chain import DeploymentStatus, Needs
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.pick import Candidate, quickest, shortlist

REPLACED = frozenset({"simple-shuffle", "least-busy", "latency-based-routing"})
"""LiteLLM's strategies whose choice is made by ours. The others keep limits or prices: an operator chose those."""

SHUFFLE = "simple-shuffle"
SHARES = ("weight", "rpm", "tpm")
"""What an operator gives deployments to share requests by: LiteLLM's shuffle draws by these."""

SKIPPED = ("_excluded_deployment_ids", "_retry_skipped_deployment_ids")
"""Where LiteLLM's retries note what they leave out."""

Listed = Mapping[str, Any]
"""An entry of LiteLLM's model list."""


class Monitor(Protocol):
    """What is known of deployments now."""

    def candidate(self, deployment_id: str) -> Candidate | None:
        """Return a deployment with its figures, None where it is unknown. Never waits."""
        ...


class DeploymentFilter(CustomLogger):  # type: ignore[misc]  # LiteLLM is untyped to us
    """The callback LiteLLM asks for every attempt of every endpoint, with the group's healthy deployments."""

    def __init__(
        self,
        router: RouterBridge,
        monitor: Monitor,
        *,
        failures: Failures | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self.failures = failures or Failures()
        self.router = router
        self._monitor = monitor
        self._chance = chance
        self._harmless = self.failures.harmless("choosing a deployment")

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[Any]:
        """Return those of the deployments that LiteLLM may choose from; all of them where we know nothing."""
        if len(healthy_deployments) < 2:
            return healthy_deployments
        with self._harmless:
            request = request_kwargs or {}
            if self._is_ours(model, healthy_deployments, request):
                return self._left(model, healthy_deployments, request, messages)
        return healthy_deployments

    def _is_ours(self, group: str, healthy: Sequence[Listed], request: Mapping[str, Any]) -> bool:
        strategy = self.router.strategy(group, request)
        shared = _is_shared(healthy, request)
        # The filter is asked for other routers of this process too.
        return (
            strategy in REPLACED
            and (strategy == SHUFFLE or not shared)
            and self.router.has_deployment(_id(healthy[0]))
        )

    def _left(
        self, group: str, healthy: Sequence[Listed], request: dict[str, Any], messages: list[Any] | None
    ) -> list[Listed]:
        """Return what is left of each class apart: what LiteLLM does later must find none of them empty."""
        left: set[str] = set()
        for entries in _classes(healthy, tags=self.router.filters_by_tag()):
            left |= self._among(group, entries, request, messages)
        return [entry for entry in healthy if _id(entry) in left]

    def _among(
        self, group: str, entries: list[Listed], request: dict[str, Any], messages: list[Any] | None
    ) -> set[str]:
        tried = _tried(request)
        entries = [entry for entry in entries if _id(entry) not in tried] or entries
        ids = [_id(entry) for entry in entries]
        known = [self._monitor.candidate(name) for name in ids]
        if not any(known):
            return set(ids)
        candidates = [found or _unknown(name, group) for name, found in zip(ids, known, strict=True)]
        among = shortlist(
            candidates,
            needs=_needs(candidates, request, messages),
            random=self._chance,
            keep=(stamped(request) or {}).get("keep"),
        )
        # Of one alone LiteLLM might find later that it cannot hold the prompt.
        several = self.router.checks_before_calls() or _is_shared(entries, request)
        one = None if several else quickest(among, random=self._chance)
        return {found.standing.deployment.id for found in among} if one is None else {one}


def _classes(healthy: Sequence[Listed], *, tags: bool) -> list[list[Listed]]:
    """Return the deployments by what LiteLLM tells apart after us: their order, and their tags where tags choose."""
    classes: dict[Hashable, list[Listed]] = {}
    for entry in healthy:
        params = entry.get("litellm_params") or {}
        kind = (params.get("order"), tuple(sorted(map(str, params.get("tags") or ()))) if tags else ())
        classes.setdefault(kind, []).append(entry)
    return list(classes.values())


def _id(entry: Listed) -> str:
    name: str = entry["model_info"]["id"]
    return name


def _tried(request: Mapping[str, Any]) -> frozenset[object]:
    """Return the deployments at which this very request has failed: LiteLLM notes them when it tries again, and leaves
    some of them out after it has asked us.
    """
    tried = {name for field in SKIPPED for name in request.get(field) or ()}
    for bucket in map(request.get, BUCKETS):
        notes = bucket.get("previous_models") if isinstance(bucket, Mapping) else None
        if isinstance(notes, list | tuple):
            tried.update(note.get("deployment_id") for note in notes if isinstance(note, Mapping))
    return frozenset(tried)


def _is_shared(healthy: Sequence[Listed], request: Mapping[str, Any]) -> bool:
    """Return whether the operator gave the deployments shares of the requests."""
    return bool(request.get("_router_weights")) or any(map(_has_share, healthy))


def _has_share(entry: Listed) -> bool:
    params = entry.get("litellm_params")
    return isinstance(params, Mapping) and any(params.get(name) is not None for name in SHARES)


def _unknown(deployment_id: str, group: str) -> Candidate:
    """Return a deployment that the monitor has not seen yet: well, and never measured."""
    return Candidate(DeploymentStatus(Deployment(id=deployment_id, group=group)))


def _needs(candidates: Sequence[Candidate], request: dict[str, Any], messages: list[Any] | None) -> Needs:
    """Return what a request needs, looked up only where the deployments differ in what they hold."""
    first, *others = (found.standing.deployment for found in candidates)
    if all(
        (other.context_window, other.modalities) == (first.context_window, first.modalities)
        for other in others
    ):
        return Needs()
    # LiteLLM hands the messages on beside the rest of the body.
    return conversation.read(request if messages is None else request | {"messages": messages}).needs
