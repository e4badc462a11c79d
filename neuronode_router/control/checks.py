"""Can a host serve a profile? The check before a switch or rollback, against the groups LiteLLM has right now.

It must not know files: positions in them are the profiles room's business when it loads.
"""

from __future__ import annotations

from neuronode_router.domain import AUTO, SECOND_NAME_PROFILE, HostFacts, Profile, ProfileSet
from neuronode_router.errors import Problem, ProfilesInvalid


def require_servable(profiles: ProfileSet, active: str, host: HostFacts) -> None:
    """Raise `ProfilesInvalid` when a group of the active profile, or of the one that `task_` names mean, is missing."""
    names = sorted({active, SECOND_NAME_PROFILE} & profiles.profiles.keys())
    problems = [problem for name in names for problem in _problems(profiles.profiles[name], host)]
    if problems:
        raise ProfilesInvalid(problems)


def _problems(profile: Profile, host: HostFacts) -> list[Problem]:
    targets = {f"tasks.{task}": group for task, group in profile.tasks.items() if group != AUTO}
    for tier, groups in profile.tiers.items():
        targets.update({f"tiers.{tier.value}[{index}]": group for index, group in enumerate(groups)})
    return [
        Problem(
            code="unknown_group",
            message=f"The profile {profile.name!r} needs the model group {group!r}, which this proxy does not have.",
            mend="Add the group to model_list in litellm_config.yaml, or map the task to a group that is there.",
            path=f"{profile.name}.{path}",
        )
        for path, group in targets.items()
        if group not in host.groups
    ]
