"""Counts attempts as they happen: synchronous, without locks, a few dictionary writes each. Call it on the event loop.

It must not know who reads the counts, and does no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from neuronode_router.stats import tally as fields
from neuronode_router.stats.evidence import Attempt, Evidence, evidence_of
from neuronode_router.stats.window import MAX_DEPLOYMENTS, Window

LONGEST_ATTEMPT_SECONDS = 900.0
"""After this long an attempt whose end nobody told us counts as over."""

MAX_ATTEMPTS = 100_000


class Recorder:
    """The attempts of this process. `clock` is Unix time in seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.window = Window(clock=clock)
        self._clock = clock
        self._running: dict[str, tuple[str, float]] = {}
        self._depths: Counter[str] = Counter()
        self.changes = 0
        """Rises with everything that is counted: who reads need not look where nothing happened."""

    @property
    def depths(self) -> Mapping[str, int]:
        """Attempts that run now, by deployment id; deployments without any are absent. A live view."""
        return self._depths

    def begin(self, attempt_id: str, deployment_id: str) -> None:
        """Note that an attempt starts. One that begins again under its id (a retry) has left its first deployment."""
        self.end(attempt_id)
        if len(self._running) < MAX_ATTEMPTS and (
            deployment_id in self._depths or len(self._depths) < MAX_DEPLOYMENTS
        ):
            self.changes += 1
            self._running[attempt_id] = (deployment_id, self._clock())
            self._depths[deployment_id] += 1

    def end(self, attempt_id: str) -> None:
        """Note that an attempt is over, however it ended. An unknown id is ignored: calling twice does no harm."""
        found = self._running.pop(attempt_id, None)
        if found is None:
            return
        self.changes += 1
        deployment_id, _ = found
        self._depths[deployment_id] -= 1
        if not self._depths[deployment_id]:
            del self._depths[deployment_id]

    def record(self, deployment_id: str, attempt: Attempt) -> Evidence:
        """Count what an attempt says about its deployment, and return it. Never raises."""
        evidence = evidence_of(attempt)
        if evidence is Evidence.NONE:
            return evidence
        self.changes += 1
        tally = self.window.tally(deployment_id)
        if tally is None:
            return Evidence.NONE
        if evidence is Evidence.ERROR:
            fields.count_error(tally)
        else:
            fields.count_answer(
                tally,
                attempt.total_ms,
                first_token_ms=attempt.first_token_ms,
                tokens=attempt.tokens,
                thought=attempt.thought,
            )
        return evidence

    def forget_lost(self) -> None:
        """End the attempts that began too long ago: their end was lost."""
        earliest = self._clock() - LONGEST_ATTEMPT_SECONDS
        while self._running:
            attempt_id, (_, began) = next(iter(self._running.items()))
            if began > earliest:
                return
            self.end(attempt_id)
