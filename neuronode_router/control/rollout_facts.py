"""What usage has recorded of the two arms of a rollout, since its step began, in all workers.

It must not know what the facts are compared for.
"""

from __future__ import annotations

from neuronode_router.control.rollout_outcomes import RolloutOutcomeStore
from neuronode_router.domain.names import AUTO
from neuronode_router.domain.profiles import ProfileEdit
from neuronode_router.domain.rollouts import Arm
from neuronode_router.rollouts.course import Rollout
from neuronode_router.rollouts.facts import ArmFacts, BothArms
from neuronode_router.usage.finished import GOOD_ENDS, UsageKey
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.sums import Sums


class RecordedFacts:
    """Reads the facts. Calling it blocks and may raise `StoreUnavailable`."""

    def __init__(self, store: UsageStore, outcomes: RolloutOutcomeStore) -> None:
        self._store = store
        self._outcomes = outcomes

    def __call__(self, rollout: Rollout) -> dict[str, BothArms]:
        """Return the facts of each task; what names `auto` itself is under `auto`."""
        found: dict[str, dict[str, ArmFacts]] = {
            task: {arm: ArmFacts(outcomes=counts) for arm, counts in arms.items()}
            for task, arms in self._outcomes.read(revision=rollout.since_revision).items()
        }
        for key, sums in self._store.arms(rollout.since, revision=rollout.since_revision).items():
            arms = found.setdefault(key.task or AUTO, {})
            arms[key.arm] = arms.get(key.arm, ArmFacts()).plus(_facts(key, sums, rollout.changes))
        nothing = ArmFacts()
        return {
            task: BothArms(arms.get(Arm.CONTROL, nothing), arms.get(Arm.CANARY, nothing))
            for task, arms in sorted(found.items())
        }


def _facts(key: UsageKey, sums: Sums, changes: ProfileEdit) -> ArmFacts:
    return ArmFacts(
        requests=sums.requests,
        errors=0 if key.outcome in GOOD_ENDS else sums.requests,
        fallbacks=sums.fallbacks,
        latency=sums.latency,
        first_token=sums.first_token,
        cost=sums.cost_micro,
        cost_usd=sums.cost or 0.0,
        decided=sums.requests if _is_decided_by(changes, key) else 0,
    )


def _is_decided_by(changes: ProfileEdit, key: UsageKey) -> bool:
    """Return whether requests of the canary went where a changed mapping sends them.

    Only `auto` has a tier, and what asks for `auto` may have a task too, by which nothing was chosen.
    """
    goal = changes.tasks.get(key.task)
    of_task = goal is not None and (goal == AUTO) is bool(key.tier)
    return of_task or any(tier == key.tier for tier in changes.tiers)
