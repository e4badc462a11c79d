"""What is remembered of sessions: their last way, bounded in number and time."""

from __future__ import annotations

from neuronode_router.domain.names import Tier
from neuronode_router.routing.fallback_chain import Held
from neuronode_router.routing.sessions import KEPT_SECONDS, MAX_SESSIONS, Sessions
from tests.support.clock import Clock

HELD = Held(Tier.FAST, "small")


def test_a_session_is_held_for_an_hour() -> None:
    """Afterwards it is as if it had never been."""
    clock = Clock()
    sessions = Sessions(clock=clock)
    sessions.hold(b"a", HELD)

    clock.now += KEPT_SECONDS - 1
    assert sessions.held(b"a") == HELD

    clock.now += 2
    assert sessions.held(b"a") is None


def test_the_deployment_that_answered_is_kept_while_the_group_stays() -> None:
    """Another group has other deployments: the old one is forgotten with it."""
    sessions = Sessions()
    sessions.hold(b"a", HELD)
    sessions.answered(b"a", "d1")

    sessions.hold(b"a", HELD)
    assert sessions.held(b"a") == Held(Tier.FAST, "small", "d1")

    sessions.hold(b"a", Held(Tier.FAST, "other"))
    assert sessions.held(b"a") == Held(Tier.FAST, "other")


def test_an_answer_to_a_forgotten_session_is_no_session() -> None:
    """Only requests begin sessions."""
    sessions = Sessions()

    sessions.answered(b"a", "d1")

    assert sessions.held(b"a") is None


def test_the_number_of_sessions_is_bounded() -> None:
    """A client that makes up session ids costs a bounded amount of memory."""
    sessions = Sessions()

    for number in range(MAX_SESSIONS + 100):
        sessions.hold(number.to_bytes(4, "big"), HELD)

    kept = sum(sessions.held(number.to_bytes(4, "big")) is not None for number in range(MAX_SESSIONS + 100))
    assert kept == MAX_SESSIONS
