"""Rollouts in one worker: facts out of usage, the lease, and the look that each worker takes while one runs.

It decides nothing itself. While no rollout runs it reads one attribute every two seconds, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.rollout_facts import RecordedFacts
from neuronode_router.control.rollout_outcomes import RolloutOutcomes, RolloutOutcomeStore
from neuronode_router.control.rollouts import LEASE, LEASE_SECONDS, Rollouts
from neuronode_router.control.store import ControlStore
from neuronode_router.control.worker import Worker
from neuronode_router.domain.rollouts import Canary
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NeuronodeError, Problem
from neuronode_router.litellm_plugin.current import CurrentSnapshot
from neuronode_router.policy.engine import PolicyVerdict
from neuronode_router.rollouts.guards import Metric
from neuronode_router.storage.lease import Lease
from neuronode_router.usage.store import UsageStore

WATCH_SECONDS = 2.0
"""How often a rollout is looked at while one runs, by the worker that leads, and its facts are shared by all."""


class RolloutWiring:
    """The parts, wired. `flush` carries what this worker counted to the store; `feedback` says whether it is taken."""

    def __init__(  # noqa: PLR0913  one argument per collaborator, all by keyword
        self,
        *,
        manager: ProfileManager,
        worker: Worker[Any],
        store: ControlStore,
        current: CurrentSnapshot,
        flush: Callable[[], Awaitable[None]],
        verdict_of: Callable[[ControlState], PolicyVerdict],
        feedback: bool = False,
    ) -> None:
        self._current = current
        self._worker = worker
        self._flush = flush
        usage, outcomes = UsageStore(store.database), RolloutOutcomeStore(store.database)
        self.outcomes = RolloutOutcomes(
            outcomes, keys_of=usage.keys_of, runs=lambda: self._canary is not None
        )
        self.rollouts = Rollouts(
            manager=manager,
            store=store.rollouts,
            facts=RecordedFacts(usage, outcomes),
            unrecorded=() if feedback else (Metric.NEGATIVE_FEEDBACK_RATE,),
            verdict_of=verdict_of,
            lease=Lease(store.database, LEASE, holder=worker.instance, ttl=LEASE_SECONDS),
        )

    async def watch(self) -> None:
        """Share what was counted, and look after the rollout if this worker leads. Raises `StoreUnavailable`."""
        if self._canary is not None:
            await self._flush()
            await self.outcomes.share()
            await self.rollouts.turn()

    async def stop(self) -> None:
        """Let another worker lead at once. Never raises for a dead store."""
        with contextlib.suppress(NeuronodeError):
            await self.rollouts.stop()

    def problems(self) -> tuple[Problem, ...]:
        """Return that a rollout stands still here because the store does not answer, or what it was refused here."""
        canary = self._canary
        if canary is None:
            return ()
        if not self._worker.store_failures:
            return self.rollouts.problems()
        return (
            Problem(
                code="rollout_stands_still",
                message=f"This host cannot reach the SQL store: {canary} of rollout {canary.rollout} stays as it is.",
                fix="Restore the store. Nothing of the rollout goes on or back here until then; requests are served.",
                path=canary.rollout,
            ),
        )

    @property
    def _canary(self) -> Canary | None:
        snapshot = self._current.snapshot
        return None if snapshot is None else snapshot.state.canary
