"""The proof matrix over SQLite and PostgreSQL: the newest finding wins, and one worker leads a refresh."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from neuronode_router.proof.matrix import Matrix, ProbeEvidence, ProbeTarget
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.proof.store import ProofStore
from tests.contract.conftest import MakeStore
from tests.support.clock import Clock

NOW = 1_800_000_000.0
DAY = 86_400.0
TARGET = ProbeTarget("chat_premium", Shape.TEXT)


@pytest.fixture
def make_proofs(make_store: MakeStore, shared_clock: Clock) -> Callable[..., ProofStore]:
    """The tables as a host knows them whose clock is so many seconds ahead."""
    return lambda ahead=0.0: ProofStore(make_store().database, clock=lambda: shared_clock() + ahead)


@pytest.fixture
def proofs(make_proofs: Callable[..., ProofStore]) -> ProofStore:
    """The proof room's tables in an empty database."""
    return make_proofs()


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


def test_writers_at_once_keep_one_row(make_proofs: Callable[..., ProofStore]) -> None:
    """Workers that find the same target at the same time do not fail on each other."""
    workers = [make_proofs() for _ in range(4)]
    found = [ProbeEvidence(TARGET, ProbeReason.ANSWERED, NOW + number) for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ProofStore.keep, workers, found))

    assert workers[0].known() == {TARGET: found[-1]}


def test_one_of_all_workers_takes_the_turn_once_per_interval(
    make_proofs: Callable[..., ProofStore], shared_clock: Clock
) -> None:
    """However many try at once; the next turn comes when the interval is over."""
    workers = [make_proofs() for _ in range(4)]

    def turns(now: float) -> int:
        shared_clock.now = now
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda worker: worker.take_turn(every=60), workers))

    assert [turns(NOW), turns(NOW + 59), turns(NOW + 60)] == [1, 0, 1]


@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 100 * DAY])
def test_a_host_whose_clock_is_wrong_proves_no_more_and_no_less(
    make_proofs: Callable[..., ProofStore], shared_clock: Clock, ahead: float
) -> None:
    """Its green is as old as it is for everybody, gives way to a later red, and takes nobody else's away."""
    wrong, right, matrix = make_proofs(ahead), make_proofs(), Matrix(max_age=24 * 3600)
    other = ProbeEvidence(ProbeTarget("other", Shape.TEXT), ProbeReason.ANSWERED, NOW)
    right.keep(other)
    wrong.keep(ProbeEvidence(TARGET, ProbeReason.ANSWERED, NOW + ahead))
    assert {one: found.checked_at for one, found in right.known().items()} == dict.fromkeys(
        (other.target, TARGET), NOW
    )

    shared_clock.now += 60
    right.keep(ProbeEvidence(TARGET, ProbeReason.AUTHENTICATION, shared_clock()))

    found = wrong.known()[TARGET]
    assert (found.why, found.checked_at) == (ProbeReason.AUTHENTICATION, shared_clock() + ahead)
    assert matrix.fresh(found, now=shared_clock() + ahead)
    assert right.known().keys() == {TARGET, other.target}


@pytest.mark.parametrize("ahead", [3600.0, 400 * DAY])
def test_a_host_whose_clock_is_ahead_takes_no_turn_of_others(
    make_proofs: Callable[..., ProofStore], shared_clock: Clock, ahead: float
) -> None:
    """The next one comes when the interval is over."""
    assert make_proofs(ahead).take_turn(every=60)
    assert not make_proofs().take_turn(every=60)

    shared_clock.now += 60

    assert make_proofs().take_turn(every=60)


def test_what_a_clock_left_that_was_set_back_holds_nobody_up(proofs: ProofStore, shared_clock: Clock) -> None:
    """Evidence of a time to come proves nothing and gives way; its turn is over."""
    proofs.keep(ProbeEvidence(TARGET, ProbeReason.ANSWERED, NOW))
    assert proofs.take_turn(every=60)

    shared_clock.now -= DAY
    red = ProbeEvidence(TARGET, ProbeReason.TIMEOUT, shared_clock())

    assert not Matrix(max_age=24 * 3600).fresh(proofs.known()[TARGET], now=shared_clock())
    assert proofs.take_turn(every=60)
    proofs.keep(red)
    assert proofs.known() == {TARGET: red}
