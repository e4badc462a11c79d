"""The proof matrix in one worker: its store, its gate, its probes, and the refresh.

It decides nothing itself, and nothing here is on the request path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext

from neuronode_router.background import PeriodicTask
from neuronode_router.domain.profiles import Profile
from neuronode_router.proof.alone import alone
from neuronode_router.proof.gate import ProofGate
from neuronode_router.proof.matrix import Cell, Matrix, ProbeEvidence, ProbeTarget
from neuronode_router.proof.runner import Asker, Run, RunLimits, Runner
from neuronode_router.proof.store import ProofStore
from neuronode_router.settings import Settings
from neuronode_router.storage.database import Database
from neuronode_router.threads import in_thread

LOOK_SECONDS = 15.0
"""How often a worker looks whether a refresh is due."""

REFRESH_LIMITS = RunLimits()


class ProofService:
    """The parts, wired. `profiles` are those this worker serves, for the refresh; `clock` is Unix time in seconds."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        asker: Asker,
        profiles: Callable[[], Iterable[Profile]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        tools = (task.strip() for task in (settings.proof_tools or "").split(","))
        self.matrix = Matrix(settings.proof_max_age * 3600, frozenset(filter(None, tools)))
        self._refresh_seconds = 60 * (settings.proof_refresh or 0)
        self._store = ProofStore(database, clock=clock)
        self._profiles = profiles
        self._database = database
        self._clock = clock
        self.gate = ProofGate(settings.proof_gate, store=self._store, matrix=self.matrix, clock=clock)
        self._runner = Runner(asker=asker, store=self._store, matrix=self.matrix, clock=clock)

    async def cells(self, profiles: Iterable[Profile]) -> tuple[Cell, ...]:
        """Return the cells of `profiles` as they stand now. Raises `StoreUnavailable`."""
        known = await in_thread(self._store.known)
        return self.matrix.cells(profiles, known, now=self._clock())

    async def run(
        self, targets: Iterable[ProbeTarget], limits: RunLimits, on_evidence: Callable[[ProbeEvidence], None]
    ) -> Run:
        """Probe; `on_evidence` hears what was found as it comes. Raises `StoreUnavailable`.

        Raises `ProbesRunning` while another run is under way. To ask a single group is none: that may be done at any
        time.
        """
        wanted = set(targets)
        several = len({target.group for target in wanted}) > 1
        async with alone(self._database, clock=self._clock) if several else nullcontext():
            return await self._runner.run(wanted, limits, on_evidence)

    def periodic_task(self) -> PeriodicTask:
        """Return the refresh as it is done again and again."""
        lasts = REFRESH_LIMITS.max_seconds
        return PeriodicTask(LOOK_SECONDS, "refreshing the proof matrix", self.refresh, lasts=lasts)

    async def refresh(self) -> None:
        """Probe every cell where that is wanted and this worker's turn; wakes nothing. Raises `StoreUnavailable`."""
        every = self._refresh_seconds
        if not every or not await in_thread(self._store.take_turn, every=every):
            return
        cells = await self.cells(self._profiles())
        await self._runner.run([cell.target for cell in cells], REFRESH_LIMITS)
