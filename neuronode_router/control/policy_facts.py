"""What is known of a policy's triggers: spending and latency out of usage, attempts out of the workers' heartbeats.

It must not know what follows from the facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from neuronode_router.domain import WorkerStatus
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
from neuronode_router.usage.periods import DAY, MINUTE, TimeSpan
from neuronode_router.usage.store import UsageStore

ATTEMPTS = "policy_attempts"
"""Entry of a worker's report: by model group, how many attempts were answered and failed in each slot."""

SLOT_SECONDS = 10

FRESH_SECONDS = 15.0
"""How long what usage said of a rule is taken for the present: its minutes come no faster."""

HABIT = {BudgetPeriod.DAY: DAY, BudgetPeriod.MONTH: 7 * DAY}
"""Seconds whose spending a forecast goes on with: the last day until midnight, the last week until the month's end."""

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
        attempts: Mapping[str, Mapping[int, Counter[str]]] | None = None
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
        spent = self._usage.cost(began, team=trigger.team)
        if trigger.forecast:
            habit = HABIT[trigger.per]
            spent += self._usage.cost(now - habit, team=trigger.team) / habit * (ends - now)
        return RuleFact(spent / trigger.usd)

    def _latency(self, trigger: LatencyTrigger, now: float) -> RuleFact:
        buckets: Counter[int] = Counter()
        span = TimeSpan(int(now - trigger.within) // MINUTE * MINUTE, int(now) + MINUTE)
        for (_, key), sums in self._usage.collect(span).items():
            if key.served_group == trigger.group and key.outcome == RequestOutcome.ANSWERED:
                buckets.update(sums.latency)
        histogram = Histogram(buckets)
        return RuleFact(histogram.quantile(0.95), histogram.samples)


def attempts_of(
    slots: Slots, groups: Iterable[str], group_of: Callable[[str], str | None]
) -> dict[str, dict[str, list[int]]]:
    """Return what a worker reports of the attempts at some groups: answered and failed, by number of slot."""
    wanted = frozenset(groups)
    found: dict[str, dict[str, list[int]]] = {}
    for number, tallies in slots.items():
        for deployment, tally in tallies.items():
            group = group_of(deployment)
            if group in wanted:
                counted = found.setdefault(str(group), {}).setdefault(str(number), [0, 0])
                counted[0] += tally.get("answers", 0)
                counted[1] += tally.get("errors", 0)
    return found


def _attempts(workers: Iterable[WorkerStatus]) -> dict[str, dict[int, Counter[str]]]:
    """Return the sum of what workers reported."""
    found: dict[str, dict[int, Counter[str]]] = {}
    for worker in workers:
        for group, slots in (worker.report.get(ATTEMPTS) or {}).items():
            for number, (answered, failed) in slots.items():
                counted = found.setdefault(group, {}).setdefault(int(number), Counter())
                counted.update(answered=answered, failed=failed)
    return found


def _outage(
    trigger: OutageTrigger, attempts: Mapping[str, Mapping[int, Mapping[str, int]]], now: float
) -> RuleFact:
    oldest = int((now - trigger.within) // SLOT_SECONDS)
    recent = [counted for number, counted in attempts.get(trigger.group, {}).items() if number >= oldest]
    failed = sum(counted["failed"] for counted in recent)
    samples = failed + sum(counted["answered"] for counted in recent)
    return RuleFact(failed / samples if samples else None, samples, failed)
