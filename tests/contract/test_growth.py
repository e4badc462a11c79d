"""A year of everything that writes, in miniature, over SQLite and PostgreSQL: no table grows without end."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from neuronode_router.auto.diverted import DivertedOf
from neuronode_router.auto.judged_days import JudgedDays
from neuronode_router.auto.outcome_store import OutcomeOf, OutcomeStore
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.control import idempotency, workers
from neuronode_router.control.archive import archive
from neuronode_router.control.audit import read_copy
from neuronode_router.control.idempotency import Idempotency
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import Policies
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.rollout_facts import RecordedFacts
from neuronode_router.control.rollout_outcomes import OutcomesOf, RolloutOutcomeStore
from neuronode_router.control.rollouts import Rollouts
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.workers import ServedRevision, WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rollouts import Arm
from neuronode_router.policy.document import OutageTarget
from neuronode_router.policy.file import parse_policy
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.proof import store as proof_store
from neuronode_router.proof.matrix import ProbeEvidence, ProbeTarget
from neuronode_router.proof.probes import ProbeReason, Shape
from neuronode_router.proof.store import ProofStore
from neuronode_router.rollouts.course import Act, RolloutPlan
from neuronode_router.rollouts.facts import AnswerOutcome
from neuronode_router.routing.sufficiency import RequestKind
from neuronode_router.shadows.acts import ShadowPlan, Shadows
from neuronode_router.shadows.pairs import PairSums
from neuronode_router.shadows.store import ShadowBatch, ShadowStore
from neuronode_router.storage import database as database_module
from neuronode_router.storage import tables
from neuronode_router.storage.lease import Lease
from neuronode_router.usage.buffer import UsageBuffer
from neuronode_router.usage.store import UsageStore
from neuronode_router.usage.writer import UsageWriter
from tests.contract.conftest import MakeStore
from tests.support.clock import Clock
from tests.support.control import HOST, MemorySource, make_profile, make_set
from tests.support.usage import finished

DAY = 86_400.0
PERIOD = 4
"""Days between two periods of work, in each of which everything happens once that writes anything."""
PERIODS = 366 // PERIOD
KEPT = 30
"""Days for which usage is kept, after which the audit log is archived, and between two archives."""
POLICY = """\
default: balanced
rules:
  - name: rule-{number}
    budget: {{usd: 100, enter: 0.8, return: 0.6}}
    then: {{profile: premium}}
