"""Can a host serve a profile? The check before a switch or rollback, against the groups LiteLLM has right now.

It must not know files: positions in them are the profiles room's business when it loads.
"""

from __future__ import annotations

from collections.abc import Collection

from neuronode_router.control.change import ChangeTarget
from neuronode_router.domain import AUTO, Bindings, ControlState, HostFacts, Profile, ProfileSet
from neuronode_router.errors import Problem, ProfilesInvalid


def require_servable(profiles: ProfileSet, names: Collection[str], host: HostFacts) -> None:
    """Raise `ProfilesInvalid` when one of the profiles `names` that are there needs a group that is missing."""
    found = [profiles.profiles[name] for name in names if name in profiles.profiles]
    problems = [problem for profile in found for problem in _problems(profile, host)]
    if problems:
        raise ProfilesInvalid(problems)


def require_bound_profiles(profiles: ProfileSet, bindings: Bindings) -> None:
    """Raise `ProfilesInvalid` when a team or key is bound to a profile that is not there."""
    problems = [
        Problem(
            code="bound_profile",
            message=f"{subject} is bound to the profile {name!r}, which does not exist.",
            fix="End the binding first, or keep the profile.",
            path=name,
        )
        for subject, binding in sorted(bindings.items())
        for name in binding.profiles
        if name not in profiles.profiles
    ]
    if problems:
        raise ProfilesInvalid(problems)


def newly_in_force(before: ControlState, after: ChangeTarget) -> tuple[Profile, ...]:
    """Return the profiles that a change puts in force: made the active one, newly bound to, or mapped differently."""
    known = before.profiles.profiles
    entering = {after.active} - {before.active} | (_bound(after.bindings) - _bound(before.bindings))
    staying = ({after.active} | _bound(after.bindings)) - entering
    entering |= {name for name in staying if after.profiles.profiles[name] != known.get(name)}
    return tuple(after.profiles.profiles[name] for name in sorted(entering))


def _bound(bindings: Bindings) -> set[str]:
    return {name for binding in bindings.values() for name in binding.profiles}


def _problems(profile: Profile, host: HostFacts) -> list[Problem]:
    targets = {f"tasks.{task}": group for task, group in profile.tasks.items() if group != AUTO}
    for tier, groups in profile.tiers.items():
        targets.update({f"tiers.{tier.value}[{index}]": group for index, group in enumerate(groups)})
    return [
        Problem(
            code="unknown_group",
            message=f"The profile {profile.name!r} needs the model group {group!r}, which this proxy does not have.",
            fix="Add the group to model_list in litellm_config.yaml, or map the task to a group that is there.",
            path=f"{profile.name}.{path}",
        )
        for path, group in targets.items()
        if group not in host.groups
    ]
