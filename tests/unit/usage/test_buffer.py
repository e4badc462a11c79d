"""The books in memory: bounded, and nothing counted is lost without being told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.usage.buffer import (
    MAX_ACCOUNTS,
    MAX_KEYS,
    MAX_MINUTES,
    MAX_REQUESTS,
    MAX_ROWS,
    UsageBuffer,
)
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome, UsageKey
from neuronode_router.usage.sums import Sums
from tests.support.usage import NOW, finished, requests


def drained(buffer: UsageBuffer) -> Sums:
    total = Sums()
    for sums in by_key(buffer).values():
        total.merge(sums)
    return total


def by_key(buffer: UsageBuffer) -> dict[UsageKey, Sums]:
    found: dict[UsageKey, Sums] = {}
    while (batch := buffer.take()) is not None:
        for (_, key), sums in batch.rows.items():
            found.setdefault(key, Sums()).merge(sums)
    return found


@given(st.lists(requests))
def test_what_is_taken_is_what_was_counted(found: list[FinishedRequest]) -> None:
    """All batches together hold every request once, under its minute and its key."""
    buffer, expected = UsageBuffer(), Sums()
    for one in found:
        buffer.count(one)
        expected.add(one)

    assert drained(buffer) == expected
    assert buffer.take() is None


def test_batches_are_numbered_and_rows_carry_their_minute() -> None:
    """A batch is known by its number; minutes are told apart."""
    buffer = UsageBuffer()
    buffer.count(finished(at=NOW + 59))
    buffer.count(finished(at=NOW + 60))
    first = buffer.take()
    buffer.count(finished())
    second = buffer.take()

    assert first is not None
    assert second is not None
    assert (first.sequence, second.sequence) == (1, 2)
    assert sorted(minute for minute, _ in first.rows) == [NOW, NOW + 60]


def test_more_names_than_fit_are_counted_together() -> None:
    """A caller who makes up names fills one row, and the sums stay exact."""
    buffer = UsageBuffer()
    for number in range(MAX_KEYS + 50):
        buffer.count(finished(deployment=f"made-up-{number}"))
    buffer.count(finished(deployment="another", outcome=RequestOutcome.TIMEOUT))

    batch = buffer.take()

    assert batch is not None
    assert len(batch.rows) == MAX_KEYS + 2, "one row of others for each outcome"
    assert sum(sums.requests for sums in batch.rows.values()) == MAX_KEYS + 51
    assert buffer.overflowed == 51
    others = {key.outcome: sums.requests for (_, key), sums in batch.rows.items() if key.profile == "other"}
    assert others == {RequestOutcome.ANSWERED: 50, RequestOutcome.TIMEOUT: 1}


def test_a_minute_that_is_taken_meanwhile_has_no_more_rows() -> None:
    """Each report flushes, and a short interval does: the bound is on what the store gets of a minute."""
    buffer, rows = UsageBuffer(), set()
    for number in range(MAX_KEYS + 50):
        buffer.count(finished(deployment=f"d-{number}"))
        buffer.count(finished(deployment=f"d-{number}", at=NOW + 60))
        batch = buffer.take()
        assert batch is not None
        rows |= set(batch.rows)

    for minute in (NOW, NOW + 60):
        assert len([key for at, key in rows if at == minute]) == MAX_KEYS + 1


def test_what_no_longer_fits_keeps_whom_it_is_charged_to_and_what_is_compared() -> None:
    """Budgets see what a team has spent, and of both arms of a rollout all is compared, whoever fills the rows."""
    buffer, expected = UsageBuffer(), dict[tuple[object, ...], int]()
    for number in range(MAX_KEYS):
        buffer.count(finished(deployment=f"d-{number}", team="busy"))
    for number in range(300):
        arm = {"arm": ("control", "canary")[number % 2], "revision": 7, "tier": "fast"} if number % 3 else {}
        one = finished(team=f"team-{number % 100}", location="eu", deployment=f"e-{number}", **arm)
        buffer.count(one)
        expected[told_of(one.key)] = expected.get(told_of(one.key), 0) + 1

    found = {key: sums.requests for key, sums in by_key(buffer).items() if key.team != "busy"}

    assert {told_of(key): count for key, count in found.items()} == expected
    assert {(key.deployment, key.chosen_group) for key in found} == {("", "other")}
    assert buffer.overflowed == 300


def told_of(key: UsageKey) -> tuple[object, ...]:
    compared = (key.arm, key.revision, key.task, key.tier) if key.arm else ()
    return key.team, key.outcome, key.location, *compared


def test_more_teams_than_fit_are_counted_together_and_arms_are_compared_even_then() -> None:
    """The rows of a minute are bounded however many teams there are; a team is given up before an arm."""
    buffer = UsageBuffer()
    for number in range(MAX_KEYS + MAX_ACCOUNTS + 70):
        buffer.count(finished(team=f"team-{number}", arm="canary", revision=7))

    found = by_key(buffer)

    assert len(found) == MAX_KEYS + MAX_ACCOUNTS + 1
    assert {(key.arm, key.revision, key.task) for key in found} == {("canary", 7, "chat")}
    assert {key.team: sums.requests for key, sums in found.items() if sums.requests > 1} == {"other": 70}


def test_a_store_that_stays_away_does_not_fill_the_memory() -> None:
    """Beyond two hours of minutes nothing is kept, and how much was not is told."""
    buffer = UsageBuffer()
    for minute in range(MAX_MINUTES + 3):
        buffer.count(finished(at=NOW + 60 * minute))

    assert buffer.uncounted == 3
    assert drained(buffer).requests == MAX_MINUTES


def test_a_batch_stays_short() -> None:
    """After a long absence of the store, and where a minute has many rows, they go in several batches, oldest first."""
    buffer = UsageBuffer()
    for minute in range(5):
        for number in range(800):
            buffer.count(finished(at=NOW + 60 * minute, team=f"t-{number}"))

    sizes, minutes = [], []
    while (batch := buffer.take()) is not None:
        sizes.append(len(batch.rows))
        minutes += [minute for minute, _ in batch.rows]

    assert max(sizes) <= MAX_ROWS
    assert minutes == sorted(minutes)
    assert sum(sizes) == 4000
    assert buffer.waiting == 0


def test_single_requests_are_found_until_they_are_taken() -> None:
    """The newest requests can be looked up by call id; of one id the newest counts."""
    buffer = UsageBuffer()
    for number in range(MAX_REQUESTS + 1):
        buffer.count(finished(call_id=f"call-{number}"))
    buffer.count(finished(call_id="call-7", team="b"))

    found = buffer.find("call-7")
    batch = buffer.take()

    assert found is not None
    assert found.key.team == "b"
    assert batch is not None
    assert len(batch.requests) == MAX_REQUESTS
    assert buffer.find("call-7") is None
