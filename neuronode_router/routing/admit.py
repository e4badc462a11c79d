"""From a snapshot and what one request says to its Decision: pure, synchronous, a few dictionary reads.

It does not know who asks: whether a profile may be chosen is a question it is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.domain.names import AUTO, PROFILE_NAME_PREFIX
from neuronode_router.domain.profiles import Profile
from neuronode_router.errors import NotAllowed, UnknownProfile
from neuronode_router.routing.snapshot import Snapshot


def _to_none() -> None:
    """Nobody is bound."""


def admit(
    snapshot: Snapshot,
    original_model: str,
    *,
    wanted_profile: str | None,
    may_override: Callable[[Profile], bool],
    bound: Callable[[], str | None] = _to_none,
    tries: bool = False,
) -> Decision:
    """Decide where a request goes.

    `wanted_profile` is the request header's wish and `may_override` says whether the caller may choose a
    profile; it is asked only when one is chosen. `bound` tells the profile that the caller is bound to, None
    for the active one; it is asked only where there are bindings. `tries` says whether the request belongs to those who
    try the profile of a rollout; whoever is bound or chooses takes no part in one. Raises `NotAllowed` for an override
    name the caller may not use and `UnknownProfile` for `@profile/<name>` without such a profile. A wish by header that
    is not allowed is ignored, with the reason `override_denied`. Names that are none of ours come back as
    `passthrough`, untouched.
    """
    decision = snapshot.decisions.get(original_model)
    if decision is None:
        return _not_ours(snapshot, original_model, may_override)
    if decision.reason is Reason.OVERRIDE_NAME:
        return _allowed(snapshot, decision, may_override)
    if decision.reason is not Reason.ACTIVE_PROFILE:
        return decision
    if snapshot.state.bindings and (name := bound()) is not None:
        decision = _bound_to(snapshot, decision, name)
    elif tries:
        decision = snapshot.canary.get(original_model, decision)
    if wanted_profile is not None:
        return _by_header(snapshot, decision, wanted_profile, may_override)
    return decision


def _not_ours(snapshot: Snapshot, name: str, may_override: Callable[[Profile], bool]) -> Decision:
    if name.startswith(PROFILE_NAME_PREFIX):
        raise _unknown(snapshot, name.removeprefix(PROFILE_NAME_PREFIX), may_override)
    return Decision(original_model=name, group=name, reason=Reason.PASSTHROUGH, revision=snapshot.revision)


def _unknown(snapshot: Snapshot, name: str, may_override: Callable[[Profile], bool]) -> UnknownProfile:
    """Name the profiles that the caller may choose, and no others."""
    profiles = snapshot.state.profiles.profiles.values()
    return UnknownProfile(
        name, [profile.name for profile in profiles if not profile.hidden and may_override(profile)]
    )


def _allowed(snapshot: Snapshot, decision: Decision, may_override: Callable[[Profile], bool]) -> Decision:
    assert decision.profile is not None
    profile = snapshot.state.profiles.profiles[decision.profile]
    if not may_override(profile):
        if profile.hidden:  # for who may not choose it, there is none of that name
            raise _unknown(snapshot, profile.name, may_override)
        raise NotAllowed(
            f"This key may not choose the profile {decision.profile!r}.",
            fix=f"Ask for {decision.task or AUTO!r} (it answers under the active profile), or have the key's team "
            "added to the profile's allowed_teams.",
        )
    return decision


def _bound_to(snapshot: Snapshot, decision: Decision, name: str) -> Decision:
    if name == snapshot.state.active:
        return decision if decision.arm is None else replace(decision, arm=None)
    return _in_profile(snapshot, decision, name, Reason.BINDING)


def _by_header(
    snapshot: Snapshot, decision: Decision, wanted: str, may_override: Callable[[Profile], bool]
) -> Decision:
    profile = snapshot.state.profiles.profiles.get(wanted)
    if profile is None or not may_override(profile):
        return replace(decision, reason=Reason.OVERRIDE_DENIED)
    return _in_profile(snapshot, decision, wanted, Reason.OVERRIDE_HEADER)


def _in_profile(snapshot: Snapshot, decision: Decision, profile: str, reason: Reason) -> Decision:
    """Return what the same name means in another profile."""
    return snapshot.decide(
        profile, decision.original_model, original_model=decision.original_model, reason=reason
    )
