"""Rules over time: when one begins and ends, by a threshold to enter and another to return, and how often at most.

It must not know what a rule wants, nor where facts come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from neuronode_router.policy.document import (
    BudgetTrigger,
    LatencyTrigger,
    OutageTrigger,
    Policy,
    PolicyRule,
)

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class RuleFact:
    """What is known of a rule's trigger now."""

    value: float | None = None
    """A share of the budget, a share of failing attempts (of the deployment that fails least, where a rule is about
    every one), or milliseconds; None where nobody knows."""
    samples: int = 0
    """Attempts or answers that it is made of."""
    failed: int = 0
    """Failing attempts."""


NOTHING_KNOWN = RuleFact()

Facts = Mapping[str, RuleFact]
"""By name of the rule."""


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What must be remembered of a rule, whoever looks next."""

    active: bool = False
    since: float = 0.0
    """Unix time of its last beginning or end."""
    changes: tuple[float, ...] = ()
    """Unix times of its beginnings and ends within the last hour."""
    probes: int = 0
    """Probes in a row that succeeded since it began."""
    evidence: str = ""
    """Why it began or ended last."""


Memory = Mapping[str, RuleMemory]
"""By name of the rule."""


def remember(policy: Policy, memory: Memory, facts: Facts, *, now: float) -> dict[str, RuleMemory]:
    """Return the memory of every rule of a policy after a look at the facts. `now` is Unix time. Never raises."""
    return {
        rule.name: _looked(
            rule, memory.get(rule.name, RuleMemory()), facts.get(rule.name, NOTHING_KNOWN), now
        )
        for rule in policy.rules
    }


def probed(memory: RuleMemory, *, succeeded: bool) -> RuleMemory:
    """Return the memory after a probe of the group that a rule has left."""
    return replace(memory, probes=memory.probes + 1 if succeeded else 0)


def is_due(rule: PolicyRule, memory: RuleMemory, *, now: float) -> bool:
    """Return whether probes may tell that a rule can end now: it began by an outage, and nothing else keeps it."""
    return (
        isinstance(rule.trigger, OutageTrigger)
        and memory.active
        and not rule.dry_run
        and _may_end(rule, memory, now)
        and memory.probes < rule.trigger.probes
    )


def told(rule: PolicyRule, fact: RuleFact) -> str:
    """Return the facts of a rule as evidence for people. Never raises."""
    if fact.value is None:
        return "nothing is known"
    match rule.trigger:
        case BudgetTrigger(usd=usd, per=per, forecast=forecast):
            ahead = " expected by its end" if forecast else ""
            return f"{fact.value:.0%} of {usd:g} USD a {per}{ahead}"
        case OutageTrigger(target=target, within=within, every=every):
            least = f", {fact.value:.0%} or more of those at each deployment" if every else ""
            return f"{fact.failed} of {fact.samples} attempts at {target} failed within {within:g} s{least}"
        case LatencyTrigger(group=group):
            return f"p95 of {group} {fact.value:.0f} ms, {fact.samples} answers"


def _looked(rule: PolicyRule, memory: RuleMemory, fact: RuleFact, now: float) -> RuleMemory:
    memory = _until(memory, now)
    if not memory.active:
        begins = _exceeds(rule, fact) and len(memory.changes) < rule.changes
        return _changed(memory, now, active=True, evidence=told(rule, fact)) if begins else memory
    if _may_end(rule, memory, now) and _is_back(rule, fact, memory):
        probes = f", {memory.probes} probes in a row succeeded" if memory.probes else ""
        return _changed(memory, now, active=False, evidence=told(rule, fact) + probes)
    if isinstance(rule.trigger, OutageTrigger) and fact.failed and (fact.value or 0) > rule.trigger.back:
        return replace(memory, probes=0)  # others still ask the group, and it fails them
    return memory


def _may_end(rule: PolicyRule, memory: RuleMemory, now: float) -> bool:
    # The last change that an hour allows is never a return: until the hour is over it rests where it is safe.
    return now - memory.since >= rule.dwell and len(memory.changes) + 1 < rule.changes


def _until(memory: RuleMemory, now: float) -> RuleMemory:
    """Return the memory as it may be at `now`: a clock that was set back has seen nothing of the future."""
    recent = tuple(min(at, now) for at in memory.changes if at > now - HOUR)
    return replace(memory, since=min(memory.since, now), changes=recent)


def _changed(memory: RuleMemory, now: float, *, active: bool, evidence: str) -> RuleMemory:
    return RuleMemory(active, now, (*memory.changes, now), 0, evidence)


def _exceeds(rule: PolicyRule, fact: RuleFact) -> bool:
    if fact.value is None or fact.value < rule.trigger.enter:
        return False
    match rule.trigger:
        case OutageTrigger(attempts=least):
            return fact.failed >= least
        case LatencyTrigger(attempts=least):
            return fact.samples >= least
        case BudgetTrigger():
            return True


def _is_back(rule: PolicyRule, fact: RuleFact, memory: RuleMemory) -> bool:
    match rule.trigger:
        case OutageTrigger(back=back, probes=probes):
            return (fact.value or 0.0) <= back and (memory.probes >= probes or rule.dry_run)
        case LatencyTrigger(back=back):
            # Nobody asks the group any more: whether it is fast again only trying tells, and `changes` bounds that.
            return fact.value is None or fact.value < back
        case BudgetTrigger(back=back):
            return fact.value is not None and fact.value < back
