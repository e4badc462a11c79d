"""The books over SQLite and PostgreSQL: added once, added up by several workers, condensed without loss."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from neuronode_router.control.store import ControlStore
from neuronode_router.errors import StoreUnavailable
from neuronode_router.usage.buffer import Batch, UsageBuffer
from neuronode_router.usage.finished import FinishedRequest, UsageKey
from neuronode_router.usage.periods import DAY, HOUR, HOURS_KEPT, MINUTE, MINUTES_KEPT, TimeSpan
from neuronode_router.usage.service import UsageService
from neuronode_router.usage.store import MAX_AT_ONCE, Portion, Rows, UsageStore, row_digest
from neuronode_router.usage.sums import Sums
from neuronode_router.usage.writer import REQUESTS_KEPT, UsageWriter
from tests.contract.conftest import MakeStore
from tests.contract.test_store import tamper
from tests.support.clock import Clock
from tests.support.servers import wait_until
from tests.support.usage import NOW, finished, profile, requests

ALWAYS = TimeSpan(0, 2**40)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def books(store: ControlStore) -> UsageStore:
    """The books in an empty database."""
    return UsageStore(store.database)


def batch_of(sequence: int, found: Iterable[FinishedRequest]) -> Batch:
    buffer = UsageBuffer()
    for one in found:
        buffer.count(one)
    taken = buffer.take()
    assert taken is not None
    return Batch(sequence, taken.rows, taken.requests)


def total(rows: Rows) -> Sums:
    found = Sums()
    for sums in rows.values():
        found.merge(sums)
    return found


def summed(found: Iterable[FinishedRequest]) -> Sums:
    sums = Sums()
    for one in found:
        sums.add(one)
    return sums


def condense(books: UsageStore, period: int, into: int, *, before: float) -> None:
    while portions := books.portions(period, into, before=before):
        for portion in portions:
            assert books.condense(portion)


def test_what_caches_answered_is_summed_by_where_it_went(books: UsageStore) -> None:
    """Of the time that is asked for, whoever asked and whichever deployment answered."""
    early = finished(at=NOW - HOUR, prompt_tokens=7, cached_tokens=7)
    same = [finished(team=team, prompt_tokens=10, cached_tokens=4) for team in ("a", "b")]
    other = finished(task="summary", tier="fast", prompt_tokens=5)
    assert books.add("w", batch_of(1, [early, *same, other]), at=NOW)

    found = {(key.task, key.tier): sums for (_, key), sums in books.cached(NOW - MINUTE).items()}

    assert {name: (sums.prompt_tokens, sums.cached_tokens) for name, sums in found.items()} == {
        ("chat", ""): (20, 8),
        ("summary", "fast"): (5, 0),
    }


def test_what_is_added_is_read_again(books: UsageStore) -> None:
    """Every name and number of a row survives the store, histograms included."""
    one = finished(tier="fast", first_token_ms=12.0, cached_tokens=5, images=True)
    batch = batch_of(1, [one, one, finished(team="b")])

    assert books.add("w", batch, at=NOW)

    assert books.collect(ALWAYS) == batch.rows
    assert total(books.collect(ALWAYS, team="b")).requests == 1


def test_rows_of_an_older_release_survive(make_store: MakeStore, state_url: str) -> None:
    """A database whose columns still have their former names is migrated on first use, with all that it keeps."""
    batch = batch_of(1, [finished(), finished(served_group="rescue", team="b")])
    UsageStore(make_store().database).add("w", batch, at=NOW)
    for statement in (
        "ALTER TABLE neuronode_usage RENAME COLUMN chosen_group TO requested",
        "ALTER TABLE neuronode_usage RENAME COLUMN served_group TO served",
        "DROP TABLE neuronode_reader",
        "DROP TABLE neuronode_outcome_reset",
        "DROP TABLE neuronode_rollout_outcome",
        "ALTER TABLE neuronode_usage DROP COLUMN location",
        "DROP TABLE neuronode_outcome",
        "ALTER TABLE neuronode_state DROP COLUMN moved",
        "DROP TABLE neuronode_judged_day",
        "DROP TABLE neuronode_diverted",
        "ALTER TABLE neuronode_state DROP COLUMN canary",
        "ALTER TABLE neuronode_audit DROP COLUMN canary",
        "ALTER TABLE neuronode_usage DROP COLUMN arm",
        "ALTER TABLE neuronode_usage DROP COLUMN cost",
        "DROP TABLE neuronode_rollout",
        "DROP TABLE neuronode_rollout_event",
        "DROP TABLE neuronode_lease",
        "ALTER TABLE neuronode_state DROP COLUMN steering",
        "ALTER TABLE neuronode_audit DROP COLUMN steering",
        "DROP TABLE neuronode_policy",
        "DROP TABLE neuronode_policy_memory",
        "DROP TABLE neuronode_audit_archive",
        *(f"DROP TABLE neuronode_shadow{part}" for part in ("", "_batch", "_sums", "_sample")),
        "UPDATE neuronode_version SET version_num = '0004'",
    ):
        tamper(state_url, statement)

    migrated = UsageStore(make_store().database)

    assert migrated.collect(ALWAYS) == batch.rows
    assert migrated.add("w", batch_of(2, [finished()]), at=NOW)


def test_rows_of_an_older_release_are_added_to() -> None:
    """A row without what came later is the one that earlier releases wrote; each later name tells rows apart."""
    known = UsageKey(profile="premium", revision=3, task="chat", reason="active_profile")
    former = [str(value) for name, value in known._asdict().items() if name not in ("arm", "location")]

    assert row_digest(known) == hashlib.blake2b("\x1f".join(former).encode(), digest_size=16).hexdigest()
    later = [known, known._replace(arm="x"), known._replace(location="x")]
    assert len({row_digest(key) for key in later}) == 3


def test_a_batch_counts_once(books: UsageStore) -> None:
    """A batch that is added again, because its outcome was not known, changes nothing; the next one does."""
    books.add("w", batch_of(1, [finished()]), at=NOW)

    assert not books.add("w", batch_of(1, [finished()]), at=NOW)
    assert books.add("w", batch_of(2, [finished()]), at=NOW)
    assert total(books.collect(ALWAYS)).requests == 2


@pytest.mark.parametrize("broken", [{"prompt_tokens": 10**19}, {"chosen_group": "half a pair: \ud800"}])
async def test_a_batch_that_no_row_can_hold_keeps_nothing_back(
    books: UsageStore, broken: dict[str, Any]
) -> None:
    """It is given up and counted as lost; what comes after it is kept, and the store being away loses nothing."""
    buffer = UsageBuffer()
    writer = UsageWriter(buffer=buffer, store=books, worker="w", clock=lambda: NOW, days=90)
    for one in (finished(**broken), finished()):
        buffer.count(one)
        await writer.flush()

    assert total(books.collect(ALWAYS)).requests == 1
    assert buffer.uncounted == 1


def test_workers_add_up(make_store: MakeStore) -> None:
    """Eight workers that add to the same minute at once lose nothing."""
    stores = [UsageStore(make_store().database) for _ in range(8)]
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(20)
        for sequence in range(1, 6):
            stores[number].add(f"w{number}", batch_of(sequence, [finished(), finished(team="b")]), at=NOW)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    rows = stores[0].collect(ALWAYS)
    assert [sums.requests for sums in rows.values()] == [40, 40]
    assert total(rows) == summed([finished(), finished(team="b")] * 40)


class LosesAnswers:
    """A database whose commits arrive and whose answers do not, as often as told."""

    def __init__(self, store: ControlStore) -> None:
        self.reading = store.database.reading
        self._writing = store.database.writing
        self.losses = 0

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        with self._writing(durable=durable) as connection:
            yield connection
        if self.losses:
            self.losses -= 1
            raise StoreUnavailable("The answer to the commit was lost.")


async def test_an_unknown_outcome_never_counts_twice(store: ControlStore) -> None:
    """A flush whose commit arrived unseen is repeated, and what was counted meanwhile comes with it."""
    database = LosesAnswers(store)
    buffer, books = UsageBuffer(), UsageStore(database)
    writer = UsageWriter(buffer=buffer, store=books, worker="w", clock=lambda: NOW, days=1)

    for losses in (1, 1, 0):
        buffer.count(finished())
        database.losses = losses
        if losses:
            with pytest.raises(StoreUnavailable):
                await writer.flush()
        else:
            await writer.flush()

    assert total(books.collect(ALWAYS)).requests == 3


@settings(
    max_examples=settings().max_examples * 3 // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(requests, min_size=1, max_size=40))
def test_condensing_changes_no_sum(make_store: MakeStore, found: list[FinishedRequest]) -> None:
    """Minutes become hours and hours days; whatever comes late is added too, and no sum by key changes."""
    books = UsageStore(make_store().database)
    before = total(books.collect(ALWAYS))
    worker = f"w{before.requests}"
    books.add(worker, batch_of(1, found), at=NOW)
    condense(books, MINUTE, HOUR, before=NOW - 2 * HOUR)
    books.add(worker, batch_of(2, found), at=NOW)

    condense(books, MINUTE, HOUR, before=NOW + HOUR)
    condense(books, HOUR, DAY, before=NOW - HOUR)

    expected = summed([*found, *found])
    expected.merge(before)
    rows = books.collect(ALWAYS)
    assert total(rows) == expected
    assert {start % HOUR for start, _ in rows} <= {0}


async def test_what_a_team_spent_this_month_is_kept_however_few_days_are(
    books: UsageStore, shared_clock: Clock
) -> None:
    """Else a budget of a month would never be reached: on its last day, all of it is there."""
    writer = UsageWriter(buffer=UsageBuffer(), store=books, worker="w", clock=shared_clock, days=1)
    shared_clock.now = first = 1_793_491_200.0
    for day in range(31):
        at = first + day * DAY
        books.add("w", batch_of(day + 1, [finished(at=at, call_id=f"c{day}", cost=10.0)]), at=at)
        shared_clock.now = at + DAY - MINUTE
        await writer.tidy()

    assert books.cost(first) == pytest.approx(310.0)


@pytest.mark.parametrize("ahead", [0.0, 100.0 * DAY, -100.0 * DAY])
async def test_tidying_keeps_what_is_young_and_forgets_what_is_old(
    books: UsageStore, shared_clock: Clock, ahead: float
) -> None:
    """Six hours of minutes, eight days of hours, the rest as days; nothing beyond the days that are kept. A host whose
    clock is wrong goes by the one that all share.
    """
    shared_clock.now = now = NOW + 7 * MINUTE
    ages = [MINUTE, MINUTES_KEPT + HOUR, HOURS_KEPT + DAY, 39 * DAY, 41 * DAY]
    for sequence, age in enumerate(ages, start=1):
        books.add("w", batch_of(sequence, [finished(at=now - age, call_id=f"c{age}")]), at=now)
    writer = UsageWriter(buffer=UsageBuffer(), store=books, worker="w", clock=lambda: now + ahead, days=40)

    await writer.tidy()
    await writer.tidy()

    starts = sorted(start for start, _ in books.collect(ALWAYS))
    assert len(starts) == 4
    assert [start % MINUTE for start in starts] == [0] * 4
    assert [start % HOUR for start in starts[:3]] == [0] * 3
    assert [start % DAY for start in starts[:2]] == [0] * 2
    assert starts[3] % HOUR != 0
    assert books.find(f"c{MINUTE}") is not None
    assert books.find(f"c{MINUTES_KEPT + HOUR}") is None, f"single requests are kept {REQUESTS_KEPT} s"


def test_adding_up_takes_a_few_rows_at_a_time(books: UsageStore) -> None:
    """However many keys an hour has: no transaction is long, nor has it more parameters than a database takes."""
    rows = {
        (NOW + minute * MINUTE, UsageKey(team=f"{minute}-{number}" if number else "same")): Sums(requests=1)
        for minute in range(60)
        for number in range(25)
    }
    books.add("w", Batch(1, rows, ()), at=NOW)

    portions = books.portions(MINUTE, HOUR, before=NOW + HOUR)
    sizes = [books.condense(portion) for portion in portions]

    assert max(sizes) <= MAX_AT_ONCE
    assert sum(sizes) == len(rows) == 1500
    assert max(len(portion.keys) for portion in portions) <= MAX_AT_ONCE
    assert books.portions(MINUTE, HOUR, before=NOW + HOUR) == []
    kept = books.collect(ALWAYS)
    assert len(kept) == 60 * 24 + 1
    assert kept[NOW, UsageKey(team="same")].requests == 60


def test_whoever_comes_second_adds_nothing_up_again(books: UsageStore) -> None:
    """Two processes may have the same plan."""
    books.add("w", batch_of(1, [finished()]), at=NOW)
    (portion,) = books.portions(MINUTE, HOUR, before=NOW + HOUR)

    assert (books.condense(portion), books.condense(portion)) == (1, 0)
    assert total(books.collect(ALWAYS)).requests == 1


def test_forgetting_takes_a_few_rows_at_a_time(books: UsageStore, store: ControlStore) -> None:
    """What is old goes in several transactions, and each says whether there may be more."""
    rows = {(NOW, UsageKey(team=f"{number}")): Sums(requests=1) for number in range(MAX_AT_ONCE + 1)}
    asked = [finished(at=float(NOW)) for _ in range(2 * MAX_AT_ONCE + 1)]
    books.add("w", Batch(1, rows, asked), at=NOW)
    books.add("v", batch_of(1, [finished(at=NOW + HOUR)]), at=NOW + HOUR)

    ages = {"usage_before": NOW + 1, "requests_before": NOW + 1}
    more = [books.forget(**ages) for _ in range(3)]

    assert more == [True, True, False]
    assert len(books.collect(ALWAYS)) == 1
    assert len(books.newest(2 * MAX_AT_ONCE)) == 1


async def test_single_requests_are_forgotten_whatever_becomes_of_the_sums(
    books: UsageStore, shared_clock: Clock
) -> None:
    """They name callers: an hour that cannot be added up must not keep them."""

    class Stuck(UsageStore):
        def portions(self, period: int, into: int, *, before: float) -> list[Portion]:
            raise StoreUnavailable("It cannot be added up.")

    books.add("w", batch_of(1, [finished(call_id="old")]), at=NOW)
    stuck = Stuck(books._database)
    shared_clock.now = NOW + REQUESTS_KEPT + 1
    writer = UsageWriter(buffer=UsageBuffer(), store=stuck, worker="w", clock=shared_clock, days=90)

    with pytest.raises(StoreUnavailable):
        await writer.tidy()

    assert books.find("old") is None


async def test_a_series_has_no_step_that_is_not_told_apart(books: UsageStore, shared_clock: Clock) -> None:
    """An hour that was added up is no minute of sixty times as many requests: the answer says which step it has."""
    shared_clock.now = now = NOW + 10 * HOUR
    books.add("w", batch_of(1, [finished(at=at) for at in range(int(NOW), int(now), 10 * MINUTE)]), at=now)
    writer = UsageWriter(buffer=UsageBuffer(), store=books, worker="w", clock=lambda: now, days=90)
    service = UsageService(
        writer=writer, store=books, clock=lambda: now, listed=lambda _: None, notes=dict, profiles=list
    )
    await writer.tidy()

    early = await service.report(NOW, now, by=("profile",), step=MINUTE)
    late = await service.report(now - HOUR, now, by=("profile",), step=MINUTE)

    assert early.step == HOUR
    assert {line.figures.sums.requests for line in early.lines} == {6}
    assert (late.step, len(late.lines)) == (MINUTE, 6)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (NOW - DAY, NOW, 1),
        (NOW - 7 * DAY, NOW, 7),
        (NOW - DAY, NOW + 30 * DAY, 1),
        (NOW - 365 * DAY, NOW, 39),
    ],
)
async def test_costs_of_a_day_divide_by_the_time_that_was_recorded(
    since: float, until: float, days: int, books: UsageStore
) -> None:
    """A job of each night is a day's, half an hour after it too; no day to come is one, nor one before the record."""
    job = [finished(at=NOW - HOUR / 2 - night * DAY, cost=10.0) for night in range(40)]
    books.add("w", batch_of(1, job), at=NOW)
    writer = UsageWriter(buffer=UsageBuffer(), store=books, worker="w", clock=lambda: NOW, days=90)
    service = UsageService(
        writer=writer, store=books, clock=lambda: NOW, listed=lambda _: None, notes=dict, profiles=list
    )

    found = await service.forecast(profile("premium"), since, until)

    assert found.days == pytest.approx(days, abs=1)
    assert found.days >= days
    assert found.cost_before.usd / found.days == pytest.approx(10, rel=0.1)


