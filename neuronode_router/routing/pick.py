"""Which deployment of a group: of two at random the one with the shorter expected wait.

Two choices are enough to keep queues short, and unlike the best of all they do not send everybody to the same one. It
must not know LiteLLM, which has already left out what is in cooldown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neuronode_router.routing.fallback_chain import PROBE_SHARE, DeploymentStatus
from neuronode_router.routing.fit import Needs, doubts, misfit
from neuronode_router.routing.overload import Health

COLD_LOAD_MS = 10_000.0
"""What loading weights is taken to cost: a loaded deployment is preferred until its queue is as long."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that could answer, with what was measured of it."""

    status: DeploymentStatus
    latency_ms: float | None = None
    """Median of a short answer, in the last minutes."""
    in_flight: int = 0


def shortlist(
    candidates: Sequence[Candidate], *, needs: Needs, random: Callable[[], float], keep: str | None = None
) -> Sequence[Candidate]:
    """Return those to choose from: the kept one, one that is probed, or all that stand best. Never raises.

    `keep` is the deployment that a session keeps while it is well. `random` returns numbers from 0 to below 1.
    """
    fitting = [found for found in candidates if misfit(found.status.deployment, needs) is None]
    wrong = {_id(found): doubts(found.status.deployment, needs) for found in fitting}
    least = min(wrong.values(), default=0)
    usable = [found for found in fitting if wrong[_id(found)] == least] or candidates
    kept = [found for found in usable if _id(found) == keep and found.status.health is Health.OK]
    if kept:
        return kept
    probing = [found for found in usable if found.status.health is Health.PROBING]
    if probing and random() < PROBE_SHARE:
        return [probing[int(random() * len(probing))]]
    best = min((found.status.health.rank for found in usable), default=0)
    return [found for found in usable if found.status.health.rank == best]


def quickest(among: Sequence[Candidate], *, random: Callable[[], float]) -> str | None:
    """Return the id of the one with the shorter wait, of two at random; None where no latency is known."""
    if len(among) == 1:
        return _id(among[0])
    latencies = [latency for found in among if (latency := _latency(found)) is not None]
    if not latencies:
        return None
    # One that was never measured is tried as if it were as good as the best.
    return _id(_shorter_wait(_two(among, random), random, unmeasured=min(latencies)))


def _shorter_wait(
    two: tuple[Candidate, Candidate], random: Callable[[], float], *, unmeasured: float
) -> Candidate:
    first, second = two
    difference = _wait(first, unmeasured) - _wait(second, unmeasured)
    if difference == 0:
        return first if random() < 0.5 else second
    return first if difference < 0 else second


def _two(among: Sequence[Candidate], random: Callable[[], float]) -> tuple[Candidate, Candidate]:
    """Return two different candidates of at least two."""
    first = int(random() * len(among))
    second = int(random() * (len(among) - 1))
    return among[first], among[second + (second >= first)]


def _wait(candidate: Candidate, unmeasured: float) -> float:
    """Return the milliseconds until a short answer, were the attempts before it answered one after the other."""
    latency = _latency(candidate)
    parallel = candidate.status.deployment.parallel or 1
    queued = (unmeasured if latency is None else latency) * (1 + candidate.in_flight / parallel)
    return queued + (COLD_LOAD_MS if candidate.status.deployment.loaded is False else 0.0)


def _latency(candidate: Candidate) -> float | None:
    return candidate.status.deployment.expected_ms if candidate.latency_ms is None else candidate.latency_ms


def _id(candidate: Candidate) -> str:
    return candidate.status.deployment.id
