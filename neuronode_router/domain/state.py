"""What is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neuronode_router.domain.bindings import NO_BINDINGS, Bindings
from neuronode_router.domain.profiles import Profile, ProfileSet
from neuronode_router.domain.rollouts import Canary, answering
from neuronode_router.domain.shadows import Shadow
from neuronode_router.domain.steering import NOT_STEERED, Steering


@dataclass(frozen=True, slots=True)
class ControlState:
    """What is committed: a revision names one active profile, one exact set of profiles, and who is bound to which."""

    revision: int
    active: str
    profiles: ProfileSet
    committed_at: float
    """Unix time in seconds, clock of the host that committed."""
    bindings: Bindings = field(default_factory=lambda: NO_BINDINGS)
    moved: int = 0
    """The last revision that moved all conversations, whatever the profiles say; 0 for none."""
    canary: Canary | None = None
    """None while no rollout runs."""
    steering: Steering = NOT_STEERED
    shadow: Shadow | None = None
    """None while no profile is compared with what clients get."""

    @property
    def answering(self) -> Mapping[str, Profile]:
        """The profiles that can answer requests; see `answering`."""
        return answering(self.profiles, self.active, self.canary)
