"""Sends probes: a few at a time, within a cap on cost and on time, and keeps what each found.

It must not know LiteLLM or HTTP: who is asked comes in as a port.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from neuronode_router.proof.matrix import Known, Matrix, ProbeEvidence, ProbeTarget, State, oldest_first
from neuronode_router.proof.probes import PROBES, Probe, ProbeAnswer, ProbeReason, judge
from neuronode_router.proof.store import ProofStore
from neuronode_router.threads import in_thread


class ProbeFailed(Exception):
    """A probe got no answer. Carries no text of the provider."""

    def __init__(self, why: ProbeReason) -> None:
        super().__init__(why.value)
        self.why = why


class Asker(Protocol):
    """Who sends a probe."""

    def address(self, group: str, *, wake: bool) -> str | None:
        """Return the name to ask for a group; None where that would load weights and `wake` is not wanted."""
        ...

    async def ask(self, name: str, probe: Probe, *, seconds: float) -> ProbeAnswer:
        """Return the answer. Raises `ProbeFailed`, at the latest after about `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What a run may take."""

    concurrency: int = 4
    max_cost_usd: float = 0.5
    """No probe begins once so much was spent; those under way end."""
    max_seconds: float = 120.0
    """Of the whole run; probes under way are then given up, and prove nothing."""
    probe_seconds: float = 30.0
    wake: bool = False
    """Also ask deployments whose weights must be loaded first."""


Stopped = Literal["cost", "time"]


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a run."""

    wanted: int
    found: tuple[ProbeEvidence, ...]
    cost_usd: float
    """Of what has a price."""
    stopped: Stopped | None
    """Which cap ended it early; what was left out keeps its older evidence."""


class Runner:
    """Runs probes. `clock` is Unix time in seconds."""

    def __init__(
        self,
        *,
        asker: Asker,
        store: ProofStore,
        matrix: Matrix,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._asker = asker
        self._store = store
        self._matrix = matrix
        self._clock = clock

    async def run(
        self,
        targets: Iterable[ProbeTarget],
        limits: RunLimits,
        on_evidence: Callable[[ProbeEvidence], None] = lambda _: None,
    ) -> Run:
        """Probe each target once; `on_evidence` hears what was found as it comes. Raises `StoreUnavailable`."""
        known = await in_thread(self._store.known)
        work = _Work(deque(oldest_first(targets, known)), limits, known, on_evidence)
        wanted = len(work.left)
        try:
            async with asyncio.timeout(limits.max_seconds), asyncio.TaskGroup() as group:
                for _ in range(min(limits.concurrency, wanted)):
                    group.create_task(self._work(work))
        except TimeoutError:
            work.stopped = "time"
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return Run(wanted, tuple(work.found), work.spent, work.stopped)

    async def _work(self, work: _Work) -> None:
        while work.left:
            if work.spent >= work.limits.max_cost_usd:
                work.stopped = "cost"
                return
            evidence = await self._probe(work.left.popleft(), work.limits)
            work.spent += evidence.cost_usd or 0.0
            if self._says_more(evidence, work.known):
                await in_thread(self._store.keep, evidence)
            work.found.append(evidence)
            work.on_evidence(evidence)

    def _says_more(self, evidence: ProbeEvidence, known: Known) -> bool:
        """Return whether it is kept: that nobody asked does not wipe out a proof that still holds."""
        before = known.get(evidence.target)
        holds = self._matrix.fresh(before, now=evidence.checked_at)
        return evidence.state is not State.NOT_LOADED or not holds

    async def _probe(self, target: ProbeTarget, limits: RunLimits) -> ProbeEvidence:
        evidence = ProbeEvidence(target, ProbeReason.NOT_LOADED, self._clock())
        name = self._asker.address(target.group, wake=limits.wake)
        if name is None:
            return evidence
        began = time.perf_counter()
        try:
            answer = await self._asker.ask(name, PROBES[target.shape], seconds=limits.probe_seconds)
        except ProbeFailed as failed:
            return replace(evidence, why=failed.why, latency_ms=_since(began))
        return replace(
            evidence,
            why=judge(target.shape, answer),
            latency_ms=_since(began),
            cost_usd=answer.cost_usd,
        )


@dataclass(slots=True)
class _Work:
    """What the probes of one run share."""

    left: deque[ProbeTarget]
    limits: RunLimits
    known: Known
    on_evidence: Callable[[ProbeEvidence], None]
    found: list[ProbeEvidence] = field(default_factory=list)
    spent: float = 0.0
    stopped: Stopped | None = None


def _since(began: float) -> float:
    """Return milliseconds."""
    return 1000 * (time.perf_counter() - began)
