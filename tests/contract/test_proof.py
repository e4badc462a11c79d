"""The proof matrix over SQLite and PostgreSQL: the newest finding wins, and one worker leads a refresh."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from neuronode_router.control.store import ControlStore
from neuronode_router.proof.matrix import ProbeEvidence, ProbeTarget
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.proof.store import ProofStore
from tests.contract.conftest import MakeStore

NOW = 1_800_000_000.0
TARGET = ProbeTarget("chat_premium", Shape.TEXT)


@pytest.fixture
def proofs(store: ControlStore) -> ProofStore:
    """The proof room's tables in an empty database."""
    return ProofStore(store.database)


def test_what_is_kept_is_read_again(proofs: ProofStore) -> None:
    """By group and shape, with and without figures."""
    found = [
        ProbeEvidence(TARGET, ProbeReason.ANSWERED, NOW, latency_ms=12.5, cost_usd=0.0001),
        ProbeEvidence(ProbeTarget("chat_premium", Shape.JSON), ProbeReason.NO_JSON, NOW, latency_ms=3.0),
        ProbeEvidence(ProbeTarget("tier_fast", Shape.TEXT), ProbeReason.NOT_LOADED, NOW),
    ]

    for evidence in found:
        proofs.keep(evidence)

    assert proofs.known() == {evidence.target: evidence for evidence in found}


def test_the_newest_finding_wins_whoever_comes_last(proofs: ProofStore) -> None:
    """Two runs at once may end in any order."""
    newer = ProbeEvidence(TARGET, ProbeReason.TIMEOUT, NOW + 1)

    for evidence in (newer, ProbeEvidence(TARGET, ProbeReason.ANSWERED, NOW)):
        proofs.keep(evidence)

    assert proofs.known() == {TARGET: newer}


def test_writers_at_once_keep_one_row(make_store: MakeStore) -> None:
    """Workers that find the same target at the same time do not fail on each other."""
    workers = [ProofStore(make_store().database) for _ in range(4)]
    found = [ProbeEvidence(TARGET, ProbeReason.ANSWERED, NOW + number) for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ProofStore.keep, workers, found))

    assert workers[0].known() == {TARGET: found[-1]}


def test_one_of_all_workers_takes_the_turn_once_per_interval(make_store: MakeStore) -> None:
    """However many try at once; the next turn comes when the interval is over."""
    workers = [ProofStore(make_store().database) for _ in range(4)]

    def turns(now: float) -> int:
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda worker: worker.take_turn(now=now, every=60), workers))

    assert [turns(NOW), turns(NOW + 59), turns(NOW + 60)] == [1, 0, 1]
