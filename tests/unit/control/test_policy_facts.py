"""What rules are told: spending, latency and attempts, as they were recorded by several workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from neuronode_router.control.policy_facts import FRESH_SECONDS, PolicyFacts, attempts_of
from neuronode_router.control.store import ControlStore
from neuronode_router.control.workers import ServedRevision, WorkerIdentity
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import policy_of
from neuronode_router.policy.rules import RuleFact
from neuronode_router.usage.buffer import Batch
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.periods import HOURS_KEPT, MINUTE, MINUTES_KEPT
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.sums import Sums
from tests.support.clock import Clock
from tests.support.migrated import migrated
from tests.support.usage import finished

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    """An empty store."""
    opened = ControlStore(migrated(tmp_path / "control.db"), clock=Clock(NOON))
    yield opened
    opened.close()


class Books:
    """Requests as the flushes of two workers keep them."""

    def __init__(self, store: ControlStore) -> None:
        self.usage = UsageStore(store.database)
        self._sequence = 0

    def spend(self, at: float, **fields: Any) -> None:
        """Keep one request."""
        self._sequence += 1
        one = finished(at=at, **fields)
        sums = Sums()
        sums.add(one)
        batch = Batch(self._sequence, {(int(at) // 60 * 60, one.key): sums}, ())
        self.usage.add(f"w{self._sequence % 2}", batch, at=at)

    def add_up(self, now: float) -> None:
        """Make hours and days of what is as old as that."""
        for period, into, kept in ((MINUTE, int(HOUR), MINUTES_KEPT), (int(HOUR), int(DAY), HOURS_KEPT)):
            while portions := self.usage.portions(period, into, before=now - kept):
                for portion in portions:
                    self.usage.condense(portion)


def one_rule(**trigger: Any) -> Policy:
    policy, problems = policy_of({"rules": [{"name": "r", "then": {"max_tier": "fast"}, **trigger}]})
    assert policy is not None, problems
    return policy


def budget(**fields: Any) -> Policy:
    return one_rule(budget={"usd": 100, "enter": 0.8, "return": 0.6} | fields)


def fact(store: ControlStore, policy: Policy, now: float = NOON) -> RuleFact:
    return PolicyFacts(usage=UsageStore(store.database), workers=store.registry.workers)(policy, now)["r"]


def test_a_budget_is_the_spending_of_its_period(store: ControlStore) -> None:
    """Of the calendar month or day, by all or one team."""
    books = Books(store)
    books.spend(NOON - 40 * DAY, cost=7.0)
    books.spend(NOON - 2 * DAY, cost=20.0, team="a")
    books.spend(NOON - HOUR, cost=10.0, team="b")

    assert fact(store, budget()).value == pytest.approx(0.3)
    assert fact(store, budget(per="day")).value == pytest.approx(0.1)
    assert fact(store, budget(team="a")).value == pytest.approx(0.2)
    assert fact(store, budget(team="nobody")).value == 0


@pytest.mark.parametrize(
    ("per", "zone", "began", "hours"),
    [
        ("day", "Asia/Kolkata", "2026-11-30", (1, 5, 7, 20)),
        ("day", "Asia/Kathmandu", "2026-11-30", (1, 5, 7, 20)),
        ("month", "America/New_York", "2026-11-01", (1, 7, 24 * 8, 24 * 20)),
        ("month", "Asia/Kolkata", "2026-11-01", (1, 7, 24 * 8 + 10, 24 * 20)),
    ],
)
def test_a_budget_keeps_what_was_spent_first(
    store: ControlStore, per: str, zone: str, began: str, hours: tuple[int, ...]
) -> None:
    """Also where the period begins within an hour or a day of UTC, and minutes and hours were added up since."""
    books, midnight = Books(store), datetime.fromisoformat(began).replace(tzinfo=ZoneInfo(zone)).timestamp()
    books.spend(midnight + 600, cost=90.0)
    for hour in hours:
        now = midnight + hour * HOUR
        books.add_up(now)
        assert fact(store, budget(per=per, zone=zone), now).value == pytest.approx(0.9), hour


def test_a_forecast_goes_on_with_what_is_usual(store: ControlStore) -> None:
    """24 dollars a day make another 12 until midnight; in a month the last week counts."""
    books = Books(store)
    for hour in range(1, 25):
        books.spend(NOON - hour * HOUR, cost=1.0)

    assert fact(store, budget(per="day", forecast=True)).value == pytest.approx(0.24, abs=0.01)
    month = 24 + 24 / 7 * 0.5  # the month ends in half a day
    assert fact(store, budget(forecast=True)).value == pytest.approx(month / 100, abs=0.01)


def test_latency_is_that_of_one_group_and_of_answers(store: ControlStore) -> None:
    """Other groups, errors and what is older than the window do not count."""
    books = Books(store)
    for number in range(20):
        books.spend(NOON - number, served_group="smart", latency_ms=5000.0)
    books.spend(NOON, served_group="other", latency_ms=90_000.0)
    books.spend(NOON - HOUR, served_group="smart", latency_ms=90_000.0)
    books.spend(NOON, served_group="smart", latency_ms=None, outcome=RequestOutcome.UNAVAILABLE)

    found = fact(store, one_rule(latency={"group": "smart", "enter_ms": 4000, "return_ms": 2000}))

    assert found.samples == 20
    assert found.value == pytest.approx(5000, rel=0.05)


def test_what_usage_says_is_read_again_after_a_while(store: ControlStore) -> None:
    """Between two readings the last one stands: a look each second would add up a month each second."""
    books, policy = Books(store), budget()
    facts = PolicyFacts(usage=books.usage, workers=store.registry.workers)
    facts(policy, NOON)
    books.spend(NOON, cost=50.0)

    assert facts(policy, NOON + FRESH_SECONDS - 1)["r"].value == 0
    assert facts(policy, NOON + FRESH_SECONDS)["r"].value == pytest.approx(0.5)


SLOT = int(NOON // 10)


def reported(store: ControlStore, *reports: dict[str, Any]) -> PolicyFacts:
    """Return what reads facts after workers said this in their heartbeats, which came at noon."""
    for number, report in enumerate(reports):
        identity = WorkerIdentity(f"w{number}", "host", number, "1", NOON)
        store.registry.announce(identity, ServedRevision(report=report))
    live = [worker for worker in store.registry.workers() if worker.live]
    assert len(live) == len(reports)
    return PolicyFacts(usage=UsageStore(store.database), workers=lambda: live)


def outage(store: ControlStore, *reports: dict[str, Any], **trigger: Any) -> RuleFact:
    """Return what is known of an outage after workers reported these attempts."""
    facts = reported(store, *({"policy_deployments": report} for report in reports))
    return facts(one_rule(outage=trigger), NOON)["r"]


def test_attempts_of_all_workers_are_one_sum(store: ControlStore) -> None:
    """One failing attempt in each of three workers are three; what is older than the window is none."""
    reports = [
        {
            "group:smart": {"a": {str(SLOT): [number, 1]}, "b": {str(SLOT - 30): [0, 9]}},
            "group:other": {"c": {str(SLOT): [0, 5]}},
        }
        for number in range(3)
    ]

    found = outage(store, *reports, group="smart")

    assert (found.failed, found.samples, found.value) == (3, 6, 0.5)


@pytest.mark.parametrize(
    ("second", "share"),
    [([0, 4], 1.0), ([1, 1], 0.5), ([3, 0], 0.0), (None, 0.0)],
    ids=["both fail", "one fails half", "one answers", "one is asked by nobody"],
)
def test_an_outage_of_every_deployment_is_that_of_the_one_that_fails_least(
    store: ControlStore, second: list[int] | None, share: float
) -> None:
    """Attempts of several workers at one deployment are one sum; who is asked by nobody may stand."""
    one = {"provider:openai": {"a": {str(SLOT): [0, 3]}, "b": {}}}
    other = {"provider:openai": {"a": {}, "b": {} if second is None else {str(SLOT): second}}}

    found = outage(store, one, other, provider="openai", every_deployment=True)

    assert found.value == share
    assert found.failed == 3 + (second[1] if second else 0)


def test_nobody_asked_is_nothing_known(store: ControlStore) -> None:
    """Neither that all is well, nor that it is not."""
    quiet = {"api_base:http://gpu:11434": {"a": {}, "b": {str(SLOT - 60): [0, 3]}}}

    assert outage(store, quiet, api_base="http://gpu:11434", every_deployment=True) == RuleFact()


def test_a_worker_reports_the_deployments_that_are_watched() -> None:
    """Each by itself, also one that nobody asked; others are left out."""
    slots = {7: {"a": {"answers": 2}, "b": {"errors": 1}, "c": {"errors": 9}}, 8: {"a": {"errors": 1}}}
    members = {"group:smart": ("a", "b"), "provider:openai": ("b", "new")}

    assert attempts_of(slots, members, now=85.0) == {
        "policy_deployments": {
            "group:smart": {"a": {"7": [2, 0], "8": [0, 1]}, "b": {"7": [0, 1]}},
            "provider:openai": {"b": {"7": [0, 1]}, "new": {}},
        },
        "policy_reported_at": 85.0,
    }


@pytest.mark.parametrize("ahead", [0.0, 4.0, -45.0, 240.0, -DAY])
def test_attempts_are_as_old_as_they_are_whatever_the_clock_of_their_host(
    store: ControlStore, ahead: float
) -> None:
    """They count while they are within the window, and no longer, by the clock of the database."""
    clock = NOON + ahead
    slots = {int(clock // 10): {"a": {"errors": 5}}, int((clock - 60) // 10): {"a": {"errors": 4}}}
    facts = reported(store, attempts_of(slots, {"group:smart": ("a",)}, now=clock))
    policy = one_rule(outage={"group": "smart"})

    assert [facts(policy, NOON + after)["r"].failed for after in (0, 20, 60)] == [5, 5, 0]
