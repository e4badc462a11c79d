"""What is known of every deployment of a router, brought up to date in the background and read from memory.

Registry, probes, statistics and LiteLLM's cooldowns become a verdict on each deployment. It decides about no request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from neuronode_router.background import Failures, cancel
from neuronode_router.errors import Problem
from neuronode_router.health.ollama import Defaults, read_places
from neuronode_router.health.ollama_probe import OllamaProbes
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import (
    Deployment,
    Inventory,
    ProbedFacts,
    is_same_list,
    read_inventory,
)
from neuronode_router.routing.overload import (
    NEW,
    Health,
    HealthReason,
    HealthVerdict,
    Load,
    judge_all,
    queue_is_long,
)
from neuronode_router.routing.pick import Candidate
from neuronode_router.stats.ports import Statistics
from neuronode_router.stats.summary import DeploymentStats

logger = logging.getLogger(__name__)

JUDGING = "judging the deployments"

INTERVAL_SECONDS = 0.8
"""How often it looks at least. After a new summary of the statistics it looks at once."""

AT_ONCE = 100
"""Deployments that are judged before other tasks have their turn."""

Entries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class MonitorSources:
    """Where the facts come from. None of them may wait."""

    entries: Callable[[], Entries]
    """The host's model list; of an entry that was edited there is a new object."""
    statistics: Statistics
    cooling: Callable[[], Collection[str]]
    """The ids that LiteLLM has in cooldown."""
    probes: OllamaProbes | None = None
    """Asks the Ollamas; without it every deployment counts as there."""
    defaults: Defaults = field(default_factory=Defaults)
    described: Callable[[Entries], Entries] = lambda entries: entries
    """Adds what the host knows of the deployments beside its list."""
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class _Picture:
    """Everything of one moment: what is read at the same time belongs together."""

    registry: Inventory = field(default_factory=Inventory)
    verdicts: Mapping[str, HealthVerdict] = field(default_factory=dict)
    statuses: Mapping[str, tuple[DeploymentStatus, ...]] = field(default_factory=dict)
    groups_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The groups of each deployment: LiteLLM lets several share an id."""
    queueing: tuple[str, ...] = ()
    """Groups with a deployment of which it is known how many requests it works on at the same time."""
    known: Mapping[str, tuple[DeploymentStatus, float | None]] = field(default_factory=dict)
    """Status and median latency by deployment id."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found: where the next one finds the same, nothing can have changed but by time."""

    written: Inventory
    found: Mapping[str, ProbedFacts]
    measured: Mapping[str, DeploymentStats]
    cooling: frozenset[str]

    def same(self, other: _Seen | None) -> bool:
        """Return whether two looks found the same. What is replaced as a whole is compared by identity."""
        return (
            other is not None
            and self.written is other.written
            and self.measured is other.measured
            and self.cooling == other.cooling
            and self.found == other.found
        )


