"""How a deployment stands: pure, deterministic, and able to say why in numbers.

From what was measured and what was expected to a state; with hysteresis, and with a way back from every state. It must
not know where the measurements come from, or what is done about a state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from neuronode_router.routing.inventory import Deployment


class Health(StrEnum):
    """The states, best first."""

    rank: int
    """0 for the best state, rising."""

    OK = "ok"
    PROBING = "probing"
    """Nothing was heard of it since it was bad: a trickle of requests finds out."""
    SLOW = "slow"
    FAILING = "failing"
    COOLDOWN = "cooldown"
    UNAVAILABLE = "unavailable"

    def __new__(cls, value: str) -> Self:
        """Give each member its rank: looking it up by the member would hash in Python, thirty times a request."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.rank = len(cls.__members__)
        return member


class HealthReason(StrEnum):
    """Why a deployment has its state."""

    NO_EVIDENCE = "no_evidence"
    WITHIN_LIMITS = "within_limits"
    LATENCY = "latency"
    QUEUE = "queue"
    ERRORS = "errors"
    HOST_COOLDOWN = "host_cooldown"
    NOT_THERE = "not_there"
    UNHEARD_OF = "unheard_of"


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured of one deployment in the last seconds."""

    latency_ms: float | None = None
    """Median latency of a short answer."""
    samples: int = 0
    """Answers behind that median."""
    errors: int = 0
    in_flight: int = 0
    cooling: bool = False
    """Whether LiteLLM has it in cooldown."""

    @property
    def requests(self) -> int:
        """Answers and errors."""
        return self.samples + self.errors

    @property
    def error_rate(self) -> float:
        """Errors per request, 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class OverloadLimits:
    """Where a state begins and, lower, where it ends."""

    slow: float = 2.0
    """Latency as a multiple of the expected one."""
    no_longer_slow: float = 1.5
    failing: float = 0.5
    """Errors per request."""
    no_longer_failing: float = 0.2
    samples: int = 5
    """Evidence that a deployment is bad needs as many."""
    probes: int = 3
    """Evidence that it is well again needs as many."""
    patience_seconds: float = 60.0
    """After so long without bad news a deployment counts as well, however few requests there were to find out."""
    baseline_rise: float = 0.01
    """How much a learned baseline may rise in a minute: a lasting overload must not become what is expected."""


DEFAULT_LIMITS = OverloadLimits()


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """How a deployment stands, since when, and which value met which limit. Times are Unix seconds."""

    health: Health = Health.OK
    why: HealthReason = HealthReason.NO_EVIDENCE
    value: float = 0.0
    """Milliseconds for latency, attempts that run for a queue, errors per request for errors."""
    limit: float = 0.0
    since: float = 0.0
    baseline_ms: float | None = None
    """What is expected of it: the registry's figure, else what was learned."""
    judged_at: float = 0.0


NEW = HealthVerdict()
"""What is thought of a deployment of which nothing is known: well."""


def judge(
    before: HealthVerdict,
    deployment: Deployment,
    load: Load,
    *,
    now: float,
    limits: OverloadLimits = DEFAULT_LIMITS,
) -> HealthVerdict:
    """Return how a deployment stands now, given how it stood. Never raises."""
    baseline = deployment.expected_ms or _learned(before, load, now=now, limits=limits)
    verdict = _state(replace(before, baseline_ms=baseline, judged_at=now), deployment, load, limits)
    return verdict if verdict.health is before.health else replace(verdict, since=now)


def judge_all(
    before: Mapping[str, HealthVerdict],
    deployments: Mapping[str, Deployment],
    loads: Mapping[str, Load],
    *,
    now: float,
    limits: OverloadLimits = DEFAULT_LIMITS,
) -> Mapping[str, HealthVerdict]:
    """Return the verdict on each deployment by id; those that are gone are forgotten. Never raises."""
    return {
        name: judge(before.get(name, NEW), entry, loads.get(name, _NOTHING), now=now, limits=limits)
        for name, entry in deployments.items()
    }


_NOTHING = Load()


