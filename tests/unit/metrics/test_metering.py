"""What a worker tells Prometheus: each request once, in base units, with few labels and none that callers make up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.auto.router import Routed
from neuronode_router.domain.decisions import Decision as Decided
from neuronode_router.domain.decisions import Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import StoreUnavailable
from neuronode_router.metrics.catalogue import SWITCH_COMPLETE
from neuronode_router.metrics.metering import FAULTS
from neuronode_router.policy.document import RuleMode
from neuronode_router.policy.engine import Level
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.stats.memory import MemoryStatistics
from neuronode_router.usage.finished import RequestOutcome
from tests.support.control import HOST, make_set
from tests.support.metering import metering, monitor_of, value, worker_at
from tests.support.usage import finished

LABELS = {"profile": "premium", "task": "chat"}
ROUTED = LABELS | {"tier": "", "group": "chat_premium", "reason": "active_profile"}


async def test_an_answered_request_is_counted_with_what_it_took() -> None:
    """Requests, tokens and dollars as they are, seconds instead of milliseconds."""
    meter = metering()

    meter.ended(finished(cached_tokens=5, cost=0.25, latency_ms=120.0, first_token_ms=60.0))
    text = await meter.exposition()

    assert value(text, "requests_total", **ROUTED, outcome="answered") == 1
    group = LABELS | {"group": "chat_premium"}
    assert [
        value(text, "tokens_total", **group, kind=kind) for kind in ("prompt", "completion", "cached")
    ] == [
        11,
        3,
        5,
    ]
    assert value(text, "cost_usd_total", **group) == 0.25
    assert value(text, "request_seconds_sum", **LABELS) == pytest.approx(0.12)
    assert value(text, "request_seconds_bucket", **LABELS, le="0.1") == 0
    assert value(text, "request_seconds_bucket", **LABELS, le="0.25") == 1
    assert value(text, "first_token_seconds_sum", **LABELS) == pytest.approx(0.06)
    assert value(text, "fallbacks_total", profile="premium", group="chat_premium") is None


async def test_a_cost_that_nobody_knows_is_not_zero() -> None:
    """An answer without a price is counted as such; a failure without a bill is neither."""
    meter = metering()

    meter.ended(finished(cost=None))
    meter.ended(finished(cost=None, outcome=RequestOutcome.TIMEOUT, latency_ms=None))
    text = await meter.exposition()

    assert value(text, "unpriced_requests_total", group="chat_premium") == 1
    assert value(text, "cost_usd_total", **LABELS, group="chat_premium") is None
    assert value(text, "requests_total", **ROUTED, outcome="timeout") == 1


async def test_a_fallback_is_counted_for_the_group_that_was_left() -> None:
    """The operator looks for the group that does not answer."""
    meter = metering()

    meter.ended(finished(served_group="spare"))

    assert value(await meter.exposition(), "fallbacks_total", profile="premium", group="chat_premium") == 1


async def test_nothing_that_identifies_a_caller_is_told() -> None:
    """No team, no call id, no deployment: whoever scrapes learns nothing of people, and series stay few."""
    meter = metering()

    meter.ended(finished(call_id="call-of-somebody", team="team-of-somebody", deployment="d-of-somebody"))

    assert b"somebody" not in await meter.exposition()


async def test_a_routed_request_is_counted_by_tier_and_by_each_step() -> None:
    """What `auto` decided, how, and in what time."""
    meter = metering()
    decision = Decided(
        original_model="auto",
        group="tier_fast",
        reason=Reason.ACTIVE_PROFILE,
        profile="premium",
        tier=Tier.FAST,
        steps=(Step.CLASSIFIED, Step.OVERLOADED),
    )
    routed = Routed(decision, decision, None, None, (), took_ms=0.4, unaccepted=("logprobs",))

    meter.decided(routed, "me", {})
    text = await meter.exposition()

    assert value(text, "decisions_total", profile="premium", tier="fast") == 1
    assert value(text, "decision_steps_total", step="classified") == 1
    assert value(text, "decision_steps_total", step="overloaded") == 1
    assert value(text, "unaccepted_parameters_total", parameter="logprobs") == 1
    assert value(text, "decision_seconds_bucket", le="0.0005") == 1
    assert value(text, "decision_seconds_bucket", le="0.00025") == 0


async def test_a_switch_is_timed() -> None:
    """How many, of which kind, and how long until every worker had it."""
    meter = metering()
    receipt = Receipt(
        revision=2, changed=True, dry_run=False, action="switch", profile="balanced", previous_profile="premium",
        changes=(), committed_at=1.0, workers=(), complete=True, duration_ms=20.0,
    )  # fmt: skip

    meter.switched(receipt)
    text = await meter.exposition()

    assert value(text, "switch_seconds_count", action="switch", complete="true") == 1
    assert value(text, "switch_seconds_sum", action="switch", complete="true") == pytest.approx(0.02)


@pytest.mark.parametrize(("awaited", "told"), [(True, "false"), (False, "unawaited")])
async def test_who_waits_for_nobody_misses_nobody(awaited: bool, told: str) -> None:
    """Of an act without a wait nobody knows whether all workers had it in time: it raises no alert."""
    meter = metering()
    receipt = Receipt(
        revision=2, changed=True, dry_run=False, action="policy", profile="balanced", previous_profile="premium",
        changes=(), committed_at=1.0, workers=(), complete=False, duration_ms=20.0, awaited=awaited,
    )  # fmt: skip

    meter.switched(receipt)
    text = await meter.exposition()

    found = {
        one: value(text, "switch_seconds_count", action="policy", complete=one) for one in SWITCH_COMPLETE
    }
    assert found == dict.fromkeys(SWITCH_COMPLETE, 0) | {told: 1}


async def test_what_the_policy_does_is_told_before_it_happens_and_when() -> None:
    """Acts and refusals of every level begin at none; of each rule it is told whether it applies."""
    rules = {("smart-down", RuleMode.EMERGENCY): True, ("trial", RuleMode.DRY_RUN): False}
    meter = metering(rules=lambda: rules)
    before = await meter.exposition()

    meter.policy_acted(Level.EMERGENCY, done=True)
    meter.policy_acted(Level.SCHEDULE, done=False)
    text = await meter.exposition()

    for level in Level:
        assert value(before, "policy_acts_total", level=level) == 0
        assert value(text, "policy_acts_total", level=level) == (level is Level.EMERGENCY)
        assert value(text, "policy_refusals_total", level=level) == (level is Level.SCHEDULE)
    assert value(text, "policy_rule", rule="smart-down", mode="emergency") == 1
    assert value(text, "policy_rule", rule="trial", mode="dry_run") == 0


async def test_what_is_done_about_local_models_is_counted() -> None:
    """Each outcome is there before it happens; what loading took is timed."""
    meter = metering()
    before = await meter.exposition()

    meter.warmed("loaded", 3.0)
    meter.warmed("failed", 120.0)
    text = await meter.exposition()

    assert value(before, "warm_models_total", outcome="failed") == 0
    assert value(text, "warm_models_total", outcome="failed") == 1
    assert value(text, "warm_models_total", outcome="loaded") == 1
    assert value(text, "warm_load_seconds_sum") == 3


@given(counts=st.lists(st.integers(0, 5), max_size=8))
def test_faults_follow_a_count_that_may_begin_anew(counts: list[int]) -> None:
    """What is told never falls, and rises by what was added: `store_failures` is 0 again after each good answer."""
    now = 0
    meter = metering(report=lambda: {"store_failures": now})
    expected, before = 0, 0

    async def follow() -> float | None:
        nonlocal now, expected, before
        for now in counts:
            expected, before = expected + (now - before if now >= before else now), now
            await meter.observe()
        return value(await meter.exposition(), "faults_total", kind="store")

    assert asyncio.run(follow()) == expected


async def test_every_fault_is_told_before_it_happens() -> None:
    """A rate needs a first value: a series that appears with its first fault hides that fault."""
    text = await metering().exposition()

    assert [value(text, "faults_total", kind=kind) for kind in FAULTS.values()] == [0] * len(FAULTS)


async def test_attempts_that_run_are_told_by_group() -> None:
    """They rise and fall with the attempts of this process."""
    statistics = MemoryStatistics()
    monitor = monitor_of(statistics, ("tier_fast", "tier_complex"))
    await monitor.refresh()
    meter = metering(statistics=statistics, monitor=monitor)

    statistics.recorder.begin("a", "id-tier_fast")
    statistics.recorder.begin("b", "id-tier_fast")
    during = await meter.exposition()
    statistics.recorder.end("a")
    statistics.recorder.end("b")
    after = await meter.exposition()

    assert value(during, "attempts_in_flight", group="tier_fast") == 2
    assert value(during, "attempts_in_flight", group="tier_complex") == 0
    assert value(after, "attempts_in_flight", group="tier_fast") == 0


async def test_how_things_stand_is_told() -> None:
    """Revision, profile in force, deployments by state, modes: each as a number."""
    statistics = MemoryStatistics()
    monitor = monitor_of(statistics, ("tier_fast",))
    await monitor.refresh()
    state = ControlState(7, "premium", make_set(), committed_at=0.0)
    text = await metering(
        statistics=statistics,
        monitor=monitor,
        snapshot=lambda: build_snapshot(state, HOST),
        report=lambda: {"auto_routing": "shadow"},
    ).exposition()

    assert value(text, "revision") == 7
    assert value(text, "active_profile", profile="premium") == 1
    assert value(text, "active_profile", profile="balanced") == 0
    assert value(text, "deployments", group="tier_fast", state="ok") == 1
    assert value(text, "deployments", group="tier_fast", state="unavailable") == 0
    assert value(text, "statistics_mode", mode="memory") == 1
    assert value(text, "auto_routing", mode="shadow") == 1
    assert value(text, "metrics_shared") == 0


async def test_workers_of_this_host_are_told_by_whether_they_are_current() -> None:
    """Other hosts are scraped themselves, but what is newest is newest everywhere; the dead do not count."""
    workers = (worker_at(3), worker_at(4), worker_at(4, host="elsewhere"), worker_at(9, live=False))
    text = await metering(workers=lambda: workers).exposition()

    assert value(text, "store_up") == 1
    assert value(text, "workers", state="current") == 1
    assert value(text, "workers", state="behind") == 1


async def test_a_dead_store_is_told_and_nothing_else_is_lost() -> None:
    """Metrics matter most when something is down."""

    def workers() -> None:
        raise StoreUnavailable("The SQL store does not answer.")

    meter = metering(workers=workers)
    meter.ended(finished())
    text = await meter.exposition()

    assert value(text, "store_up") == 0
    assert value(text, "workers", state="current") is None
    assert value(text, "requests_total", **ROUTED, outcome="answered") == 1


async def test_an_exception_of_ours_is_counted_and_goes_no_further() -> None:
    """A negative count, which Prometheus refuses, fails no request."""
    meter = metering()

    meter.ended(finished(latency_ms="never"))

    assert meter.failures.total == 1
    assert value(await meter.exposition(), "faults_total", kind="metrics") == 1