class HealthMonitor:
    """How every deployment stands. Reading costs an attribute or a dictionary read and never waits."""

    def __init__(self, sources: MonitorSources, *, failures: Failures | None = None) -> None:
        self._sources = sources
        self._failures = failures or Failures()
        self._entries: Entries = ()
        self._written = Inventory()
        self._picture = _Picture()
        self._settled: _Seen | None = None
        """What the last look found, if looking again at the same would judge the same."""
        self._looked_at = 0.0
        """Unix time of the last look, whatever it judged."""
        self._last: _Seen | None = None
        self._found = Inventory()
        """The deployments as that look's probes found them."""
        self._task: asyncio.Task[None] | None = None

    @property
    def statuses(self) -> Mapping[str, tuple[DeploymentStatus, ...]]:
        """The deployments of each model group and how they stand: immutable, replaced as a whole."""
        return self._picture.statuses

    def live_statuses(self) -> Mapping[str, tuple[DeploymentStatus, ...]]:
        """Return `statuses` with the queues of this moment, which are known where `parallel` is.

        A burst fills a queue in less time than passes between two looks.
        """
        picture = self._picture
        if not picture.queueing:
            return picture.statuses
        now = {group: tuple(map(self._now, picture.statuses[group])) for group in picture.queueing}
        return {**picture.statuses, **now}

    def _now(self, status: DeploymentStatus) -> DeploymentStatus:
        deployment = status.deployment
        well = status.health in (Health.OK, Health.PROBING)
        if well and queue_is_long(deployment, self._sources.statistics.in_flight(deployment.id)):
            return replace(status, health=Health.SLOW)
        return status

    @property
    def registry(self) -> Inventory:
        """What is known of the deployments beforehand, as the probes found it."""
        return self._picture.registry

    @property
    def verdicts(self) -> Mapping[str, HealthVerdict]:
        """How each deployment stands and why, by id."""
        return self._picture.verdicts

    def deployments(self, group: str) -> tuple[Deployment, ...]:
        """Return what is known of the deployments of a group, those that are not well among them."""
        return self._picture.registry.groups.get(group, ())

    def candidate(self, deployment_id: str) -> Candidate | None:
        """Return what is known of a deployment, with the attempts that run now; None where it is unknown."""
        found = self._picture.known.get(deployment_id)
        if found is None:
            return None
        return Candidate(found[0], found[1], self._sources.statistics.in_flight(deployment_id))

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong in the deployments' notes, and with the Ollamas. No address, no key."""
        probes = self._sources.probes
        foreign = probes.foreign() if probes is not None else frozenset()
        groups = {entry.group for entry in _all(self._picture.registry) if entry.id in foreign}
        return (*self._written.problems, *(_not_an_ollama(group) for group in sorted(groups)))

    async def refresh(self) -> None:
        """Look at everything once, and publish it with one assignment."""
        seen, now, last = self._look(), self._sources.clock(), self._looked_at
        self._looked_at = now
        if seen.same(self._settled):
            return
        before, registry = self._picture, self._registry(seen)
        if registry is before.registry:
            judged = {name: before.known[name][0].deployment for name in _stirred(before, seen)}
        else:
            judged = {entry.id: entry for entry in _all(registry)}
        verdicts = await self._judge(judged, seen, last=last, now=now)
        self._picture = _picture(registry, verdicts, seen.measured, before)
        self._settled = seen if _at_rest(before.verdicts, verdicts) else None
        _log_changes(before.verdicts, verdicts, judged)

    def _registry(self, seen: _Seen) -> Inventory:
        """Return the deployments as the probes found them: the same object as before while they are the same."""
        last = self._last
        if last is None or last.written is not seen.written or last.found != seen.found:
            self._found = seen.written.with_found(seen.found) if seen.found else seen.written
        self._last = seen
        return self._found

    def _look(self) -> _Seen:
        self._reread()
        sources = self._sources
        found = sources.probes.found() if sources.probes is not None else {}
        return _Seen(self._written, found, sources.statistics.snapshot(), frozenset(sources.cooling()))

    async def start(self) -> None:
        """Look once, then go on in the background. Never raises."""
        self._failures.expect(JUDGING, INTERVAL_SECONDS)
        with self._failures.survived(JUDGING):
            await self.refresh()
        self._task = asyncio.create_task(self._run(), name="neuronode-health")

    async def stop(self) -> None:
        """Look no more. What was published last stays."""
        self._failures.forget(JUDGING)
        await cancel(self._task)
        self._task = None
        if self._sources.probes is not None:
            await self._sources.probes.stop()

    async def _run(self) -> None:
        while True:
            await self._news()
            with self._failures.survived(JUDGING):
                await self.refresh()

    async def _news(self) -> None:
        """Wait for a new summary of the statistics, at most an interval."""
        updated = self._sources.statistics.updated
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL_SECONDS):
                await updated.wait()
        updated.clear()

    def _reread(self) -> None:
        """Read LiteLLM's list where it is another one than before: reading sixty notes takes a millisecond."""
        entries = list(self._sources.entries())
        if is_same_list(entries, self._entries):
            return
        self._written, self._entries = read_inventory(self._sources.described(entries)), entries
        if self._sources.probes is not None:
            self._sources.probes.follow(read_places(entries, self._sources.defaults))

    async def _judge(
        self, deployments: Mapping[str, Deployment], seen: _Seen, *, last: float, now: float
    ) -> Mapping[str, HealthVerdict]:
        """Return the verdicts. What the last look left as it was is judged as if that had judged it."""
        before = {
            name: verdict if verdict.judged_at >= last else replace(verdict, judged_at=last)
            for name in deployments
            if (verdict := self._picture.verdicts.get(name)) is not None
        }
        names, verdicts = list(deployments), dict[str, HealthVerdict]()
        for start in range(0, len(names), AT_ONCE):
            part = {name: deployments[name] for name in names[start : start + AT_ONCE]}
            loads = {name: load_of(seen.measured.get(name), cooling=name in seen.cooling) for name in part}
            verdicts |= judge_all(before, part, loads, now=now)
            await asyncio.sleep(0)
        return verdicts