def _state(
    before: HealthVerdict, deployment: Deployment, load: Load, limits: OverloadLimits
) -> HealthVerdict:
    if not deployment.available:
        return _become(before, Health.UNAVAILABLE, HealthReason.NOT_THERE)
    if load.cooling:
        return _become(before, Health.COOLDOWN, HealthReason.HOST_COOLDOWN)
    bad = (
        _failing(before, load, limits)
        or _queued(before, deployment, load, limits)
        or _slow(before, load, limits)
    )
    if bad is not None:
        return bad
    if _must_show(before, load, limits):
        return _become(before, Health.PROBING, HealthReason.UNHEARD_OF, load.samples, limits.probes)
    if load.samples == 0:
        return _become(before, Health.OK, HealthReason.NO_EVIDENCE)
    limit = limits.slow * (before.baseline_ms or 0.0)
    return _become(before, Health.OK, HealthReason.WITHIN_LIMITS, load.latency_ms or 0.0, limit)


_BAD = frozenset({Health.SLOW, Health.FAILING, Health.COOLDOWN, Health.PROBING})
"""States after which a deployment must show that it is well. One that was only absent need not."""


def _must_show(before: HealthVerdict, load: Load, limits: OverloadLimits) -> bool:
    if before.health not in _BAD or before.why is HealthReason.QUEUE or load.samples >= limits.probes:
        return False
    return before.health is not Health.PROBING or before.judged_at - before.since < limits.patience_seconds


def _failing(before: HealthVerdict, load: Load, limits: OverloadLimits) -> HealthVerdict | None:
    staying = before.health in {Health.FAILING, Health.PROBING}
    limit = limits.no_longer_failing if staying else limits.failing
    enough = limits.probes if staying else limits.samples
    if load.errors and load.requests >= enough and load.error_rate >= limit:
        return _become(before, Health.FAILING, HealthReason.ERRORS, load.error_rate, limit)
    return None


def _queued(
    before: HealthVerdict, deployment: Deployment, load: Load, limits: OverloadLimits
) -> HealthVerdict | None:
    """Judge by how many are in front: known at once, while latencies are known only when answers end."""
    factor = _slow_factor(before, limits)
    if deployment.parallel is None or not queue_is_long(deployment, load.in_flight, factor=factor):
        return None
    return _become(before, Health.SLOW, HealthReason.QUEUE, load.in_flight, factor * deployment.parallel - 1)


def queue_is_long(deployment: Deployment, in_flight: int, *, factor: float = DEFAULT_LIMITS.slow) -> bool:
    """Return whether one more request would take more than `factor` times as long as one that need not wait.

    False where nobody said how many requests the deployment works on at the same time.
    """
    return deployment.parallel is not None and in_flight + 1 > factor * deployment.parallel


def _slow(before: HealthVerdict, load: Load, limits: OverloadLimits) -> HealthVerdict | None:
    if load.latency_ms is None or before.baseline_ms is None:
        return None
    enough = limits.probes if before.health in _BAD else limits.samples
    limit = _slow_factor(before, limits) * before.baseline_ms
    if load.samples >= enough and load.latency_ms > limit:
        return _become(before, Health.SLOW, HealthReason.LATENCY, load.latency_ms, limit)
    return None


def _slow_factor(before: HealthVerdict, limits: OverloadLimits) -> float:
    return limits.no_longer_slow if before.health in {Health.SLOW, Health.PROBING} else limits.slow


def _learned(before: HealthVerdict, load: Load, *, now: float, limits: OverloadLimits) -> float | None:
    """Return the baseline of a deployment that nobody described: it falls at once and rises slowly."""
    if load.latency_ms is None or load.samples < limits.samples:
        return before.baseline_ms
    if before.baseline_ms is None:
        return load.latency_ms
    minutes = min(60.0, max(0.0, now - before.judged_at) / 60)
    return min(load.latency_ms, before.baseline_ms * math.pow(1 + limits.baseline_rise, minutes))


def _become(
    before: HealthVerdict, health: Health, why: HealthReason, value: float = 0.0, limit: float = 0.0
) -> HealthVerdict:
    return replace(before, health=health, why=why, value=value, limit=limit)
