"""Can a host serve a profile? The check before a change, against the groups LiteLLM has right now.

It must not know files: positions in them are the profiles room's business when it loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from neuronode_router.control.change import ChangeTarget
from neuronode_router.domain.bindings import Bindings
from neuronode_router.domain.names import AUTO_NAMES
from neuronode_router.domain.profiles import DeadMapping, GroupUse, HostFacts, Profile, ProfileSet
from neuronode_router.domain.rollouts import in_use
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import Problem, ProfilesInvalid, StaleFiles, UnknownProfile
from neuronode_router.routing.residency import in_words, outside, required

DEAD_MAPPING = "dead_mapping"
"""The code of what is in force and names a group that has vanished."""

UNKNOWN_GROUP = "unknown_group"
"""The code of what a change may not name, here and where files are checked."""


def require_profile(name: str, profiles: ProfileSet) -> None:
    """Insist that there is such a profile. Raises `UnknownProfile`."""
    if name not in profiles.profiles:
        raise UnknownProfile(name, tuple(profiles.profiles))


def require_servable(before: ControlState | None, after: ChangeTarget, host: HostFacts) -> tuple[str, ...]:
    """Return what is amiss with `after` and no reason to refuse it, as sentences: mappings whose group is gone, and
    those whose deployments are elsewhere than the profile has its data stay.

    Raises `ProfilesInvalid` for what the change itself breaks: a profile that comes into force names a group that the
    host has not and that was not committed at this place, or has a task that nothing at all can answer.
    """
    entering = tuple(_entering(before, after))
    dead = [found for profile in entering for found in profile.dead(host.groups)]
    unanswered = {(use.profile, use.place) for use in _unanswered(before, host)}
    problems = [
        dead_mapping(found, code=UNKNOWN_GROUP)
        for found in dead
        if found.use not in host.committed
        or (found.instead is None and (found.use.profile, found.use.place) not in unanswered)
    ]
    if problems:
        raise ProfilesInvalid(problems)
    # A profile that some already use (a bound one, the one of stable aliases) answers others from now on.
    told = {each.name: each for each in (*entering, *(newly_in_force(before, after) if before else ()))}
    return (*map(str, dead), *(said for profile in told.values() for said in _elsewhere(profile, host)))


def _elsewhere(profile: Profile, host: HostFacts) -> Iterator[str]:
    """Yield a sentence for each group that may not be asked, or not as a whole."""
    wanted = required(profile.residency)
    for found in outside(host.places, [use.group for use in profile.uses()], wanted):
        then = "is refused" if found.whole else "keeps to its other deployments"
        yield (
            f"{profile.name}: its data must stay in {in_words(wanted)}; what goes to the model group "
            f"{found.group!r} {then}, for it is at {', '.join(found.places)}."
        )


def dead_mapping(dead: DeadMapping, *, code: str = DEAD_MAPPING) -> Problem:
    """Return the problem of a mapping whose group the host has not."""
    return Problem(
        code=code,
        message=str(dead),
        fix="Add the group to LiteLLM (model_list in its configuration, or its database), or let the profile name "
        "another one.",
        path=f"{dead.use.profile}.{dead.use.place}",
    )


def name_collision(name: str) -> Problem:
    """Return the problem of a name that profiles answer and that the host has a group of."""
    answers = (
        "it answers instead of `auto`" if name in AUTO_NAMES else "the profile's group answers in its place"
    )
    return Problem(
        code="name_collision",
        message=f"LiteLLM has a model group named {name!r}: {answers}.",
        fix="Rename the group where it was added (litellm_config.yaml or LiteLLM's UI), or take the task out of every "
        "profile.",
        path=name,
    )


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


def require_not_overtaken(profiles: ProfileSet, before: ControlState, over: str | None) -> None:
    """Raise `ProfilesInvalid` when files that were refused while the set `over` was in force would undo a later one."""
    if over is None or before.profiles.digest in (over, profiles.digest):
        return
    message = f"The profile files were refused, and others are in force since: {before.revision} is the revision now."
    raise ProfilesInvalid([Problem(StaleFiles.code, message, StaleFiles.fix)])


def newly_in_force(before: ControlState, after: ChangeTarget) -> tuple[Profile, ...]:
    """Return the profiles that a change puts in force: made the active one, newly bound to, or mapped differently."""
    known, then = before.answering, after.answering
    present = {before.active} | _tried(before)
    entering = ({after.active} | _tried(after)) - present | (_bound(after.bindings) - _bound(before.bindings))
    staying = ({after.active} | _tried(after) | _bound(after.bindings)) - entering
    entering |= {name for name in staying if then[name] != known.get(name)}
    return tuple(then[name] for name in sorted(entering))


def replaced(before: ControlState, after: ChangeTarget) -> Mapping[str, tuple[Profile, ...]]:
    """Return for each name of `newly_in_force` the profiles that it takes over from where it answers: itself as it was,
    what was tried of it, and what it is an edit of. What they map alike was in force before.
    """
    known, present = before.answering, {before.active} | _tried(before)
    found = {name: {name} for name in present}
    # A bound one that becomes active answers others than it did.
    for name in _bound(before.bindings) - {after.active} - _tried(after):
        found.setdefault(name, {name})
    if before.canary is not None and before.canary.edit is not None:
        found[before.active].add(before.canary.profile)
    if after.canary is not None and after.canary.edit is not None and after.active in present:
        found.setdefault(after.canary.profile, set()).add(after.active)
    return {name: tuple(known[each] for each in sorted(olds)) for name, olds in found.items()}


def _tried(state: ControlState | ChangeTarget) -> set[str]:
    return {state.canary.profile} if state.canary else set()


def _bound(bindings: Bindings) -> set[str]:
    return {name for binding in bindings.values() for name in binding.profiles}


def _entering(before: ControlState | None, after: ChangeTarget) -> Iterator[Profile]:
    """Yield the profiles in use after a change that were not, or not like that, before."""
    present = set(in_use(before.active, before.bindings, before.canary)) if before else set()
    known, then = before.answering if before else {}, after.answering
    for name in in_use(after.active, after.bindings, after.canary):
        profile = then.get(name)
        if profile is not None and (name not in present or known.get(name) != profile):
            yield profile


def _unanswered(before: ControlState | None, host: HostFacts) -> Iterator[GroupUse]:
    for name in in_use(before.active, before.bindings, before.canary) if before else ():
        profile = before.answering.get(name) if before else None
        for found in profile.dead(host.groups) if profile else ():
            if found.instead is None:
                yield found.use
