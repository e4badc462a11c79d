"""What the routes of the proof matrix use. It must not know how a probe is sent or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from neuronode_router.domain import Profile
from neuronode_router.proof.gate import ProofGate
from neuronode_router.proof.matrix import Cell, Matrix, ProbeEvidence, ProbeTarget
from neuronode_router.proof.runner import Run, RunLimits


class ProofView(Protocol):
    """The proof room of this worker."""

    @property
    def gate(self) -> ProofGate:
        """What stands before a switch."""
        ...

    @property
    def matrix(self) -> Matrix:
        """How cells are read."""
        ...

    async def cells(self, profiles: Iterable[Profile]) -> tuple[Cell, ...]:
        """Return the cells of `profiles` as they stand now. Raises `StoreUnavailable`."""
        ...

    async def run(
        self, targets: Iterable[ProbeTarget], limits: RunLimits, told: Callable[[ProbeEvidence], None]
    ) -> Run:
        """Probe; `told` hears what was found as it comes. Raises `StoreUnavailable`."""
        ...
