"""Rollouts, over SQLite and PostgreSQL: each act in the transaction of its revision, facts by arm and task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.rollout_facts import RecordedFacts
from neuronode_router.control.rollout_outcomes import RolloutOutcomes, RolloutOutcomeStore
from neuronode_router.control.rollouts import LEASE, Rollouts
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import ProfileEdit
from neuronode_router.errors import FactNotRecorded, LeaseLost
from neuronode_router.rollouts.course import Act, NextAct, Phase, RolloutPlan
from neuronode_router.rollouts.facts import AnswerOutcome
from neuronode_router.rollouts.guards import Guard, Metric
from neuronode_router.storage.lease import Lease
from neuronode_router.usage.buffer import Batch
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.sums import Sums
from tests.support.clock import Clock
from tests.support.control import HOST, MemorySource
from tests.support.leases import passed_on
from tests.support.usage import finished

ANNA = Actor("anna")
PLAN = RolloutPlan(
    "premium", steps=(100,), hold_seconds=0, guards=(Guard(Metric.ERROR_RATE, worse_by=0.02),), least=10
)


class RolloutDesk:
    """One worker's manager and rollouts over a store."""

    def __init__(self, store: ControlStore, holder: str = "w", *, unrecorded: Sequence[Metric] = ()) -> None:
        self.store = store
        self.usage = UsageStore(store.database)
        outcomes = RolloutOutcomeStore(store.database)
        self.facts = RecordedFacts(self.usage, outcomes)
        self.clock = Clock()
        self.outcomes = RolloutOutcomes(
            outcomes,
            keys_of=self.usage.keys_of,
            runs=lambda: store.rollouts.running() is not None,
            clock=self.clock,
        )
        self.manager = ProfileManager(
            store=store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(())
        )
        self.rollouts = Rollouts(
            manager=self.manager,
            store=store.rollouts,
            facts=self.facts,
            lease=Lease(store.database, "rollouts", holder=holder, ttl=10),
            unrecorded=unrecorded,
            rest=0,
        )

    def count(self, *requests: FinishedRequest, sequence: int = 1) -> None:
        """Add requests as a worker's flush does."""
        rows: dict[Any, Sums] = {}
        for one in requests:
            rows.setdefault((int(one.at) // 60 * 60, one.key), Sums()).add(one)
        self.usage.add("w", Batch(sequence, rows, requests), at=0.0)


@pytest.fixture
async def desk(store: ControlStore) -> RolloutDesk:
    """A worker at revision 1, which nobody tries anything beside."""
    found = RolloutDesk(store)
    await found.manager.reload(actor=FILES)
    return found


def begun(store: ControlStore) -> tuple[int, float]:
    """Return the revision and the time at which the step began."""
    running = store.rollouts.running()
    assert running is not None
    return running.since_revision, running.since


async def test_facts_are_those_of_the_step_by_arm_and_task(desk: RolloutDesk) -> None:
    """Not those of others, of earlier revisions, or of conversations that were placed before."""
    await desk.rollouts.start(PLAN, actor=ANNA)
    revision, since = begun(desk.store)
    at = {"at": since, "revision": revision}
    desk.count(
        finished(arm="canary", cost=0.004, **at),
        finished(arm="canary", outcome=RequestOutcome.TIMEOUT, latency_ms=None, cost=None, **at),
        finished(arm="control", task="summary", **at),
        finished(arm="control", task="", served_group="rescue", **at),
        finished(arm="canary_begun", **at),
        finished(**at),
        finished(arm="canary", at=since, revision=revision - 1),
    )

    found = desk.facts(desk.store.rollouts.running())  # type: ignore[arg-type]

    assert set(found) == {"auto", "chat", "summary"}
    canary = found["chat"].canary
    assert (canary.requests, canary.errors, sum(canary.latency.values())) == (2, 1, 1)
    assert (dict(canary.cost), canary.cost_usd) == ({87: 1}, 0.004)
    assert (found["chat"].control.requests, found["summary"].control.requests) == (0, 1)
    assert found["auto"].control.fallbacks == 1


@pytest.mark.parametrize(
    ("edit", "how", "decided"),
    [
        (ProfileEdit({"chat": "chat_premium"}), {"task": "chat"}, 1),
        (ProfileEdit({"chat": "chat_premium"}), {"task": "summary"}, 0),
        (ProfileEdit({"chat": "chat_premium"}), {"task": "chat", "tier": "fast"}, 0),
        (ProfileEdit({"chat": "auto"}), {"task": "chat", "tier": "fast"}, 1),
        (ProfileEdit({}, {Tier.FAST: ("chat_premium",)}), {"task": "", "tier": "fast"}, 1),
        (ProfileEdit({}, {Tier.FAST: ("chat_premium",)}), {"task": "", "tier": "medium"}, 0),
        (ProfileEdit({}, {Tier.FAST: ("chat_premium",)}), {"task": "chat"}, 0),
    ],
)
async def test_facts_tell_what_the_changes_have_decided(
    desk: RolloutDesk, edit: ProfileEdit, how: dict[str, str], decided: int
) -> None:
    """Tasks by their mapping, and what `auto` sent to a ladder by that; no others."""
    await desk.rollouts.start(replace(PLAN, profile="", edit=edit), actor=ANNA)
    revision, since = begun(desk.store)
    desk.count(finished(arm="canary", at=since, revision=revision, **{"tier": "", **how}))

    (arms,) = desk.facts(desk.store.rollouts.running()).values()  # type: ignore[arg-type]

    assert (arms.canary.requests, arms.canary.decided) == (1, decided)


async def test_how_answers_turned_out_is_counted_by_arm_and_task(desk: RolloutDesk, make_store: Any) -> None:
    """Of calls that usage knows, also by another worker, each once; what came before the step is not compared."""
    desk.outcomes.heard("early", AnswerOutcome.RUN)
    await desk.rollouts.start(PLAN, actor=ANNA)
    revision, since = begun(desk.store)
    at = {"at": since, "revision": revision}
    other = RolloutDesk(make_store())
    desk.count(
        finished(call_id="early", arm="canary", **at),
        finished(call_id="tried", arm="canary", **at),
        finished(call_id="stayed", arm="control", task="", **at),
        finished(call_id="begun", arm="canary_begun", **at),
        finished(call_id="old", arm="canary", at=since, revision=revision - 1),
    )

    for call in ("tried", "tried", "begun", "old", "stayed", "unknown"):
        desk.outcomes.heard(call, AnswerOutcome.LABEL, AnswerOutcome.NO_LABEL)
    other.outcomes.heard("tried", AnswerOutcome.NEGATIVE)
    await desk.outcomes.share()
    await other.outcomes.share()
    await other.outcomes.share()

    found = desk.facts(desk.store.rollouts.running())  # type: ignore[arg-type]
    assert found["chat"].canary.outcomes == {
        AnswerOutcome.LABEL: 1,
        AnswerOutcome.NO_LABEL: 1,
        AnswerOutcome.NEGATIVE: 1,
    }
    assert found["auto"].control.outcomes == {AnswerOutcome.LABEL: 1, AnswerOutcome.NO_LABEL: 1}
    assert (found["chat"].canary.requests, found["chat"].control.outcomes) == (2, {})


async def test_what_usage_does_not_know_yet_is_counted_later_or_never(desk: RolloutDesk) -> None:
    """A call is looked for until it is a minute old; another rollout begins with nothing."""
    await desk.rollouts.start(PLAN, actor=ANNA)
    revision, since = begun(desk.store)
    for call in ("late", "lost"):
        desk.outcomes.heard(call, AnswerOutcome.RUN)
    await desk.outcomes.share()
    desk.count(finished(call_id="late", arm="control", at=since, revision=revision))
    await desk.outcomes.share()
    desk.clock.now += 61
    await desk.outcomes.share()
    desk.count(finished(call_id="lost", arm="control", at=since, revision=revision), sequence=2)
    await desk.outcomes.share()

    found = desk.facts(desk.store.rollouts.running())  # type: ignore[arg-type]
    assert found["chat"].control.outcomes == {AnswerOutcome.RUN: 1}

    await desk.rollouts.act(Act.ABORT, actor=ANNA)
    await desk.rollouts.start(PLAN, actor=ANNA)
    assert RolloutOutcomeStore(desk.store.database).read(revision=0) == {}


async def test_a_guard_on_what_is_not_recorded_begins_nothing(store: ControlStore) -> None:
    """It would wait for ever: it is said what to switch on."""
    desk = RolloutDesk(store, unrecorded=(Metric.NEGATIVE_FEEDBACK_RATE,))
    await desk.manager.reload(actor=FILES)
    guards = (Guard(Metric.NEGATIVE_FEEDBACK_RATE, worse_by=0.1),)

    with pytest.raises(FactNotRecorded, match="negative_feedback_rate"):
        await desk.rollouts.start(replace(PLAN, guards=guards), actor=ANNA)

    assert desk.store.rollouts.running() is None


async def test_the_leader_takes_a_broken_canary_back(desk: RolloutDesk, make_store: Any) -> None:
    """Another worker does nothing meanwhile, and knows of it afterwards."""
    await desk.rollouts.start(PLAN, actor=ANNA)
    revision, since = begun(desk.store)
    other = RolloutDesk(make_store(), "other")
    assert await desk.rollouts.turn() is None
    at = {"at": since, "revision": revision}
    desk.count(
        *(finished(arm="control", **at) for _ in range(200)),
        *(finished(arm="canary", outcome=RequestOutcome.UNAVAILABLE, **at) for _ in range(20)),
    )

    assert await other.rollouts.turn() is None
    receipt = await desk.rollouts.turn()

    assert receipt is not None
    (over,) = await other.rollouts.page(10)
    (event, _) = await other.rollouts.history(over.id)
    assert (over.phase, event.act, event.revision) == (Phase.ABORTED, Act.ABORT, receipt.revision)
    assert "breached" in {one["verdict"] for one in event.evidence}
    state = other.store.read()
    assert state is not None
    assert (state.active, state.canary, state.moved) == ("balanced", None, receipt.revision)
    assert other.store.audit.verify() == receipt.revision


async def test_who_does_not_lead_any_more_writes_nothing(desk: RolloutDesk) -> None:
    """Neither for how long a rollout was watched, nor an act: of both nothing is left."""
    await desk.rollouts.start(PLAN, actor=ANNA)
    old, new = passed_on(desk.store.database, LEASE)
    running, rollouts = desk.store.rollouts.running(), desk.store.rollouts
    (entry,) = desk.store.audit.page(AuditQuery(limit=1))
    assert running is not None
    paused = replace(running, phase=Phase.PAUSED)

    with pytest.raises(LeaseLost):
        rollouts.watch(replace(running, held=9.0), old)
    with pytest.raises(LeaseLost), desk.store.database.writing() as connection:
        rollouts.change(connection, paused, NextAct(Act.PAUSE, ""), entry, old)

    assert rollouts.running() == running
    assert [event.act for event in rollouts.events(running.id)] == [Act.START]
    rollouts.watch(replace(running, held=9.0), new)
    assert rollouts.running() == replace(running, held=9.0)


async def test_a_switch_and_the_end_of_a_rollout_are_one_transaction(desk: RolloutDesk) -> None:
    """Whoever reads sees both or neither; a rollback does not bring a rollout back."""
    await desk.rollouts.start(PLAN, actor=ANNA)
    running = desk.store.rollouts.running()
    assert running is not None

    await desk.manager.switch("cost_effective", actor=ANNA)
    await desk.manager.rollback(2, actor=ANNA)

    assert desk.store.rollouts.running() is None
    assert desk.store.rollouts.read(running.id).phase is Phase.SUPERSEDED
    state = desk.store.read()
    assert state is not None
    assert (state.active, state.canary) == ("balanced", None)
