"""The immutable form of one revision that requests read: every name it answers, resolved beforehand.

A request reads it once, at admission. It knows nothing of LiteLLM and does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from neuronode_router.domain import (
    PROFILE_NAME_PREFIX,
    SECOND_NAME_PREFIX,
    SECOND_NAME_PROFILE,
    ControlState,
    Decision,
    HostFacts,
    Profile,
    Reason,
    alias_map,
)

BARE_PROFILE_TASK = "chat"
"""The task that `@profile/<name>` means."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision, ready to answer requests.

    `decisions` maps each task alias, second name and override name to its finished Decision; `aliases` is
    what LiteLLM's `model_group_alias` must say about our names.
    """

    state: ControlState
    decisions: Mapping[str, Decision]
    aliases: Mapping[str, str]

    @property
    def revision(self) -> int:
        """The committed revision this snapshot is the form of."""
        return self.state.revision

    @property
    def active(self) -> Profile:
        """The profile that answers plain task aliases."""
        return self.state.profiles.profiles[self.state.active]


def build_snapshot(state: ControlState, host: HostFacts) -> Snapshot:
    """Resolve every name of `state` for a host. Never raises for a committed state.

    A name that is a model group of the host is left alone. A name whose group the host does not have is left
    out: LiteLLM then says so itself.
    """
    decisions: dict[str, Decision] = {}
    for profile in state.profiles.profiles.values():
        decisions.update(_override_names(state, profile))
    decisions.update(_second_names(state))
    active = state.profiles.profiles[state.active]
    for task in active.tasks:
        decisions[task] = decide(state, active, task, requested=task, reason=Reason.ACTIVE_PROFILE)
    groups = host.groups
    kept = {name: found for name, found in decisions.items() if name not in groups and found.group in groups}
    aliases = {name: group for name, group in _host_aliases(state).items() if name in kept}
    return Snapshot(state=state, decisions=MappingProxyType(kept), aliases=MappingProxyType(aliases))


def decide(state: ControlState, profile: Profile, task: str, *, requested: str, reason: Reason) -> Decision:
    """Return the Decision for one task of one profile under `state`'s revision. Raises KeyError for no such
    task.
    """
    return Decision(
        requested=requested,
        group=profile.tasks[task],
        reason=reason,
        revision=state.revision,
        profile=profile.name,
        task=task,
    )


def _override_names(state: ControlState, profile: Profile) -> dict[str, Decision]:
    named = {f"{profile.name}/{task}": task for task in profile.tasks}
    named[PROFILE_NAME_PREFIX + profile.name] = BARE_PROFILE_TASK
    return {
        name: decide(state, profile, task, requested=name, reason=Reason.OVERRIDE_NAME)
        for name, task in named.items()
    }


def _second_names(state: ControlState) -> dict[str, Decision]:
    profile = state.profiles.profiles[SECOND_NAME_PROFILE]
    return {
        SECOND_NAME_PREFIX + task: decide(
            state, profile, task, requested=SECOND_NAME_PREFIX + task, reason=Reason.SECOND_NAME
        )
        for task in profile.tasks
    }


def _host_aliases(state: ControlState) -> dict[str, str]:
    """Our task names, and `@profile/<name>` so that LiteLLM's model listing offers the profiles too."""
    listed = {
        PROFILE_NAME_PREFIX + profile.name: profile.tasks[BARE_PROFILE_TASK]
        for profile in state.profiles.profiles.values()
        if not profile.hidden
    }
    return listed | alias_map(state.profiles, state.active)
