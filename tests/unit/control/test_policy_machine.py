"""Laws of the policy under any history: two workers, a clock that jumps, people and rollouts that interfere, kills.

What is active is what the precedence says, no return is lost, nothing is done twice by two leaders, no rule changes
more often in an hour than it may; the days on which the clocks change in Berlin are among the days.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import LEASE_SECONDS, Policies
from neuronode_router.control.policy_look import PolicyLook
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.rollouts import Rollouts
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import LeaseLost, NothingHeld, RolloutRefused, UnknownRollout
from neuronode_router.policy.document import OutageTarget, Policy
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import HOUR, Facts, RuleFact
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.rollouts.course import Act, OnBreach, OnDone, RolloutPlan
from neuronode_router.storage.lease import Lease
from tests.support.clock import Clock
from tests.support.control import GROUPS, HOST, NAMES, FileSource
from tests.support.migrated import migrated

ANNA = Actor("anna")
STEPS = ("locked", "written", "published", "committed")
BERLIN = ZoneInfo("Europe/Berlin")
STARTS = (
    "2026-11-30T21:00",
    "2026-11-30T12:00",
    "2026-03-28T22:00",
    "2026-03-29T01:50",
    "2026-10-24T22:00",
    "2026-10-25T01:50",
)
"""Night and day, and the nights in which the clocks are put forward and back."""

DOCUMENT = """\
default: balanced
schedule:
  - name: night
    zone: Europe/Berlin
    from: "20:00"
    to: "02:30"
    then: {profile: cost_effective}
rules:
  - name: down
    outage: {group: chat_balanced, probes: 1}
    then: {task: chat, group: chat_premium}
    emergency: true
  - name: all-down
    outage: {group: chat_premium, probes: 1}
    then: {profile: premium}
    emergency: true
    changes: 3
  - name: month
    budget: {usd: 100, enter: 0.8, return: 0.6}
    then: {profile: cost_effective}
    dwell: 5m