def load_of(measured: DeploymentStats | None, *, cooling: bool) -> Load:
    """Return what `judge` wants to know of a deployment. Never raises."""
    if measured is None:
        return Load(cooling=cooling)
    recent = measured.recent
    return Load(
        latency_ms=recent.short_answer.p50_ms,
        samples=recent.short_answer.samples,
        errors=recent.errors,
        in_flight=measured.in_flight,
        cooling=cooling,
    )


def _stirred(before: _Picture, seen: _Seen) -> Iterable[str]:
    """Return of which deployments anything is, or was, known: of hundreds most stand unused, and stay as they are."""
    return [
        name
        for name, verdict in before.verdicts.items()
        if verdict.why is not HealthReason.NO_EVIDENCE
        or name in seen.measured
        or name in seen.cooling
        or before.known[name][1] is not None
    ]


def _picture(
    registry: Inventory,
    judged: Mapping[str, HealthVerdict],
    measured: Mapping[str, DeploymentStats],
    before: _Picture,
) -> _Picture:
    """Return the picture with new verdicts: on all, or of the same deployments on some."""
    if registry is not before.registry:
        groups_of: dict[str, tuple[str, ...]] = {}
        for group, entries in registry.groups.items():
            groups_of |= {entry.id: (*groups_of.get(entry.id, ()), group) for entry in entries}
        before = _Picture(
            registry,
            known={entry.id: (DeploymentStatus(entry), None) for entry in _all(registry)},
            groups_of=groups_of,
            queueing=tuple(name for name, of in registry.groups.items() if any(one.parallel for one in of)),
        )
    verdicts, known = {**before.verdicts, **judged}, dict(before.known)
    for name, verdict in judged.items():
        known[name] = (
            DeploymentStatus(known[name][0].deployment, verdict.health),
            _latency(measured.get(name)),
        )
    anew = {
        group: tuple([DeploymentStatus(entry, verdicts[entry.id].health) for entry in registry.groups[group]])
        for group in {group for name in judged for group in before.groups_of[name]}
    }
    return replace(
        before,
        verdicts=MappingProxyType(verdicts),
        statuses=MappingProxyType({**before.statuses, **anew}),
        known=known,
    )


def _at_rest(before: Mapping[str, HealthVerdict], judged: Mapping[str, HealthVerdict]) -> bool:
    """Return whether judging the same facts again would change no state: only `probing` ends by time alone."""
    return all(
        verdict.health is before.get(name, NEW).health is not Health.PROBING
        for name, verdict in judged.items()
    )


def _latency(measured: DeploymentStats | None) -> float | None:
    return None if measured is None else measured.window.short_answer.p50_ms


def _all(registry: Inventory) -> Iterable[Deployment]:
    return (entry for group in registry.groups.values() for entry in group)


def _log_changes(
    before: Mapping[str, HealthVerdict],
    after: Mapping[str, HealthVerdict],
    deployments: Mapping[str, Deployment],
) -> None:
    """Say each change of state once: no address, no key, no text of a request."""
    for name, verdict in after.items():
        was = before.get(name, NEW).health
        if was is not verdict.health:
            level = logging.INFO if verdict.health in {Health.OK, Health.PROBING} else logging.WARNING
            logger.log(
                level,
                "neuronode: deployment %r of %r: %s -> %s, %s",
                name,
                deployments[name].group,
                was,
                verdict.health,
                _because(verdict),
            )


def _because(verdict: HealthVerdict) -> str:
    if verdict.why in {HealthReason.LATENCY, HealthReason.WITHIN_LIMITS}:
        return f"{verdict.why} ({verdict.value:.0f} ms, limit {verdict.limit:.0f} ms)"
    if verdict.why is HealthReason.ERRORS:
        return f"{verdict.why} ({verdict.value:.0%} of the requests, limit {verdict.limit:.0%})"
    return str(verdict.why)


def _not_an_ollama(group: str) -> Problem:
    return Problem(
        code="not_an_ollama",
        message="Something else than an Ollama answers there: nothing is known of what it has.",
        fix="Check api_base and api_key of the group's deployments; requests are not affected.",
        path=group,
    )
