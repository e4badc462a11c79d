"""The policy as it stands, for people: what it makes of the present moment, and each rule with its facts.

It must not know where any of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neuronode_router.policy.document import Policy
from neuronode_router.policy.engine import PolicyVerdict
from neuronode_router.policy.rules import Facts, Memory, RuleFact, RuleMemory, told


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as it stands."""

    name: str
    wants: str
    active: bool
    emergency: bool
    dry_run: bool
    since: float | None
    """Unix time of its last beginning or end; None: never."""
    changes: int
    """Beginnings and ends within the last hour."""
    probes: int
    evidence: str
    """Why it began or ended last."""
    facts: str
    """What is known now."""


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The policy as it stands, and what it makes of the present moment."""

    policy: Policy
    verdict: PolicyVerdict
    active: str
    file: str
    """Where it is written on this host."""
    rules: tuple[RuleView, ...]
    revision: int


def rule_views(policy: Policy, memory: Memory, facts: Facts) -> Iterator[RuleView]:
    """Yield every rule as it stands. Never raises."""
    for rule in policy.rules:
        known = memory.get(rule.name, RuleMemory())
        yield RuleView(
            name=rule.name,
            wants=str(rule.want),
            active=known.active,
            emergency=rule.emergency,
            dry_run=rule.dry_run,
            since=known.since or None,
            changes=len(known.changes),
            probes=known.probes,
            evidence=known.evidence,
            facts=told(rule, facts.get(rule.name, RuleFact())),
        )
