"""Slots of time: what was counted in the last five minutes, forgotten by age and never by number.

It must not know what the counts mean, or whether others see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from neuronode_router.stats.tally import Tally

SLOT_SECONDS = 10
WINDOW_SLOTS = 30
"""Slots that are kept: five minutes."""

RECENT_SLOTS = 2
"""Slots that say how a deployment is now: the running one and the one before, 10 to 20 seconds."""

MAX_DEPLOYMENTS = 1000
"""Per slot. Callers with credentials of their own make up deployments; they must not make up memory."""

Slot = Mapping[str, Tally]
"""Tallies by deployment id."""


class Window:
    """Tallies of this process by slot and deployment. `clock` is Unix time in seconds, which hosts share."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._slots: dict[int, dict[str, Tally]] = {}

    @property
    def newest(self) -> int:
        """The number of the running slot."""
        return int(self._clock() // SLOT_SECONDS)

    @property
    def slots(self) -> Mapping[int, Slot]:
        """What was counted, by number of slot. A live view: read it without awaiting."""
        return self._slots

    def tally(self, deployment_id: str) -> Tally | None:
        """Return the tally to count into now; None where the slot has no room for one more deployment."""
        newest = self.newest
        slot = self._slots.get(newest)
        if slot is None:
            slot = self._slots[newest] = {}
            self._forget_outside(newest)
        found = slot.get(deployment_id)
        if found is None and len(slot) < MAX_DEPLOYMENTS:
            found = slot[deployment_id] = Counter()
        return found

    def _forget_outside(self, newest: int) -> None:
        for number in [number for number in self._slots if number not in slots_until(newest)]:
            del self._slots[number]


def slots_until(newest: int) -> range:
    """Return the numbers of a window's slots, oldest first."""
    return range(newest - WINDOW_SLOTS + 1, newest + 1)
