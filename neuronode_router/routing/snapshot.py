"""The immutable form of one revision that requests read: every name it answers, resolved beforehand.

A request reads it once, at admission. It knows nothing of LiteLLM and does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import (
    AUTO,
    AUTO_NAMES,
    PROFILE_NAME_PREFIX,
    STABLE_ALIAS_PREFIX,
    STABLE_ALIAS_PROFILE,
    TIERS,
    Tier,
)
from neuronode_router.domain.profiles import DeadMapping, HostFacts, Profile, alias_map
from neuronode_router.domain.rollouts import Arm
from neuronode_router.domain.state import ControlState

ANY_PROFILE = ""
"""In `Snapshot.lightest`: all profiles together. No profile is called so."""

BARE_PROFILE_TASK = "chat"
"""The task that `@profile/<name>` means."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision, ready to answer requests.

    `decisions` maps each task alias, `auto` name, stable alias and override name that can be served to its Decision;
    `aliases` is what LiteLLM's `model_group_alias` must say about our names; `ladders` are the groups of each profile
    by tier, as far as the host has them; `meanings` say of each profile what its names mean; `dead` are the places
    that name a group the host has not, and `collisions` names of ours that the host has groups of; `lightest` says of
    each profile, and under "" of all together, the lightest tier that names a group; `profiles` are all that can
    answer, an edited one that is tried included; `confined` those of them that say where the data of their requests
    may go; `canary` is what the plain names mean to those who try a rollout's profile, empty while none runs.
    """

    state: ControlState
    profiles: Mapping[str, Profile]
    confined: Mapping[str, Profile]
    decisions: Mapping[str, Decision]
    aliases: Mapping[str, str]
    ladders: Mapping[str, Mapping[Tier, tuple[str, ...]]]
    meanings: Mapping[str, Mapping[str, Decision]]
    dead: tuple[DeadMapping, ...]
    collisions: tuple[str, ...]
    lightest: Mapping[str, Mapping[str, Tier]]
    canary: Mapping[str, Decision] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        """The committed revision this snapshot is the form of."""
        return self.state.revision

    @property
    def active(self) -> Profile:
        """The profile that answers plain task aliases."""
        return self.state.profiles.profiles[self.state.active]

    def tier_of(self, group: str, *, profile: str, noted: Callable[[str], Tier | None]) -> Tier | None:
        """Return the lightest tier of `profile` that names a group, else what is `noted` at its deployments, else the
        lightest of any profile; None where nobody said.
        """
        return self.lightest[profile].get(group) or noted(group) or self.lightest[ANY_PROFILE].get(group)

    def highest(self, decision: Decision, own: Tier) -> Tier:
        """Return the highest tier of a caller's request: his own cap, and of who follows the active profile the
        policy's.
        """
        steering = self.state.steering
        if decision.reason is not Reason.ACTIVE_PROFILE or not steering.bends:
            return own
        return min(own, steering.cap, key=TIERS.index)

    def decide(self, profile: str, name: str, *, original_model: str, reason: Reason) -> Decision:
        """Return the Decision for a task alias or `auto` name of one profile.

        Where it says `auto`, tier and ladder are still to be found. Where nothing can serve it, its group is the one
        that the profile names: LiteLLM then says itself that there is none. Raises `KeyError` for no such task.
        """
        return replace(self.meanings[profile][name], original_model=original_model, reason=reason)


def build_snapshot(state: ControlState, host: HostFacts) -> Snapshot:
    """Resolve every name of `state` for a host. Never raises for a committed state.

    A task goes before a model group of the host that was given its name afterwards; any other name that is a group is
    left alone. A task whose group the host has not goes where its profile
    sends it then. A name that nothing can serve is left out: LiteLLM then says so itself.
    """
    groups, profiles = host.groups, state.answering
    meanings = {name: _meanings(state, profile, groups) for name, profile in profiles.items()}
    decisions: dict[str, Decision] = {}
    for name in state.profiles.profiles:  # an edited one that is tried can be chosen by nobody
        decisions.update(_override_names(name, meanings[name]))
    decisions.update(_stable_aliases(profiles[STABLE_ALIAS_PROFILE], meanings[STABLE_ALIAS_PROFILE]))
    tried = state.canary.profile if state.canary else None
    bent = {task: group for task, group in state.steering.moved.items() if group in groups}
    decisions.update(_bent(_arm(meanings[state.active], Arm.CONTROL if tried else None), bent))
    kept = {
        name: found
        for name, found in decisions.items()
        if found.group in groups and (name not in groups or _is_a_task(found))
    }
    return Snapshot(
        state=state,
        profiles=profiles,
        confined=MappingProxyType({name: each for name, each in profiles.items() if each.confines}),
        decisions=MappingProxyType(kept),
        aliases=MappingProxyType({name: kept[name].group for name in _listed(state) if name in kept}),
        ladders=MappingProxyType({name: _ladder(profile, host) for name, profile in profiles.items()}),
        meanings=MappingProxyType(meanings),
        dead=tuple(dead for profile in profiles.values() for dead in profile.dead(groups)),
        collisions=tuple(sorted(name for name in alias_map(state.profiles, state.active) if name in groups)),
        lightest=MappingProxyType(
            {name: _lightest((profile,)) for name, profile in profiles.items()}
            | {ANY_PROFILE: _lightest(tuple(profiles.values()))}
        ),
        canary=MappingProxyType(_bent(_arm(meanings[tried], Arm.CANARY), bent) if tried else {}),
    )


def _is_a_task(decision: Decision) -> bool:
    return decision.task is not None and decision.reason is not Reason.OVERRIDE_NAME


def _arm(meanings: Mapping[str, Decision], arm: Arm | None) -> dict[str, Decision]:
    return {name: replace(meaning, arm=arm) for name, meaning in meanings.items()}


def _bent(meanings: dict[str, Decision], bent: Mapping[str, str]) -> dict[str, Decision]:
    """Return what names mean where the policy sends some tasks elsewhere for a while."""
    return {
        name: replace(meaning, group=bent[name], auto=False, steps=(Step.POLICY,))
        if name in bent
        else meaning
        for name, meaning in meanings.items()
    }


def _meanings(state: ControlState, profile: Profile, groups: frozenset[str]) -> Mapping[str, Decision]:
    return {name: _meaning(state, profile, name, groups) for name in (*profile.tasks, *AUTO_NAMES)}


def _meaning(state: ControlState, profile: Profile, name: str, groups: frozenset[str]) -> Decision:
    by_name, named = name in AUTO_NAMES, profile.group_of(name)
    group = profile.answering(name, groups) or named
    return Decision(
        original_model=name,
        group=group,
        reason=Reason.ACTIVE_PROFILE,
        auto=by_name or profile.tasks[name] == AUTO,
        revision=state.revision,
        profile=profile.name,
        task=None if by_name else name,
        tier=AUTO_NAMES.get(name),
        steps=() if group == named else (Step.GROUP_MISSING,),
    )


def _ladder(profile: Profile, host: HostFacts) -> Mapping[Tier, tuple[str, ...]]:
    return {
        tier: tuple(group for group in groups if group in host.groups)
        for tier, groups in profile.tiers.items()
    }


def _lightest(profiles: Sequence[Profile]) -> Mapping[str, Tier]:
    named = {tier: [group for profile in profiles for group in profile.tiers[tier]] for tier in TIERS}
    return MappingProxyType({group: tier for tier in reversed(TIERS) for group in named[tier]})


def _override_names(profile: str, meanings: Mapping[str, Decision]) -> dict[str, Decision]:
    named = {f"{profile}/{name}": name for name in meanings}
    named[PROFILE_NAME_PREFIX + profile] = BARE_PROFILE_TASK
    return {
        original_model: replace(meanings[name], original_model=original_model, reason=Reason.OVERRIDE_NAME)
        for original_model, name in named.items()
    }


def _stable_aliases(profile: Profile, meanings: Mapping[str, Decision]) -> dict[str, Decision]:
    named = {STABLE_ALIAS_PREFIX + task: task for task in profile.tasks}
    return {
        original_model: replace(meanings[task], original_model=original_model, reason=Reason.STABLE_ALIAS)
        for original_model, task in named.items()
    }


def _listed(state: ControlState) -> Iterator[str]:
    """Yield our names, and `@profile/<name>` so that LiteLLM's model listing offers the profiles too."""
    for profile in state.profiles.profiles.values():
        if not profile.hidden:
            yield PROFILE_NAME_PREFIX + profile.name
    yield from alias_map(state.profiles, state.active)
