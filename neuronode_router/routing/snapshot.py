"""The immutable form of one revision that requests read: every name it answers, resolved beforehand.

A request reads it once, at admission. It knows nothing of LiteLLM and does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from neuronode_router.domain import (
    AUTO,
    AUTO_NAMES,
    PROFILE_NAME_PREFIX,
    STABLE_ALIAS_PREFIX,
    STABLE_ALIAS_PROFILE,
    ControlState,
    Decision,
    HostFacts,
    Profile,
    Reason,
    Tier,
    alias_map,
)

BARE_PROFILE_TASK = "chat"
"""The task that `@profile/<name>` means."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision, ready to answer requests.

    `decisions` maps each task alias, `auto` name, second name and override name to its Decision; `aliases` is
    what LiteLLM's `model_group_alias` must say about our names; `ladders` are the groups of each profile by
    tier, as far as the host has them.
    """

    state: ControlState
    decisions: Mapping[str, Decision]
    aliases: Mapping[str, str]
    ladders: Mapping[str, Mapping[Tier, tuple[str, ...]]]

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
    decisions.update(_stable_aliass(state))
    active = state.profiles.profiles[state.active]
    for name in _names(active):
        decisions[name] = decide(state, active, name, original_model=name, reason=Reason.ACTIVE_PROFILE)
    groups = host.groups
    kept = {name: found for name, found in decisions.items() if name not in groups and found.group in groups}
    aliases = {name: group for name, group in _host_aliases(state).items() if name in kept}
    ladders = {name: _ladder(profile, host) for name, profile in state.profiles.profiles.items()}
    return Snapshot(
        state=state,
        decisions=MappingProxyType(kept),
        aliases=MappingProxyType(aliases),
        ladders=MappingProxyType(ladders),
    )


def decide(
    state: ControlState, profile: Profile, name: str, *, original_model: str, reason: Reason
) -> Decision:
    """Return the Decision for a task alias or `auto` name of one profile under `state`'s revision.

    Where it says `auto`, tier and ladder are still to be found. Raises KeyError for no such task.
    """
    by_name = name in AUTO_NAMES
    return Decision(
        original_model=original_model,
        group=profile.group_of(name),
        reason=reason,
        auto=by_name or profile.tasks[name] == AUTO,
        revision=state.revision,
        profile=profile.name,
        task=None if by_name else name,
        tier=AUTO_NAMES.get(name),
    )


def _names(profile: Profile) -> tuple[str, ...]:
    return (*profile.tasks, *AUTO_NAMES)


def _ladder(profile: Profile, host: HostFacts) -> Mapping[Tier, tuple[str, ...]]:
    return {
        tier: tuple(group for group in groups if group in host.groups)
        for tier, groups in profile.tiers.items()
    }


def _override_names(state: ControlState, profile: Profile) -> dict[str, Decision]:
    named = {f"{profile.name}/{name}": name for name in _names(profile)}
    named[PROFILE_NAME_PREFIX + profile.name] = BARE_PROFILE_TASK
    return {
        original_model: decide(
            state, profile, name, original_model=original_model, reason=Reason.OVERRIDE_NAME
        )
        for original_model, name in named.items()
    }


def _stable_aliass(state: ControlState) -> dict[str, Decision]:
    profile = state.profiles.profiles[STABLE_ALIAS_PROFILE]
    return {
        STABLE_ALIAS_PREFIX + task: decide(
            state, profile, task, original_model=STABLE_ALIAS_PREFIX + task, reason=Reason.STABLE_ALIAS
        )
        for task in profile.tasks
    }


def _host_aliases(state: ControlState) -> dict[str, str]:
    """Our names, and `@profile/<name>` so that LiteLLM's model listing offers the profiles too."""
    listed = {
        PROFILE_NAME_PREFIX + profile.name: profile.group_of(BARE_PROFILE_TASK)
        for profile in state.profiles.profiles.values()
        if not profile.hidden
    }
    return listed | alias_map(state.profiles, state.active)
