"""Whether what a policy names is there: profiles, tasks, model groups, and the deployments that outages are about.

It must not know how a policy is put in force.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from neuronode_router.domain import ControlState, HostFacts
from neuronode_router.errors import Problem
from neuronode_router.policy.document import (
    OutageScope,
    OutageTarget,
    OutageTrigger,
    Policy,
    PolicyRule,
    Want,
)

Members = Callable[[OutageTarget], Collection[str]]
"""From what an outage rule watches to the ids of its deployments here."""


def unusable(policy: Policy, state: ControlState, host: HostFacts, members: Members) -> Iterator[Problem]:
    """Yield what a policy names that nobody has, and outage rules that lead to what fails. Never raises."""
    found = [
        *((place, text) for place, want in policy.names() for text in _unknown(want, state, host)),
        *((place, text) for place, rule in policy.outages() for text in _pointless(rule, members)),
    ]
    for place, text in found:
        yield Problem("policy_unknown", text, "Correct it, or add what is missing first.", path=place)


def _pointless(rule: PolicyRule, members: Members) -> Iterator[str]:
    assert isinstance(rule.trigger, OutageTrigger)
    target = rule.trigger.target
    failing = set(members(target))
    if not failing:
        yield f"This proxy has no deployment of {target.named} {target.name!r}."
    elif rule.want.group is not None:
        spared = set(members(OutageTarget(OutageScope.GROUP, rule.want.group)))
        if spared and spared <= failing:
            yield f"All of {rule.want.group!r} is of {target.named} {target.name!r} too: it would fail with it."


def _unknown(want: Want, state: ControlState, host: HostFacts) -> list[str]:
    profiles = state.profiles.profiles
    found = []
    if want.profile is not None and want.profile not in profiles:
        found.append(f"There is no profile {want.profile!r}.")
    if want.task is not None and want.task not in profiles[state.active].tasks:
        found.append(f"No profile has a task {want.task!r}.")
    if want.group is not None and want.group not in host.groups:
        found.append(f"This proxy has no model group {want.group!r}.")
    return found
