"""The gate before a switch: profiles whose cells are not proven are refused, or only named.

It must not know how a switch is made. It blocks while it reads the store: call it in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from neuronode_router.domain.audit import GateResult
from neuronode_router.domain.profiles import Profile
from neuronode_router.errors import Problem, UnprovenProfile
from neuronode_router.proof.matrix import Cell, Matrix, State
from neuronode_router.proof.store import ProofStore

GateMode = Literal["off", "warn", "enforce"]

REFUSED = frozenset({State.RED, State.TOO_OLD, State.UNKNOWN})
"""A group that is only not loaded is named and not refused: its first request loads it."""

FIXES = {
    State.RED: "Fix the group, then POST /admin/proof/validate?live=1.",
    State.NOT_LOADED: "POST /admin/proof/validate?live=1&wake=1 loads it and asks it.",
}
PROVE = "POST /admin/proof/validate?live=1, with `group` for one that no profile names yet, or switch with `force`."


class ProofGate:
    """Judges the profiles that a change would put in force. `clock` is Unix time in seconds."""

    def __init__(
        self, mode: GateMode, *, store: ProofStore, matrix: Matrix, clock: Callable[[], float] = time.time
    ) -> None:
        self.mode = mode
        self._store = store
        self._matrix = matrix
        self._clock = clock

    def admit(
        self, profiles: Sequence[Profile], replaced: Mapping[str, Sequence[Profile]], *, force: bool
    ) -> GateResult:
        """Return what the receipt and the audit log shall say. Raises `UnprovenProfile` and `StoreUnavailable`.

        `replaced` has, by name, what answers now where one of `profiles` shall: cells that lead where they led are not
        judged.
        """
        if self.mode == "off" or not profiles:
            return GateResult()
        now = self._clock()
        stays = {
            (name, cell.task, cell.target)
            for name, olds in replaced.items()
            for cell in self._matrix.cells(olds, {}, now=now)
        }
        cells = tuple(
            cell
            for cell in self._matrix.cells(profiles, self._store.known(), now=now)
            if (cell.profile, cell.task, cell.target) not in stays
        )
        refused = tuple(_problem(cell) for cell in cells if cell.state in REFUSED)
        if refused and self.mode == "enforce" and not force:
            raise UnprovenProfile(refused)
        idle = tuple(_problem(cell) for cell in cells if cell.state is State.NOT_LOADED)
        forced = f"forced past {len(refused)} unproven cells" if refused and self.mode == "enforce" else ""
        return GateResult(tuple(f"{problem.path}: {problem.message}" for problem in refused + idle), forced)


def _problem(cell: Cell) -> Problem:
    group = cell.target.group
    message = {
        State.RED: f"{group} failed its last probe ({cell.evidence.why if cell.evidence else ''}).",
        State.TOO_OLD: f"The last probe of {group} is too old.",
        State.UNKNOWN: f"{group} was never probed.",
        State.NOT_LOADED: f"{group} is not loaded, so nobody asked it.",
    }[cell.state]
    path = f"{cell.profile}.{cell.task}"
    return Problem(cell.state.value, message, FIXES.get(cell.state, PROVE), path=path)
