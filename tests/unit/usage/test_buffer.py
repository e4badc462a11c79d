"""The books in memory: bounded, and nothing counted is lost without being told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.usage.buffer import MAX_KEYS, MAX_MINUTES, MAX_REQUESTS, MAX_ROWS, UsageBuffer
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome
from neuronode_router.usage.sums import Sums
from tests.support.usage import NOW, finished, requests


def drained(buffer: UsageBuffer) -> Sums:
    total = Sums()
    while (batch := buffer.take()) is not None:
        for sums in batch.rows.values():
            total.merge(sums)
    return total


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


def test_a_store_that_stays_away_does_not_fill_the_memory() -> None:
    """Beyond two hours of minutes nothing is kept, and how much was not is told."""
    buffer = UsageBuffer()
    for minute in range(MAX_MINUTES + 3):
        buffer.count(finished(at=NOW + 60 * minute))

    assert buffer.uncounted == 3
    assert drained(buffer).requests == MAX_MINUTES


def test_a_batch_stays_short() -> None:
    """After a long absence of the store the minutes go in several batches, oldest first."""
    buffer = UsageBuffer()
    for minute in range(20):
        for number in range(200):
            buffer.count(finished(at=NOW + 60 * minute, deployment=f"d-{number}"))

    sizes, minutes = [], []
    while (batch := buffer.take()) is not None:
        sizes.append(len(batch.rows))
        minutes += [minute for minute, _ in batch.rows]

    assert max(sizes) <= MAX_ROWS
    assert minutes == sorted(minutes)
    assert sum(sizes) == 4000


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
