"""Pauses between attempts, and how long a server that failed is left alone."""

from __future__ import annotations

from neuronode_router.backoff import Backoff
from neuronode_router.redis.breaker import CircuitBreaker


def test_pauses_double_up_to_a_limit_and_start_over() -> None:
    """A success forgives all failures before it."""
    backoff = Backoff(first=1, longest=5, jitter=0)

    assert [backoff.next() for _ in range(4)] == [1, 2, 4, 5]
    backoff.reset()
    assert backoff.next() == 1


def test_chance_only_shortens_a_pause() -> None:
    """With half of it left to chance, a pause is between half and the whole."""
    pauses = [Backoff(first=1, longest=5, jitter=0.5).next() for _ in range(100)]

    assert all(0.5 <= pause <= 1 for pause in pauses)
    assert len(set(pauses)) > 1


def test_a_breaker_is_open_for_a_while_after_a_failure() -> None:
    """It closes by itself, or at once when the server answered."""
    now = 100.0
    breaker = CircuitBreaker(2.0, clock=lambda: now)
    at_first = breaker.is_open

    breaker.record_failure()
    failed = breaker.is_open
    now += 2.0
    later = breaker.is_open
    breaker.record_failure()
    breaker.record_success()

    assert (at_first, failed, later, breaker.is_open) == (False, True, False, False)