"""
FAILS, WELL = RuleFact(1.0, 3, 3), RuleFact()
DEAR, CHEAP = RuleFact(0.9), RuleFact(0.5)
CALM: Facts = {"down": WELL, "all-down": WELL, "month": CHEAP}
WORLDS: tuple[Facts, ...] = (
    CALM | {"month": DEAR},
    CALM | {"down": FAILS},
    CALM,
    CALM | {"down": FAILS, "month": DEAR},
    CALM | {"all-down": FAILS},
)
"""In this order, because Hypothesis takes the first one more often."""
MOST = {"down": 4, "all-down": 3, "month": 4}
"""How often each rule may change within an hour."""

names = st.sampled_from(NAMES)
workers = st.integers(0, 1)
looks = st.sampled_from([True, True, False])


def read(text: str) -> Policy:
    policy, problems = parse_policy(text.encode())
    assert policy is not None, problems
    return policy


POLICY = read(DOCUMENT)


class Killed(BaseException):
    """Stands for SIGKILL in the middle of a commit."""


class PolicyProcess:
    """One worker process: its own connections, its own view of the lease."""

    def __init__(self, place: str, number: int, history: PolicyHistory) -> None:
        self.fault_at: str | None = None
        clock = history.clock
        self.store = ControlStore(f"sqlite:///{place}/control.db", clock=clock, fault=self._fault)
        source = FileSource(Path(place) / "profiles.json")
        self.manager = ProfileManager(
            store=self.store, source=source, host=lambda: HOST, wake=WakeGroup(()), clock=clock
        )
        self.policies = Policies(
            manager=self.manager,
            store=self.store.policies,
            facts=lambda _policy, _now: history.facts,
            probes=OutageProbes(history.ask),
            lease=self._lease("policy", number, clock),
            host=lambda: HOST,
            members=lambda target: GROUPS & {target.name},
            place=PolicyPlace(Path(place) / "policy.yaml", FilesMemory(Path(place) / "policy.seen")),
            clock=clock,
        )
        self.rollouts = Rollouts(
            manager=self.manager,
            store=self.store.rollouts,
            facts=lambda _: {},
            lease=self._lease("rollouts", number, clock),
            clock=clock,
            rest=0,
        )

    def _lease(self, name: str, number: int, clock: Clock) -> Lease:
        return Lease(self.store.database, name, holder=f"w{number}", ttl=LEASE_SECONDS, clock=clock)

    def _fault(self, step: str) -> None:
        if step == self.fault_at:
            raise Killed


class PolicyHistory(RuleBasedStateMachine):
    """Two workers of one store."""

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: str) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.clock.now = datetime.fromisoformat(start).replace(tzinfo=BERLIN).timestamp()
        self.facts: Facts = CALM
        migrated(Path(self.place.name) / "control.db")
        self.workers = [PolicyProcess(self.place.name, number, self) for number in range(2)]
        self.runner.run(self.workers[0].manager.reload(actor=FILES))
        self.runner.run(self.workers[0].policies.take_up(POLICY, actor=ANNA))
        self.held: tuple[str, float | None] | None = None
        """Whom a person switched to, and until when: the model of the test."""
        self.settled = False
        self.begun: dict[str, list[float]] = defaultdict(list)
        self.known = dict.fromkeys(("down", "all-down", "month"), False)
        self.backwards = self.flapped = False

    async def ask(self, target: OutageTarget, _number: int) -> bool:
        name = "down" if target.name == "chat_balanced" else "all-down"
        return self.facts.get(name, WELL) == WELL

    def state(self) -> ControlState:
        state = self.workers[0].store.read()
        assert state is not None
        return state

    def turn(self, worker: int) -> None:
        before = self.state().revision
        receipt = self.runner.run(self.workers[worker].policies.turn())
        assert self.state().revision - before == (receipt is not None)
        self.note()

    def note(self) -> None:
        """Remember when rules began or ended."""
        for name, memory in self.workers[0].store.policies.memory().items():
            if memory.active != self.known[name]:
                self.known[name] = memory.active
                self.begun[name].append(self.clock.now)

    def go_on(self, *, look: bool) -> None:
        """Let the workers look for a while, or leave it to what comes next."""
        self.settled = False
        if look:
            self.settle()

    def settle(self) -> None:
        """Let the workers look until nothing changes: who died loses the lease, and probes are answered."""
        for _ in range(4):
            self.clock.now += LEASE_SECONDS + 1
            for worker in range(2):
                self.turn(worker)
        self.settled = True

    def active(self) -> set[str]:
        return {name for name, memory in self.workers[0].store.policies.memory().items() if memory.active}

    def expected(self) -> str:
        """Return the active profile by the precedence as it is written down, without the engine."""
        active, state = self.active(), self.state()
        if "all-down" in active:
            return "premium"
        if self.held is not None and (self.held[1] is None or self.clock.now < self.held[1]):
            return self.held[0]
        if state.canary is not None:
            return state.active
        if "month" in active:
            return "cost_effective"
        wall = datetime.fromtimestamp(self.clock.now, BERLIN)
        night = wall.hour >= 20 or (wall.hour, wall.minute) < (2, 30)
        return "cost_effective" if night else "balanced"

    @rule(world=st.sampled_from(WORLDS), look=looks)
    def the_world_changes(self, world: Facts, look: bool) -> None:
        self.facts = world
        self.go_on(look=look)

    @rule(seconds=st.sampled_from([400.0, 1800.0, 4 * 3600.0, 1.0]), look=looks)
    def time_passes(self, seconds: float, look: bool) -> None:
        self.clock.now += seconds
        self.go_on(look=look)

    @precondition(lambda self: not self.flapped)
    @rule()
    def a_group_comes_and_goes(self) -> None:
        """More often within the hour than its rule may change: in the end it rests where it is safe."""
        self.flapped = True
        for world in (WORLDS[-1], CALM, CALM, WORLDS[-1], CALM):  # a return takes a while longer
            self.facts = world
            self.settle()

    @rule(seconds=st.sampled_from([-3600.0, -86_400.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.clock.now += seconds
        self.settled, self.backwards = False, True

    @rule(worker=workers)
    def a_worker_looks(self, worker: int) -> None:
        self.turn(worker)
        self.settled = False

    @rule(worker=workers, name=names, minutes=st.sampled_from([None, 1, 90]), look=looks)
    def somebody_switches(self, worker: int, name: str, minutes: int | None, look: bool) -> None:
        until = None if minutes is None else self.clock.now + 60 * minutes
        self.runner.run(self.workers[worker].manager.switch(name, actor=ANNA, until=until))
        self.held = (name, until)
        assert self.state().active == name
        self.go_on(look=look)

    @rule(worker=workers, look=looks)
    def somebody_releases(self, worker: int, look: bool) -> None:
        hold = self.state().steering.hold
        held = hold is not None and (hold.until is None or self.clock.now < hold.until)
        try:
            self.runner.run(self.workers[worker].policies.release(actor=ANNA))
        except NothingHeld:
            assert not held
        else:
            assert held
        self.held = None
        self.go_on(look=look)

    @rule(worker=workers, name=names, look=looks)
    def a_rollout_begins(self, worker: int, name: str, look: bool) -> None:
        plan = RolloutPlan(name, (10, 100), 60.0, (), OnBreach.ROLLBACK, OnDone.ASK)
        try:
            self.runner.run(self.workers[worker].rollouts.start(plan, actor=ANNA))
        except RolloutRefused:
            return
        self.go_on(look=look)

    @rule(worker=workers, act=st.sampled_from([Act.PROMOTE, Act.ABORT]))
    def a_rollout_ends(self, worker: int, act: Act) -> None:
        try:
            self.runner.run(self.workers[worker].rollouts.act(act, actor=ANNA))
        except (UnknownRollout, RolloutRefused):
            return
        if act is Act.PROMOTE:  # who promotes has switched
            self.held = (self.state().active, None)
        self.settled = False

    @precondition(lambda self: "down" not in self.active())
    @rule(worker=workers, step=st.sampled_from(STEPS))
    def the_leader_is_killed_in_a_commit(self, worker: int, step: str) -> None:
        """All of the act is there with what its rules remember, or nothing of either; the other worker goes on."""
        self.facts = {**self.facts, "down": FAILS}  # so that there is something to commit
        self.clock.now += LEASE_SECONDS + 1
        before = self.state().revision
        # Who led before a clock was set back leads still.
        (killed,) = [number for number in (worker, 1 - worker) if self.is_killed(number, step)]
        assert self.state().revision - before == (step == "committed")
        assert ("down" in self.active()) == (step == "committed")
        self.note()
        self.clock.now += LEASE_SECONDS + 1
        self.turn(1 - killed)
        assert "down" in self.active()
        self.settled = False

    def is_killed(self, worker: int, step: str) -> bool:
        """Let a worker look, and return whether that came as far as this step of a commit: there it was killed."""
        process = self.workers[worker]
        process.fault_at = step
        try:
            self.runner.run(process.policies.turn())
        except Killed:
            return True
        finally:
            process.fault_at = None
        return False

    @rule(worker=workers)
    def a_leader_wakes_up_when_another_has_taken_over(self, worker: int) -> None:
        """What it had decided by then is not done: its fence, or the revision, is an old one."""
        slow, other = self.workers[worker], self.workers[1 - worker]
        fence, _ = slow.policies._lease.take()
        if fence is None:
            return
        state = self.state()
        self.clock.now += LEASE_SECONDS + 1
        assert other.policies._lease.take()[0] is not None
        view = self.runner.run(slow.policies.view())
        assert view is not None
        look = PolicyLook(state, view.policy, view.verdict, {}, fence, self.clock.now, ("it was so",))
        with suppress(LeaseLost):
            assert self.runner.run(slow.policies._carry_out(look)) is None
        assert self.state() == state
        self.settled = False

    @invariant()
    def what_is_active_is_what_the_precedence_says(self) -> None:
        if not getattr(self, "settled", False):
            return
        state = self.state()
        assert state.active == self.expected()
        moved = {"chat": "chat_premium"} if "down" in self.active() else {}
        assert dict(state.steering.moved) == moved

    @invariant()
    def no_rule_changes_too_often(self) -> None:
        if getattr(self, "backwards", True):
            return
        for name, most in MOST.items():
            for at in self.begun[name]:
                assert sum(at - HOUR < other <= at for other in self.begun[name]) <= most

    @invariant()
    def a_rule_that_may_not_change_any_more_applies(self) -> None:
        for name, memory in (
            self.workers[0].store.policies.memory().items() if hasattr(self, "workers") else ()
        ):
            assert memory.active or len(memory.changes) < MOST[name]

    @invariant()
    def every_act_is_a_revision_of_an_audit_log_that_is_intact(self) -> None:
        if hasattr(self, "workers"):
            assert self.workers[0].store.audit.verify() == self.state().revision

    def teardown(self) -> None:
        if not hasattr(self, "workers"):
            return
        self.facts = CALM
        self.settle()  # where the clock was set back, the hour of a rule that changed begins now
        self.clock.now += 2 * HOUR
        for _ in range(3):
            self.settle()
        assert not self.active()  # no return is lost
        for worker in self.workers:
            worker.store.close()
        self.runner.close()
        self.place.cleanup()


PolicyHistory.TestCase.settings = settings(
    max_examples=settings().max_examples // 6,  # each is a history of many steps
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestPolicyHistory = PolicyHistory.TestCase
