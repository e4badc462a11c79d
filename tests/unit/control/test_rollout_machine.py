"""Laws of rollouts under any history: two workers, a clock that jumps, people who interfere, kills in every commit.

No act is done twice by two leaders, nothing goes on without data, a breach always leads back, and what runs is what the
state says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.rollouts import LEASE_SECONDS, Rollouts
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.bindings import Binding
from neuronode_router.domain.profiles import ProfileEdit
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import NeuronodeError, RolloutRefused, UnknownRollout
from neuronode_router.rollouts.course import Act, OnBreach, OnDone, Phase, Rollout, RolloutPlan
from neuronode_router.rollouts.facts import ArmFacts, BothArms
from neuronode_router.rollouts.guards import Guard, Metric
from neuronode_router.storage.lease import Lease
from tests.support.clock import Clock
from tests.support.control import HOST, NAMES, FileSource
from tests.support.migrated import migrated

ANNA = Actor("anna")
STEPS = ("locked", "written", "published", "committed")
HOLD = 20.0
GOOD = {"chat": BothArms(ArmFacts(900), ArmFacts(100, decided=100))}
ALIKE = {"chat": BothArms(ArmFacts(900), ArmFacts(100))}
"""Nothing that is changed has decided any of them."""
BAD = {"chat": BothArms(ArmFacts(900), ArmFacts(100, 100))}
NOTHING: dict[str, BothArms] = {}

names = st.sampled_from(NAMES)
workers = st.integers(0, 1)


class Killed(BaseException):
    """Stands for SIGKILL in the middle of a commit."""


class RolloutProcess:
    """One worker process: its own connections, its own view of the lease."""

    def __init__(
        self, place: str, number: int, clock: Clock, facts: Callable[[Rollout], dict[str, BothArms]]
    ):
        self.fault_at: str | None = None
        self.store = ControlStore(f"sqlite:///{place}/control.db", clock=clock, fault=self._fault)
        source = FileSource(Path(place) / "profiles.json")
        self.manager = ProfileManager(
            store=self.store, source=source, host=lambda: HOST, wake=WakeGroup(()), clock=clock
        )
        self.rollouts = Rollouts(
            manager=self.manager,
            store=self.store.rollouts,
            facts=facts,
            lease=Lease(self.store.database, "rollouts", holder=f"w{number}", ttl=LEASE_SECONDS, clock=clock),
            clock=clock,
            rest=0,
        )

    def _fault(self, step: str) -> None:
        if step == self.fault_at:
            raise Killed


class RolloutHistory(RuleBasedStateMachine):
    """Two workers of one store."""

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.facts = NOTHING
        self.meanwhile: Callable[[], None] | None = None
        self.seen: list[dict[str, BothArms]] = []
        migrated(Path(self.place.name) / "control.db")
        self.workers = [RolloutProcess(self.place.name, number, self.clock, self.look) for number in range(2)]
        self.source = FileSource(Path(self.place.name) / "profiles.json")
        self.runner.run(self.workers[0].manager.reload(actor=FILES))
        self.start(0, "premium", OnBreach.ROLLBACK, OnDone.PROMOTE)

    def look(self, rollout: Rollout) -> dict[str, BothArms]:
        """Return the facts; what happens meanwhile happens after they were read."""
        found, meanwhile, self.meanwhile = self.facts, self.meanwhile, None
        self.seen.append(found)
        if meanwhile is not None:
            meanwhile()
        return found

    def running(self) -> Rollout | None:
        return self.workers[0].store.rollouts.running()

    def state(self) -> ControlState:
        state = self.workers[0].store.read()
        assert state is not None
        return state

    def turn(self, worker: int) -> None:
        """Let a worker look, and hold it to the laws."""
        process = self.workers[worker].rollouts
        before, seen = self.running(), len(self.seen)
        receipt = self.runner.run(process.turn())
        looked = self.seen[seen:]
        if receipt is None or before is None:
            return
        (event, *_) = self.runner.run(process.history(before.id))
        assert event.revision == receipt.revision
        if event.act in (Act.STEP, Act.ASK, Act.PROMOTE):
            assert looked[0] is GOOD
            assert before.held + LEASE_SECONDS + 5 >= HOLD

    @rule(worker=workers, name=names, on_breach=st.sampled_from(OnBreach), on_done=st.sampled_from(OnDone))
    def start(self, worker: int, name: str, on_breach: OnBreach, on_done: OnDone) -> None:
        plan = RolloutPlan(
            name,
            steps=(10, 100),
            hold_seconds=HOLD,
            guards=(Guard(Metric.ERROR_RATE, worse_by=0.02),),
            on_breach=on_breach,
            on_done=on_done,
        )
        possible = self.running() is None and self.state().active != name
        try:
            self.runner.run(self.workers[worker].rollouts.start(plan, actor=ANNA))
        except RolloutRefused:
            assert not possible
        else:
            assert possible

    @rule(worker=workers, goal=names, on_done=st.sampled_from(OnDone))
    def start_an_edit(self, worker: int, goal: str, on_done: OnDone) -> None:
        state, edit = self.state(), ProfileEdit({"chat": f"chat_{goal}"})
        guards = (Guard(Metric.ERROR_RATE, worse_by=0.02),)
        plan = RolloutPlan("", (10, 100), HOLD, guards=guards, on_done=on_done, edit=edit)
        changes = edit.of(state.profiles.profiles[state.active]) != state.profiles.profiles[state.active]
        possible = self.running() is None and changes
        try:
            self.runner.run(self.workers[worker].rollouts.start(plan, actor=ANNA))
        except RolloutRefused:
            assert not possible
            return
        assert possible
        assert self.state().profiles == state.profiles
        assert self.state().answering[f"{state.active}+edit"].tasks["chat"] == f"chat_{goal}"

    @rule(facts=st.sampled_from([GOOD, GOOD, BAD, ALIKE, NOTHING]))
    def requests_come(self, facts: dict[str, BothArms]) -> None:
        self.facts = facts

    @rule(seconds=st.sampled_from([-3600.0, -5.0, 1.0, 5.0, 9.0, 30.0, 86_400.0]))
    def the_clock_moves(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(worker=workers)
    def a_worker_looks(self, worker: int) -> None:
        self.turn(worker)

    @rule(worker=workers)
    def both_look_for_a_while(self, worker: int) -> None:
        for _ in range(4):
            self.clock.now += 6.0
            self.turn(worker)
            self.turn(1 - worker)

    @precondition(lambda self: self.running() is not None)
    @rule(worker=workers)
    def a_leader_freezes_while_another_leads(self, worker: int) -> None:
        """What it had decided by then is not done: its fence, or the revision, is an old one."""
        other = self.workers[1 - worker]

        def overtaken() -> None:
            self.clock.now += LEASE_SECONDS + 1
            self.facts = (
                NOTHING  # so that the other does nothing, and only its lease keeps the first from acting
            )
            asyncio.run(other.rollouts.turn())
            self.revision = self.state().revision
            assert other.rollouts._lease.take()[0] is not None

        self.meanwhile, self.revision, self.facts = overtaken, -1, BAD
        process = self.workers[worker].rollouts
        receipt = self.runner.run(process.turn())
        self.meanwhile = None
        if self.revision >= 0:
            assert receipt is None
            assert self.state().revision == self.revision

    @rule(worker=workers, act=st.sampled_from([Act.PAUSE, Act.RESUME, Act.PROMOTE, Act.ABORT]))
    def somebody_acts(self, worker: int, act: Act) -> None:
        before, digest = self.running(), self.state().profiles.digest
        try:
            self.runner.run(self.workers[worker].rollouts.act(act, actor=ANNA))
        except (RolloutRefused, UnknownRollout):
            assert self.running() == before
            return
        assert before is not None
        after = self.state()
        if act is Act.PROMOTE and before.plan.edit is None:
            assert after.active == before.plan.profile
        elif act is Act.PROMOTE:
            said = after.profiles.profiles[before.control].tasks["chat"]
            assert (after.active, said) == (before.control, before.plan.edit.tasks["chat"])
            assert after.moved < after.revision  # who tried it is where everybody is now
        if act is Act.ABORT:
            assert (after.active, after.profiles.digest) == (before.control, digest)
            assert self.state().moved == self.state().revision

    @rule(worker=workers, name=names)
    def somebody_switches(self, worker: int, name: str) -> None:
        before = self.running()
        self.runner.run(self.workers[worker].manager.switch(name, actor=ANNA))
        assert self.state().active == name
        assert self.running() is None
        if before is not None:
            assert self.workers[0].store.rollouts.read(before.id).phase is Phase.SUPERSEDED

    @rule(worker=workers)
    def somebody_rolls_back(self, worker: int) -> None:
        try:
            self.runner.run(self.workers[worker].manager.rollback(actor=ANNA))
        except NeuronodeError:  # the first revision has none before it
            return
        assert self.running() is None

    @rule(worker=workers, name=names)
    def somebody_binds(self, worker: int, name: str) -> None:
        before = self.running()
        self.runner.run(self.workers[worker].manager.bind("team:a", Binding(name), actor=ANNA))
        assert self.running() == before

    @rule(worker=workers, name=names, goal=names)
    def somebody_edits(self, worker: int, name: str, goal: str) -> None:
        before, edited = self.running(), self.state().profiles.profiles[name].tasks["chat"] != f"chat_{goal}"
        self.runner.run(self.workers[worker].manager.edit_task(name, "chat", f"chat_{goal}", actor=ANNA))
        an_arm = before is not None and name in (before.plan.profile, before.control)
        assert self.running() == (None if an_arm and edited else before)

    @precondition(lambda self: self.goes_on())
    @rule(worker=workers, step=st.sampled_from(STEPS))
    def the_leader_is_killed_in_a_commit(self, worker: int, step: str) -> None:
        """All of the act is there, or nothing of it; the other worker goes on."""
        self.facts = BAD  # so that there is something to commit
        self.clock.now += LEASE_SECONDS + 1
        before = self.state().revision
        # Who led before a clock was set back leads still.
        (killed,) = [number for number in (worker, 1 - worker) if self.is_killed(number, step)]
        assert self.state().revision - before == (step == "committed")
        self.clock.now += LEASE_SECONDS + 1
        self.turn(1 - killed)
        self.is_answered()

    @rule(worker=workers)
    def a_breach_is_answered(self, worker: int) -> None:
        """Whoever leads at last: nothing that is broken goes on for ever."""
        self.facts = BAD
        self.clock.now += LEASE_SECONDS + 1
        self.turn(worker)
        self.turn(1 - worker)  # who led before a clock was set back leads still
        self.is_answered()

    def goes_on(self) -> bool:
        """Return whether a rollout runs that a breach would lead back, or stop."""
        running = self.running()
        return running is not None and running.phase is not Phase.PAUSED

    def is_killed(self, worker: int, step: str) -> bool:
        """Let a worker look, and return whether that came as far as this step of a commit: there it was killed."""
        process = self.workers[worker]
        process.fault_at = step
        try:
            self.runner.run(process.rollouts.turn())
        except Killed:
            return True
        finally:
            process.fault_at = None
        return False

    def is_answered(self) -> None:
        running = self.running()
        if running is not None:
            assert running.plan.on_breach is OnBreach.PAUSE
            assert running.phase is Phase.PAUSED

    @invariant()
    def what_runs_is_what_the_state_says(self) -> None:
        if not hasattr(self, "workers"):
            return
        state, running = self.state(), self.running()
        assert (state.canary is None) == (running is None)
        if state.canary is not None and running is not None:
            told = (state.canary.rollout, state.canary.profile, state.canary.share, state.active)
            assert told == (running.id, running.plan.profile, running.share, running.control)
            steps = [one.act for one in self.workers[0].store.rollouts.events(running.id)].count(Act.STEP)
            assert running.step == steps

    @invariant()
    def the_files_say_what_is_committed(self) -> None:
        """An edit that is tried stands nowhere; one that was promoted is published with its revision."""
        if hasattr(self, "workers"):
            assert self.source.read() == self.state().profiles

    @invariant()
    def every_act_is_a_revision_of_an_audit_log_that_is_intact(self) -> None:
        if not hasattr(self, "workers"):
            return
        assert self.workers[0].store.audit.verify() == self.state().revision

    def teardown(self) -> None:
        if hasattr(self, "workers"):
            for worker in self.workers:
                worker.store.close()
            self.runner.close()
            self.place.cleanup()


RolloutHistory.TestCase.settings = settings(
    max_examples=settings().max_examples // 6,  # each is a history of many steps
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRolloutHistory = RolloutHistory.TestCase
