"""The Snapshot that requests admitted now read: one attribute, replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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

    def active_ladder(self) -> Mapping[Tier, Sequence[str]]:
        """Return the ladder of the active profile, empty while nothing is served."""
        snapshot = self.snapshot
        return snapshot.ladders[snapshot.state.active] if snapshot else {}

    def profiles(self) -> Iterable[Profile]:
        """Return all profiles that are served."""
        snapshot = self.snapshot
        return snapshot.profiles.values() if snapshot else ()
