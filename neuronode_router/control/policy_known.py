"""Whether what a policy names is there: profiles, tasks, model groups, and the deployments that outages are about.

It must not know how a policy is put in force.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from neuronode_router.domain.profiles import HostFacts
from neuronode_router.domain.state import ControlState
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
        *((place, *said) for place, want in policy.names() for said in _unknown(want, state, host)),
        *((place, *said) for place, rule in policy.outages() for said in _pointless(rule, members)),
    ]
    for place, text, fix in found:
        yield Problem("policy_unknown", text, fix, path=place)


def _pointless(rule: PolicyRule, members: Members) -> Iterator[tuple[str, str]]:
    assert isinstance(rule.trigger, OutageTrigger)
    target = rule.trigger.target
    failing = set(members(target))
    if not failing:
        fix = f"Name one that a deployment of the configuration has as its {target.named}."
        yield f"This proxy has no deployment of {target.named} {target.name!r}.", fix
    elif rule.want.group is not None:
        spared = set(members(OutageTarget(OutageScope.GROUP, rule.want.group)))
        if spared and spared <= failing:
            text = (
                f"All of {rule.want.group!r} is of {target.named} {target.name!r} too: it would fail with it."
            )
            yield text, "Name a group with a deployment elsewhere."


def _unknown(want: Want, state: ControlState, host: HostFacts) -> Iterator[tuple[str, str]]:
    profiles = state.profiles.profiles
    tasks = profiles[state.active].tasks
    if want.profile is not None and want.profile not in profiles:
        yield f"There is no profile {want.profile!r}.", f"Name one of {', '.join(sorted(profiles))}."
    if want.task is not None and want.task not in tasks:
        yield f"No profile has a task {want.task!r}.", f"Name one of {', '.join(sorted(tasks))}."
    if want.group is not None and want.group not in host.groups:
        fix = "Name a model_name of the configuration, or add the group to it first."
        yield f"This proxy has no model group {want.group!r}.", fix