"""
ANNA = Actor("anna")
PLAN = RolloutPlan("cost_effective", steps=(100,))
SHADOW = ShadowPlan(profile="cost_effective", share=500, seconds=3600, budget_usd=1.0, concurrency=2)
FAST = OutcomeOf(RequestKind("balanced", "summary"), Tier.FAST)


class ProxyInUse:
    """All that writes, of one proxy that is restarted in every period."""

    def __init__(self, store: ControlStore, clock: Clock) -> None:
        self.store, self.clock, database = store, clock, store.database
        self._source = MemorySource()
        self.manager = ProfileManager(
            store=store,
            source=self._source,
            host=lambda: HOST,
            wake=WakeGroup(()),
            clock=clock,
            receipt_timeout=0,
        )
        usage = UsageStore(database)
        self._usage = usage
        self._answers = RolloutOutcomeStore(database)
        self._rollouts = Rollouts(
            manager=self.manager,
            store=store.rollouts,
            facts=RecordedFacts(usage, self._answers),
            lease=Lease(database, "rollouts", holder="w", ttl=10),
            clock=clock,
        )
        self._books = ShadowStore(database)
        self._shadows = Shadows(manager=self.manager, store=self._books, clock=clock)
        self._policies = Policies(
            manager=self.manager,
            store=store.policies,
            facts=lambda _policy, _now: {},
            probes=OutageProbes(_answers),
            lease=Lease(database, "policy", holder="w", ttl=10),
            host=lambda: HOST,
            members=lambda _target: (),
            place=PolicyPlace(Path("policy.yaml"), FilesMemory(Path("policy.seen"))),
            clock=clock,
        )
        self._proofs = ProofStore(database, clock=clock)
        self._judged = JudgedDays(database, budget_usd=1.0, clock=clock)

    async def period(self, number: int) -> None:
        """Do everything once."""
        worker = WorkerIdentity(f"w{number}", "elsewhere", 1 << 30, "1", self.clock())
        self.store.registry.announce(worker, ServedRevision(report={}))
        await self._control(number)
        await self._requests(worker.instance)
        await self._learning()
        self._proofs.keep(
            ProbeEvidence(ProbeTarget(f"g{number}", Shape.TEXT), ProbeReason.ANSWERED, self.clock())
        )
        self._proofs.take_turn(every=1.0)

    async def _control(self, number: int) -> None:
        for profile in ("premium", "balanced"):
            key = Idempotency(f"{profile}{number}", "0" * 64)
            await self.manager.switch(profile, actor=ANNA, idempotency=key)
        spare = replace(make_profile("spare"), description=f"of period {number}")
        self._source.write(make_set(spare=spare))
        await self.manager.reload(actor=FILES)
        policy, problems = parse_policy(POLICY.format(number=number).encode())
        assert policy is not None, problems
        await self._policies.take_up(policy, actor=ANNA)
        await self._policies.turn()

    async def _requests(self, worker: str) -> None:
        receipt = await self._rollouts.start(PLAN, actor=ANNA)
        buffer = UsageBuffer()
        writer = UsageWriter(buffer=buffer, store=self._usage, worker=worker, clock=self.clock, days=KEPT)
        for arm in Arm:
            buffer.count(
                finished(at=self.clock(), call_id=f"{worker}{arm}", arm=arm.value, revision=receipt.revision)
            )
            self._answers.add({OutcomesOf(receipt.revision, "chat", arm, AnswerOutcome.LABEL): 1})
        await writer.flush()
        await writer.tidy()
        await self._rollouts.turn()
        await self._rollouts.act(Act.ABORT, actor=ANNA)
        begun = await self._shadows.start(SHADOW, actor=ANNA)
        name = await self._shadows.of(begun.revision)
        assert name is not None
        sample = (self.clock(), {"text": "so"})
        self._books.add(worker, ShadowBatch(name, 1, {("balanced", "chat"): PairSums()}, samples=[sample]))
        await self._shadows.stop(name, actor=ANNA)

    async def _learning(self) -> None:
        outcomes = Outcomes(OutcomeStore(self.store.database), clock=self.clock)
        outcomes.saw(FAST, good=True, expected=0.5)
        outcomes.diverted(DivertedOf(FAST.kind, Step.LEARNED, Tier.MEDIUM, Tier.FAST), saved_usd=0.1)
        await outcomes.refresh()
        self._judged.set_aside(0.1)


async def _answers(_target: OutageTarget, _number: int) -> bool:
    return True


def rows(store: ControlStore) -> dict[str, int]:
    """Return how many rows each table of ours has."""
    with store.database.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables.metadata.sorted_tables
        }


def third(counts: Sequence[int], which: int) -> int:
    """Return the peak of a third of the year."""
    size = len(counts) // 3
    return max(counts[which * size : (which + 1) * size])


async def test_no_table_grows_without_end(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept for a time is gone after it; what only archived revisions name is in the archive. But for policies,
    of which people write few.
    """
    clock = Clock()
    for room in (workers, idempotency, proof_store, database_module):  # the year passes there, too
        monkeypatch.setattr(room, "database_time", lambda _connection, clock: clock())
    store = make_store(clock=clock)
    proxy = ProxyInUse(store, clock)
    await proxy.manager.reload(actor=FILES)
    counts: dict[str, list[int]] = defaultdict(list)

    for number in range(PERIODS):
        clock.now += PERIOD * DAY
        await proxy.period(number)
        if number > KEPT // PERIOD and number % (KEPT // PERIOD) == 0:
            archive(store.database, tmp_path / f"{number:03}.ndjson", before=clock() - KEPT * DAY)
        for name, count in rows(store).items():
            counts[name].append(count)

    assert {name for name, each in counts.items() if not max(each)} == set(), "the year writes to every table"
    peaks = {name: (third(each, 1), third(each, 2)) for name, each in counts.items()}
    assert {name for name, peak in peaks.items() if peak[1] > peak[0]} == {tables.policy.name}
    lines = [line for file in sorted(tmp_path.glob("*.ndjson")) for line in file.read_bytes().splitlines()]
    archived = Counter(json.loads(line).get("table") for line in lines)
    assert archived[tables.rollout.name] + counts[tables.rollout.name][-1] == PERIODS
    assert counts[tables.policy.name][-1] == PERIODS, "one that was ever in force is known for an old copy"
    assert store.audit.verify(against=read_copy(lines)) == store.revision()
