"""Outcomes that a worker heard: counted once, later where the store fails, never twice where nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from neuronode_router.control.rollout_outcomes import OutcomesOf, RolloutOutcomes, RolloutOutcomeStore
from neuronode_router.domain.rollouts import Arm
from neuronode_router.errors import CommitUnknown, StoreUnavailable
from neuronode_router.rollouts.facts import AnswerOutcome
from neuronode_router.storage.database import Database
from neuronode_router.usage.finished import UsageKey

OUTCOME = next(iter(AnswerOutcome))


class Counting(RolloutOutcomeStore):
    """Remembers what was added; fails afterwards while `failure` says so."""

    def __init__(self) -> None:
        super().__init__(Database("sqlite:///never-opened.db"))
        self.added = 0
        self.failure: StoreUnavailable | None = None

    def add(self, counts: Mapping[OutcomesOf, int]) -> None:
        if isinstance(self.failure, CommitUnknown) or self.failure is None:
            self.added += sum(counts.values())
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize("failure", [CommitUnknown("Who knows?"), StoreUnavailable("It is gone.")])
async def test_an_outcome_counts_once_whatever_fails(failure: StoreUnavailable) -> None:
    """What may be committed is not added again; what is not is."""
    store = Counting()
    outcomes = RolloutOutcomes(
        store,
        keys_of=lambda calls: dict.fromkeys(calls, UsageKey(revision=1, task="chat", arm=Arm.CANARY)),
        runs=lambda: True,
    )
    outcomes.heard("call", OUTCOME)

    store.failure = failure
    with pytest.raises(StoreUnavailable):
        await outcomes.share()
    store.failure = None
    for _ in range(2):
        await outcomes.share()

    assert store.added == 1