def test_the_oldest_sums_are_found_whatever_they_were_added_up_to(books: UsageStore) -> None:
    """Days are older than minutes; an empty book has none."""
    nothing = books.oldest()
    books.add("w", batch_of(1, [finished(at=NOW - 20 * DAY), finished()]), at=NOW)
    books.add("w", batch_of(2, [finished(at=NOW - 10 * DAY)]), at=NOW)

    assert (nothing, books.oldest()) == (None, int(NOW - 20 * DAY))


def test_a_single_request_is_found_by_its_call_id(books: UsageStore) -> None:
    """Any worker finds what another one flushed, with its reasons; of one call id the newest counts."""
    asked = finished(call_id="mine", steps=("classified", "overloaded"), confidence=0.75)
    books.add("w", batch_of(1, [finished(call_id="mine", at=NOW - 5), finished()]), at=NOW)
    books.add("v", batch_of(1, [asked]), at=NOW)

    assert books.find("mine") == asked
    assert books.find("nobody's") is None


def test_kill_in_the_middle_loses_no_batch_and_doubles_none(store: ControlStore, state_url: str) -> None:
    """A worker killed with SIGKILL while it flushes: what it was told is kept is there, at most one batch more."""
    books = UsageStore(store.database)
    books.add("w", batch_of(1, [finished()]), at=NOW)
    for round_ in range(3):
        before = total(books.collect(ALWAYS)).requests
        command = [sys.executable, "-m", "tests.contract.usage_process", state_url, f"killed-{round_}"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            acknowledged = 0
            while acknowledged < 20 + round_ * 7:
                acknowledged = int(worker.stdout.readline())
            worker.send_signal(signal.SIGKILL)
            rest = worker.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged

        def settled(before: int = before, acknowledged: int = acknowledged) -> bool:
            added = total(books.collect(ALWAYS)).requests - before
            return added in (acknowledged, acknowledged + 1)

        wait_until(settled, seconds=10, what="the killed worker's last transaction to end")
        assert books.add(f"next-{round_}", batch_of(1, [finished()]), at=NOW), "its lock is free"


async def test_a_store_that_is_away_delays_and_loses_nothing(books: UsageStore, store: ControlStore) -> None:
    """While the store refuses, requests are counted on; when it is back everything arrives."""

    class Away:
        reading = store.database.reading
        gone = True

        @contextmanager
        def writing(self, *, durable: bool = True) -> Iterator[Connection]:
            if self.gone:
                raise StoreUnavailable("gone")
            with store.database.writing(durable=durable) as connection:
                yield connection

    away, buffer = Away(), UsageBuffer()
    writer = UsageWriter(buffer=buffer, store=UsageStore(away), worker="w", clock=lambda: NOW, days=1)
    for minute in range(5):
        buffer.count(finished(at=NOW + minute * 60))
        with pytest.raises(StoreUnavailable):
            await writer.flush()
    away.gone = False

    await writer.flush()

    assert total(books.collect(ALWAYS)).requests == 5


async def test_flushes_at_the_same_time_take_turns(books: UsageStore) -> None:
    """A report that flushes while the loop flushes adds nothing twice."""
    buffer = UsageBuffer()
    writer = UsageWriter(buffer=buffer, store=books, worker="w", clock=lambda: NOW, days=1)
    for _ in range(3):
        buffer.count(finished())

    await asyncio.gather(*(writer.flush() for _ in range(5)))

    assert total(books.collect(ALWAYS)).requests == 3
