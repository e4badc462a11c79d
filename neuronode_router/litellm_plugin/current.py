"""The Snapshot that requests admitted now read: one attribute, replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.routing.snapshot import Snapshot


class CurrentSnapshot:
    """What this worker serves. `snapshot` is None until a control state was taken up."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def take(self, snapshot: Snapshot) -> None:
        """Make `snapshot` the one that requests admitted from now on read: one assignment, from any thread."""
        self.snapshot = snapshot

    def read(self) -> Snapshot | None:
        """Return it."""
        return self.snapshot

    def groups_of(self, name: str, tier: Tier) -> Sequence[str]:
        """Return the groups that a name leads to, the first before the others; none while nothing is served.

        `tier` is that of which they are where only the request itself would tell.
        """
        snapshot = self.snapshot
        if snapshot is None:
            return ()
        decision = snapshot.decisions.get(name)
        if decision is None:
            return (name,)
        if decision.auto and decision.profile is not None:
            return snapshot.ladders[decision.profile].get(decision.tier or tier, ())
        return (decision.group,)

    def profiles(self) -> Iterable[Profile]:
        """Return all profiles that are served."""
        snapshot = self.snapshot
        return snapshot.profiles.values() if snapshot else ()
