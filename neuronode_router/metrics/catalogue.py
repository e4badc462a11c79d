"""Everything that is counted, with names, units, labels and buckets.

It must not know who counts. Labels are names that an operator wrote or words of a closed vocabulary: never a key, a
team, a call id or anything else that a caller can make up.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from neuronode_router.domain.audit import Action
from neuronode_router.policy.engine import Level
from neuronode_router.private_files import make_directory
from neuronode_router.settings import process_environment

PREFIX = "neuronode_"

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where worker processes keep their counts side by side: prometheus-client's own variable, which LiteLLM uses too."""

ANSWER_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
SWITCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SWITCH_COMPLETE = ("true", "false", "unawaited")
"""Whether every worker has acknowledged: in time, or at once where nobody waited for all of them."""
WARM_SECONDS = (0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
WARM_OUTCOMES = ("loaded", "unloaded", "pulled", "failed")
DECISION_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)


def shared_directory() -> str | None:
    """Return the directory that several workers count into; None where this process counts for itself."""
    return process_environment().get(DIRECTORY_VARIABLE) or None


class Catalogue:
    """The metrics of one process. Raises `OSError` where the shared directory cannot be made.

    They stand in a registry of their own, so that LiteLLM's `/metrics` of a single worker stays as it is.
    """

    def __init__(self) -> None:
        if directory := shared_directory():
            make_directory(Path(directory))
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = self._counter(
            "requests",
            "Requests that ended, by how they were routed and how they ended.",
            *("profile", "task", "tier", "group", "reason", "outcome"),
        )
        self.fallbacks = self._counter(
            "fallbacks", "Requests that another group answered than the one chosen.", "profile", "group"
        )
        self.rollout_requests = self._counter(
            "rollout_requests",
            "Requests that ended while a rollout ran and that it compares, by the arm that answered.",
            *("profile", "arm", "outcome"),
        )
        self.shadow_requests = self._counter(
            "shadow_requests",
            "Requests that a shadow comparison chose, by what became of them.",
            *("profile", "outcome"),
        )
        self.tokens = self._counter(
            "tokens",
            "Tokens that were used; `cached` is the part of `prompt` that providers read from their cache.",
            *("profile", "task", "group", "kind"),
        )
        self.cost = self._counter(
            "cost_usd",
            "What priced requests cost by LiteLLM's calculation, in US dollars.",
            *("profile", "task", "group"),
        )
        self.unpriced = self._counter(
            "unpriced_requests", "Answered requests whose cost nobody knows: no price is set.", "group"
        )
        self.answer = self._histogram(
            "request_seconds",
            "From arrival to the end of the answer.",
            "profile",
            "task",
            upto=ANSWER_SECONDS,
        )
        self.first_token = self._histogram(
            "first_token_seconds",
            "From arrival to the first token of a streamed answer.",
            *("profile", "task"),
            upto=ANSWER_SECONDS,
        )
        self.decisions = self._counter(
            "decisions", "Routed `auto` requests, by the tier they got.", "profile", "tier"
        )
        self.steps = self._counter("decision_steps", "How tiers of `auto` requests came about.", "step")
        self.unaccepted = self._counter(
            "unaccepted_parameters",
            "Parameters of `auto` requests that no deployment of the chosen group takes.",
            "parameter",
        )
        self.decision = self._histogram(
            "decision_seconds", "What classifying and routing an `auto` request took.", upto=DECISION_SECONDS
        )
        self.switches = self._histogram(
            "switch_seconds",
            "From the order of a change of the control state to its receipt.",
            *("action", "complete"),
            upto=SWITCH_SECONDS,
        )
        # Before anything happens: the first of a series that begins with it is no increase to Prometheus.
        for action, complete in itertools.product(get_args(Action), SWITCH_COMPLETE):
            self.switches.labels(action, complete)
        self.policy_acts = self._counter(
            "policy_acts", "What the policy did, by the level of what it changed.", "level"
        )
        self.policy_refusals = self._counter(
            "policy_refusals", "What the policy wanted and was refused; it is tried again.", "level"
        )
        for level in Level:
            self.policy_acts.labels(level)
            self.policy_refusals.labels(level)
        self.warm_models = self._counter(
            "warm_models",
            "What was done about Ollama models around switches: loaded, unloaded, pulled, failed.",
            "outcome",
        )
        for outcome in WARM_OUTCOMES:
            self.warm_models.labels(outcome)
        self.warm_load = self._histogram(
            "warm_load_seconds", "What loading an Ollama model took around switches.", upto=WARM_SECONDS
        )
        self.faults = self._counter(
            "faults", "What went wrong in the plugin and was survived: no request failed for it.", "kind"
        )
        self.in_flight = Gauge(
            f"{PREFIX}attempts_in_flight",
            "Attempts that run now.",
            ("group",),
            registry=self.registry,
            multiprocess_mode="livesum",
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, *labels: str, upto: tuple[float, ...]) -> Histogram:
        return Histogram(PREFIX + name, about, labels, registry=self.registry, buckets=upto)
