"""Statistics of this process alone.

It must not know Redis or any other process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from neuronode_router.background import Failures, cancel
from neuronode_router.stats.recorder import Recorder
from neuronode_router.stats.summary import DeploymentStats, TallyAt, summarise
from neuronode_router.stats.tally import Tally
from neuronode_router.stats.window import Slot

INTERVAL_SECONDS = 0.4
"""How old a snapshot may grow. Two of them, one to send and one to read, stay below a second."""

AT_ONCE = 2
"""Deployments that are summarised before other tasks have their turn (below a millisecond)."""

SUMMING_UP = "summing statistics up"


class MemoryStatistics:
    """Counts, and summarises every `INTERVAL_SECONDS`. `clock` is Unix time in seconds."""

    mode = "memory"

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        failures: Failures | None = None,
    ) -> None:
        self._failures = failures or Failures()
        self.recorder = Recorder(clock=clock)
        self._snapshot: Mapping[str, DeploymentStats] = MappingProxyType({})
        self._summarised: tuple[int, int] | None = None
        self.updated = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def snapshot(self) -> Mapping[str, DeploymentStats]:
        """Return the latest figures by deployment id."""
        return self._snapshot

    def in_flight(self, deployment_id: str) -> int:
        """Return how many attempts run now."""
        return self.recorder.depths.get(deployment_id, 0)

    async def refresh(self) -> None:
        """Build a snapshot now, unless it would say the same. Never raises."""
        recorder = self.recorder
        recorder.forget_lost()
        seen = recorder.changes, recorder.window.newest
        if seen == self._summarised:
            return
        self._snapshot = await build_snapshot(
            known_to(recorder), tallies_of(recorder.window.slots), recorder, depth=self.in_flight
        )
        self._summarised = seen  # as it was before: what was counted meanwhile may be in it only in part
        self.updated.set()

    async def start(self) -> None:
        """Begin to build snapshots in the background."""
        self._task = asyncio.create_task(self._run(), name="neuronode-statistics")

    async def stop(self) -> None:
        """Stop building snapshots."""
        await cancel(self._task)
        self._task = None

    async def _run(self) -> None:
        while True:
            with self._failures.survived(SUMMING_UP):
                await self.refresh()
            await asyncio.sleep(INTERVAL_SECONDS)


def known_to(recorder: Recorder) -> set[str]:
    """Return the ids of every deployment that was counted or is in use."""
    return set(recorder.depths).union(*recorder.window.slots.values())


def tallies_of(slots: Mapping[int, Slot]) -> TallyAt:
    """Return `slots` as `summarise` asks for them."""

    def tally_at(number: int, deployment_id: str) -> Tally | None:
        return slots.get(number, {}).get(deployment_id)

    return tally_at


async def build_snapshot(
    deployment_ids: set[str], tally_at: TallyAt, recorder: Recorder, *, depth: Callable[[str], int]
) -> Mapping[str, DeploymentStats]:
    """Summarise deployments, with pauses in which other tasks run. Never raises."""
    newest = recorder.window.newest
    built: dict[str, DeploymentStats] = {}
    for number, deployment_id in enumerate(sorted(deployment_ids), start=1):
        built[deployment_id] = summarise(
            deployment_id, tally_at, newest=newest, in_flight=depth(deployment_id)
        )
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    return MappingProxyType(built)
