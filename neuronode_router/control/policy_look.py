"""What one look at the policy found, and what the state becomes by it.

It must not know how it is committed, nor what happens where it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neuronode_router.control.change import ChangeTarget, as_it_is
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
from neuronode_router.policy.document import Policy
from neuronode_router.policy.engine import Level, PolicyVerdict, Situation
from neuronode_router.policy.rules import Memory, RuleMemory
from neuronode_router.storage.lease import Fence


@dataclass(frozen=True, slots=True)
class PolicyLook:
    """What the leading worker found."""

    state: ControlState
    policy: Policy
    """The one that was in force in that state."""
    verdict: PolicyVerdict
    memory: Memory
    """What the rules remember from now on."""
    fence: Fence
    now: float
    """Unix time by the database's clock."""
    ended: Sequence[str]
    """Which rules have ended, and why."""


def situation_of(state: ControlState, host: HostFacts) -> Situation:
    """Return what the engine must know of a state, and of what this proxy offers."""
    rolling = state.canary.rollout if state.canary else None
    return Situation(state.active, state.steering, rolling, frozenset(state.profiles.profiles), host.groups)


def target_of(state: ControlState, verdict: PolicyVerdict) -> ChangeTarget:
    """Return what the state becomes: a rollout ends where the active profile changes."""
    target = replace(as_it_is(state), active=verdict.profile, steering=verdict.steering(state.steering))
    return target if verdict.profile == state.active else replace(target, canary=None)


def rules_ended(policy: Policy, before: Memory, after: Memory) -> list[str]:
    """Return which rules have ended between two memories, and why."""
    ends = (
        rule.name
        for rule in policy.rules
        if before.get(rule.name, RuleMemory()).active and not after[rule.name].active
    )
    return [f"rule {name} ended ({after[name].evidence})" for name in ends]


def is_emergency(state: ControlState, verdict: PolicyVerdict) -> bool:
    """Return whether something leaves what fails: then begun conversations leave it too."""
    fresh = [bend for bend in verdict.bends if bend.emergency and bend not in state.steering.bends]
    return bool(fresh) or (verdict.level is Level.EMERGENCY and verdict.profile != state.active)
