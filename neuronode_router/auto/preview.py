"""What would be decided for a request that is only thought of. It sends, counts and remembers nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuronode_router.access import Principal, may_override, may_read_all
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.domain.decisions import Decision
from neuronode_router.domain.names import AUTO_NAMES
from neuronode_router.errors import NotAllowed, NotReady, UnknownProfile, UnknownTask
from neuronode_router.routing.snapshot import Snapshot


def preview(
    auto: AutoRouter,
    snapshot: Snapshot | None,
    principal: Principal,
    *,
    body: Mapping[str, Any],
    name: str,
    profile: str | None = None,
) -> Decision:
    """Return the Decision for a `name` that a client would send as `model`.

    Administrators and viewers may look under any profile; others under those they may choose. Raises `NotReady`,
    `UnknownTask`, `UnknownProfile` or, for what the caller may not choose whether or not it exists, `NotAllowed`.
    """
    if snapshot is None:
        raise NotReady("No control state could be read yet.")
    if profile is not None:
        _require_profile(snapshot, principal, profile)
    # A concrete group or an override by its own name is no question for here: it has no ladder to show.
    active = snapshot.active
    if name not in active.tasks and name not in AUTO_NAMES:
        raise UnknownTask(name, (*active.tasks, *AUTO_NAMES))
    decision = snapshot.decisions.get(name if profile is None else f"{profile}/{name}")
    if decision is None:
        raise UnknownTask(name, sorted(snapshot.state.profiles.profiles[profile or active.name].tasks))
    if not decision.auto:
        return decision
    caller = Caller(identity=principal.name, max_tier=snapshot.highest(decision, principal.max_tier))
    return auto.consider(decision, body, snapshot=snapshot, caller=caller).decision


def _require_profile(snapshot: Snapshot, principal: Principal, name: str) -> None:
    found = snapshot.state.profiles.profiles.get(name)
    if may_read_all(principal):
        if found is None:
            raise UnknownProfile(name, list(snapshot.state.profiles.profiles))
    elif found is None or not may_override(principal, found):
        raise NotAllowed("This key may not choose a profile of that name.")
