"""What is known of a policy's triggers: spending and latency out of usage, attempts out of the workers' heartbeats.

It must not know what follows from the facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from neuronode_router.domain.receipts import WorkerStatus
from neuronode_router.histogram import Histogram
from neuronode_router.policy.document import (
    BudgetPeriod,
    BudgetTrigger,
    LatencyTrigger,
    OutageTrigger,
    Policy,
    PolicyRule,
)
from neuronode_router.policy.rules import RuleFact
from neuronode_router.policy.schedule import day_begins, month_begins
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.periods import DAY, MINUTE, TimeSpan, aligned
from neuronode_router.usage.store import UsageStore

ATTEMPTS = "policy_deployments"
"""Entry of a worker's report: by what rules watch and by deployment, how many attempts were answered and failed in each
slot. A deployment that nobody asked stands there too."""

REPORTED_AT = "policy_reported_at"
"""Entry beside it: Unix time by the worker's clock, which numbers its slots. Those of hosts need not agree."""

SLOT_SECONDS = 10

FRESH_SECONDS = 15.0
"""How long what usage said of a rule is taken for the present: its minutes come no faster."""

HABIT = {BudgetPeriod.DAY: DAY, BudgetPeriod.MONTH: 7 * DAY}
"""Seconds whose spending a forecast goes on with: the last day until midnight, the last week until the month's end."""

Counted = Mapping[str, Mapping[int, Counter[str]]]
"""Attempts by deployment and slot."""

Slots = Mapping[int, Mapping[str, Mapping[str, int]]]
"""Tallies of one process, by slot and deployment."""


class PolicyFacts:
    """Reads the facts. Calling it blocks and may raise `StoreUnavailable`."""

    def __init__(self, *, usage: UsageStore, workers: Callable[[], Iterable[WorkerStatus]]) -> None:
        self._usage = usage
        self._workers = workers
        self._known: dict[PolicyRule, tuple[float, RuleFact]] = {}

    def __call__(self, policy: Policy, now: float) -> dict[str, RuleFact]:
        """Return what is known of each rule. `now` is Unix time."""
        attempts: Mapping[str, Counted] | None = None
        found: dict[str, RuleFact] = {}
        for rule in policy.rules:
            if isinstance(rule.trigger, OutageTrigger):
                if attempts is None:
                    attempts = _attempts(worker for worker in self._workers() if worker.live)
                found[rule.name] = _outage(rule.trigger, attempts, now)
            else:
                found[rule.name] = self._recorded(rule, now)
        self._known = {rule: known for rule in policy.rules if (known := self._known.get(rule))}
        return found

    def _recorded(self, rule: PolicyRule, now: float) -> RuleFact:
        known = self._known.get(rule)
        if known is None or not 0 <= now - known[0] < FRESH_SECONDS:
            known = self._known[rule] = (now, self._read(rule, now))
        return known[1]

    def _read(self, rule: PolicyRule, now: float) -> RuleFact:
        trigger = rule.trigger
        if isinstance(trigger, BudgetTrigger):
            return self._budget(trigger, now)
        assert isinstance(trigger, LatencyTrigger)
        return self._latency(trigger, now)

    def _budget(self, trigger: BudgetTrigger, now: float) -> RuleFact:
        period = day_begins if trigger.per is BudgetPeriod.DAY else month_begins
        began, ends = period(now, trigger.zone)
        spent, _ = self._spent(began, now, trigger.team)
        if trigger.forecast:
            usual, seconds = self._spent(now - HABIT[trigger.per], now, trigger.team)
            spent += usual / seconds * (ends - now)
        return RuleFact(spent / trigger.usd)

    def _spent(self, since: float, now: float, team: str | None) -> tuple[float, float]:
        """Return USD, and of how many seconds: of more where less is told apart, since too much is the safe side."""
        begins = aligned(since, now, now=now).since
        return self._usage.cost(begins, team=team), now - begins

    def _latency(self, trigger: LatencyTrigger, now: float) -> RuleFact:
        buckets: Counter[int] = Counter()
        span = TimeSpan(int(now - trigger.within) // MINUTE * MINUTE, int(now) + MINUTE)
        for (_, key), sums in self._usage.collect(span).items():
            if key.served_group == trigger.group and key.outcome == RequestOutcome.ANSWERED:
                buckets.update(sums.latency)
        histogram = Histogram(buckets)
        return RuleFact(histogram.quantile(0.95), histogram.samples)


def attempts_of(slots: Slots, members: Mapping[str, Iterable[str]], *, now: float) -> dict[str, Any]:
    """Return the entries of a worker's report about deployments, by the key of what watches them. `now` is its clock's
    Unix time.
    """
    found: dict[str, dict[str, dict[str, list[int]]]] = {}
    for key, deployments in members.items():
        counted = found[key] = {deployment: {} for deployment in deployments}
        for number, tallies in slots.items():
            for deployment in counted.keys() & tallies.keys():
                tally = tallies[deployment]
                counted[deployment][str(number)] = [tally.get("answers", 0), tally.get("errors", 0)]
    return {ATTEMPTS: found, REPORTED_AT: now}


def _attempts(workers: Iterable[WorkerStatus]) -> dict[str, Counted]:
    """Return the sum of what workers reported, in slots of the database's clock."""
    found: dict[str, dict[str, dict[int, Counter[str]]]] = {}
    for worker in workers:
        behind = worker.heartbeat_at - worker.report.get(REPORTED_AT, worker.heartbeat_at)
        shift = round(behind / SLOT_SECONDS)
        for key, deployments in (worker.report.get(ATTEMPTS) or {}).items():
            for deployment, slots in deployments.items():
                known = found.setdefault(key, {}).setdefault(deployment, {})
                for number, (answered, failed) in slots.items():
                    counted = known.setdefault(int(number) + shift, Counter())
                    counted.update(answered=answered, failed=failed)
    return {key: dict(deployments) for key, deployments in found.items()}


def _outage(trigger: OutageTrigger, attempts: Mapping[str, Counted], now: float) -> RuleFact:
    oldest = int((now - trigger.within) // SLOT_SECONDS)
    counted = [
        sum((one for number, one in slots.items() if number >= oldest), Counter())
        for slots in attempts.get(trigger.target.key, {}).values()
    ]
    whole = sum(counted, Counter[str]())
    if not whole.total():
        return RuleFact()
    share = min(map(_share, counted)) if trigger.every else _share(whole)
    return RuleFact(share, whole.total(), whole["failed"])


def _share(counted: Counter[str]) -> float:
    """Return the share of attempts that failed; none of a deployment that nobody asked: it may stand."""
    return counted["failed"] / counted.total() if counted.total() else 0.0
