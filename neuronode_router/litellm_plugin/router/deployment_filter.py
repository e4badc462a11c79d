"""Chooses within a model group: of the healthy deployments LiteLLM may pick from, those that what was measured leaves.

LiteLLM's own pipeline stays whole: it asks its callbacks which deployments to keep, then applies tags, order and its
pick. What cannot hold the request is left out whatever the strategy. It must not know how deployments are measured or
judged. Whenever it knows nothing, LiteLLM's own choice stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import litellm
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.background import Failures
from neuronode_router.errors import DoesNotFit
from neuronode_router.litellm_plugin.hooks.request_metadata import BUCKETS, LEAST_BAD, note_size, stamped
from neuronode_router.litellm_plugin.hooks.response_state import deployment_with_state
from neuronode_router.litellm_plugin.router.bridge import RouterBridge
from neuronode_router.routing.conversation import read_needs
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.fit import Misfit, Needs, described, misfit, unseen
from neuronode_router.routing.inventory import TEXT, Deployment
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

    def deployments(self, group: str) -> Sequence[Deployment]:
        """Return what is known of all deployments of a group. Never waits."""
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
        """Return those of the deployments that LiteLLM may choose from; all of them where we know nothing.

        Raises what LiteLLM itself raises for what is too long or not supported, where none can hold the request:
        the group's fallbacks then follow, and nobody is asked before.
        """
        refusal: Exception | None = None
        with self._harmless:
            request = request_kwargs or {}
            # The filter is asked for other routers of this process too.
            if healthy_deployments and self.router.has_deployment(_id(healthy_deployments[0])):
                body = _whole_body(request, messages)
                known = self._known(model, healthy_deployments)
                needs = read_needs(body) if any(map(_has_limits, known)) else Needs()
                note_size(request, needs.tokens)
                healthy_deployments, refusal = self._fitting(
                    model, healthy_deployments, known, request, needs
                )
                if len(healthy_deployments) > 1 and self._is_ours(model, healthy_deployments, request):
                    healthy_deployments = self._left(model, healthy_deployments, request, needs)
        if refusal is not None:
            raise refusal
        return healthy_deployments

    def _known(self, group: str, healthy: Sequence[Listed]) -> list[Deployment]:
        known = (self._monitor.candidate(_id(entry)) for entry in healthy)
        return [
            _unknown("", group).status.deployment if found is None else found.status.deployment
            for found in known
        ]

    def _fitting(
        self,
        group: str,
        healthy: list[Listed],
        known: Sequence[Deployment],
        request: Mapping[str, Any],
        needs: Needs,
    ) -> tuple[list[Listed], Exception | None]:
        """Return what can hold the request, of it what is known to see all that is sent; and why, if there is none.

        Of what can, the deployment that keeps what was said before is alone. A class of LiteLLM's order may be left
        empty: it then takes the next one.
        """
        fitting = [at for at, deployment in enumerate(known) if misfit(deployment, needs) is None]
        if not fitting:
            if (stamped(request) or {}).get(LEAST_BAD):
                return healthy, None
            everyone = self._monitor.deployments(group) or known
            able = [deployment for deployment in everyone if misfit(deployment, needs) is None]
            # One that could is in cooldown: LiteLLM says so, and that it may be tried again.
            return [], None if able else _refused(group, everyone, needs)
        state = deployment_with_state(request)
        holding = [at for at in fitting if _id(healthy[at]) == state]
        if holding:
            return [healthy[at] for at in holding], None
        least = min(len(unseen(known[at], needs)) for at in fitting)
        return [healthy[at] for at in fitting if len(unseen(known[at], needs)) == least], None

    def _is_ours(self, group: str, healthy: Sequence[Listed], request: Mapping[str, Any]) -> bool:
        strategy = self.router.strategy(group, request)
        shared = _is_shared(healthy, request)
        return strategy in REPLACED and (strategy == SHUFFLE or not shared)

    def _left(
        self, group: str, healthy: Sequence[Listed], request: dict[str, Any], needs: Needs
    ) -> list[Listed]:
        """Return what is left of each class apart: what LiteLLM does later must find none of them empty."""
        left: set[str] = set()
        for entries in _classes(healthy, tags=self.router.filters_by_tag()):
            left |= self._among(group, entries, request, needs)
        return [entry for entry in healthy if _id(entry) in left]

    def _among(self, group: str, entries: list[Listed], request: dict[str, Any], needs: Needs) -> set[str]:
        tried = _tried(request)
        entries = [entry for entry in entries if _id(entry) not in tried] or entries
        ids = [_id(entry) for entry in entries]
        known = [self._monitor.candidate(name) for name in ids]
        if not any(known):
            return set(ids)
        candidates = [found or _unknown(name, group) for name, found in zip(ids, known, strict=True)]
        among = shortlist(
            candidates,
            needs=needs,
            random=self._chance,
            keep=(stamped(request) or {}).get("keep"),
        )
        # Of one alone LiteLLM might find later that it cannot hold the prompt.
        several = self.router.checks_before_calls() or _is_shared(entries, request)
        one = None if several else quickest(among, random=self._chance)
        return {found.status.deployment.id for found in among} if one is None else {one}


def _whole_body(request: dict[str, Any], messages: list[Any] | None) -> dict[str, Any]:
    """Return the body of a request: LiteLLM hands the messages on beside the rest of it, also where it made them of a
    prompt, which would count twice; before 1.110 also of several, which need to fit singly and are not in the rest.
    """
    if messages is None or _is_prompt(messages, request.get("prompt")):
        return request
    prompts = messages[0].get("content") if len(messages) == 1 and isinstance(messages[0], dict) else None
    if isinstance(prompts, list) and prompts and all(isinstance(each, str) for each in prompts):
        return request | {"prompt": prompts}
    return request | {"messages": messages}


def _is_prompt(messages: list[Any], prompt: object) -> bool:
    """Return whether messages say what the prompt says and nothing else."""
    return prompt is not None and messages in (prompt, [{"role": "user", "content": prompt}])


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


def _has_limits(deployment: Deployment) -> bool:
    """Return whether anything is known that may make a difference."""
    known = deployment.context_window or deployment.max_tokens or deployment.refuses or deployment.cannot
    return bool(known) or deployment.accepts is not None or deployment.modalities != TEXT


def _refused(group: str, deployments: Sequence[Deployment], needs: Needs) -> Exception:
    """Return LiteLLM's own exception for it, so that the fallbacks that operators configured for it follow."""
    error = DoesNotFit(described(deployments, needs))
    too_long = all(misfit(deployment, needs) is Misfit.CONTEXT_WINDOW for deployment in deployments)
    kind = litellm.ContextWindowExceededError if too_long else litellm.BadRequestError
    refused: Exception = kind(message=f"{error.message} {error.fix}", model=group, llm_provider="neuronode")
    refused.__cause__ = error  # usage counts it by that
    return refused
