"""Laws of the control state under any history of switches, edits, faults, kills, reloads and rollbacks.

Groups of the host come and go meanwhile. Invariants 3 and 4: what the worker applied == the state == the last audit
row; revisions grow by one, with one audit row each; a kill at any step leaves revision N or N+1, never a mixture.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.control.worker import Worker
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import GroupUse, HostFacts, ProfileEdit, ProfileSet, alias_map
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import ProfilesInvalid, RevisionConflict
from tests.support.control import GROUPS, HOST, NAMES, TASKS, FileSource, MemoryEdit, RecordingApplier
from tests.support.migrated import migrated
from tests.unit.control.conftest import make_identity

ANNA = Actor("anna")
STEPS = ("locked", "written", "published", "committed")

names = st.sampled_from(NAMES)
tasks = st.sampled_from(TASKS)
steps = st.sampled_from(STEPS)


def uses(profiles: ProfileSet) -> set[GroupUse]:
    """Return every place of a set that names a group."""
    return {use for profile in profiles.profiles.values() for use in profile.uses()}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the process runs any more, clean-up included."""


class MortalSource(FileSource):
    """Profile files of a process that can be killed: a dead process puts nothing back."""

    alive = True

    def stage_set(
        self, profiles: ProfileSet, host: HostFacts, in_force: ProfileSet | None = None
    ) -> MemoryEdit:
        edit = super().stage_set(profiles, host, in_force)
        revert = edit.revert
        edit.revert = lambda: revert() if self.alive else None  # type: ignore[method-assign]
        return edit


class ControlHistory(RuleBasedStateMachine):
    """One host with one worker process at a time."""

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.history: list[tuple[str, ProfileSet]] = []
        self.groups = set(GROUPS)
        migrated(Path(self.place.name) / "control.db")
        self.start_process()

    def start_process(self) -> None:
        self.fault_at: str | None = None
        self.kill = False
        self.source = MortalSource(Path(self.place.name) / "profiles.json")
        self.store = ControlStore(f"sqlite:///{self.place.name}/control.db", fault=self.fault)
        self.applier = RecordingApplier()
        self.applier.host = self.facts()
        self.wake = WakeGroup(())
        self.worker = Worker(
            store=self.store,
            applier=self.applier,
            wake=self.wake,
            identity=make_identity(),
            poll_seconds=0.001,
        )
        self.manager = ProfileManager(store=self.store, source=self.source, host=self.facts, wake=self.wake)
        self.runner.run(self.worker.start())
        self.remember(self.runner.run(self.manager.reload(actor=FILES)))

    def facts(self) -> HostFacts:
        return HostFacts(groups=frozenset(self.groups))

    def breaks(self, profiles: ProfileSet) -> bool:
        """Return whether a set names a group that is gone at a place where the committed one does not."""
        return any(use.group not in self.groups for use in uses(profiles) - uses(self.state().profiles))

    @rule(group=st.sampled_from(sorted(GROUPS - {"tier"})))
    def a_group_vanishes_or_comes_back(self, group: str) -> None:
        """Whatever the host has, what is committed stays in force and every profile can be switched to."""
        self.groups ^= {group}
        self.applier.host = self.facts()

    def fault(self, step: str) -> None:
        if step == self.fault_at:
            self.source.alive = not self.kill
            raise Killed if self.kill else OSError("disk full")

    def remember(self, receipt: Receipt) -> None:
        """Note what a successful change must have led to."""
        assert receipt.complete
        state = self.state()
        assert receipt.revision == state.revision
        assert receipt.changed == (state.revision == len(self.history) + 1)
        if receipt.changed:
            self.history.append((state.active, state.profiles))

    def state(self) -> ControlState:
        state = self.store.read()
        assert state is not None
        return state

    @rule(name=names)
    def switch(self, name: str) -> None:
        self.remember(self.runner.run(self.manager.switch(name, actor=ANNA)))
        assert self.state().active == name

    @rule(name=names, task=tasks, goal=names)
    def edit(self, name: str, task: str, goal: str) -> None:
        group = f"{task}_{goal}"
        if self.breaks(self.source.stage_edit(name, ProfileEdit({task: group}), HOST).profiles):
            with pytest.raises(ProfilesInvalid):
                self.runner.run(self.manager.edit_task(name, task, group, actor=ANNA))
            return
        self.remember(self.runner.run(self.manager.edit_task(name, task, group, actor=ANNA)))
        assert self.state().profiles.profiles[name].tasks[task] == group
        assert self.source.read() == self.state().profiles

    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(1, len(self.history)))
        if self.breaks(self.history[revision - 1][1]):
            with pytest.raises(ProfilesInvalid):
                self.runner.run(self.manager.rollback(revision, actor=ANNA))
            return
        self.remember(self.runner.run(self.manager.rollback(revision, actor=ANNA)))
        state = self.state()
        assert (state.active, state.profiles) == self.history[revision - 1]
        assert self.source.read() == state.profiles

    @rule(name=names, task=tasks, goal=names)
    def edit_by_hand(self, name: str, task: str, goal: str) -> None:
        staged = self.source.stage_edit(name, ProfileEdit({task: f"{task}_{goal}"}), HOST)
        if self.breaks(staged.profiles):
            return
        self.source.write(staged.profiles)
        self.remember(self.runner.run(self.manager.reload(actor=FILES)))
        assert self.state().profiles == staged.profiles

    @rule()
    def reload_broken_files(self) -> None:
        self.source.invalid = True
        with pytest.raises(ProfilesInvalid):
            self.runner.run(self.manager.reload(actor=FILES))
        self.source.invalid = False

    @rule(name=names, behind=st.integers(1, 3))
    def switch_on_a_stale_revision(self, name: str, behind: int) -> None:
        with pytest.raises(RevisionConflict):
            self.runner.run(self.manager.switch(name, actor=ANNA, if_match=len(self.history) - behind))

    @precondition(lambda self: self.state().active != "premium")
    @rule(step=st.sampled_from(STEPS[:-1]))
    def switch_that_fails(self, step: str) -> None:
        self.fault_at = step
        with pytest.raises(OSError, match="disk full"):
            self.runner.run(self.manager.switch("premium", actor=ANNA))
        self.fault_at = None

    @rule(name=names, task=tasks, goal=names, step=st.sampled_from(STEPS[:-1]))
    def edit_that_fails(self, name: str, task: str, goal: str, step: str) -> None:
        wanted = self.source.stage_edit(name, ProfileEdit({task: f"{task}_{goal}"}), HOST).profiles
        if wanted == self.state().profiles or self.breaks(wanted):
            return
        self.fault_at = step
        with pytest.raises(OSError, match="disk full"):
            self.runner.run(self.manager.edit_task(name, task, f"{task}_{goal}", actor=ANNA))
        self.fault_at = None
        assert self.source.read() == self.state().profiles

    @rule(name=names, step=steps)
    def switch_that_is_killed(self, name: str, step: str) -> None:
        before = self.state()
        self.die_in(step, self.manager.switch(name, actor=ANNA))
        self.expect(before, (name, before.profiles), committed=step == "committed")

    @rule(name=names, task=tasks, goal=names, step=steps)
    def edit_that_is_killed(self, name: str, task: str, goal: str, step: str) -> None:
        before = self.state()
        wanted = self.source.stage_edit(name, ProfileEdit({task: f"{task}_{goal}"}), HOST).profiles
        if self.breaks(wanted):
            return
        self.die_in(step, self.manager.edit_task(name, task, f"{task}_{goal}", actor=ANNA))
        # Once published the file stands: the next start takes it up, as if it had been edited by hand.
        self.expect(before, (before.active, wanted), committed=step in ("published", "committed"))

    def die_in(self, step: str, change: object) -> None:
        """Run `change` with a kill at `step`, and start the next process."""
        self.fault_at, self.kill = step, True
        try:
            self.runner.run(change)  # type: ignore[arg-type]
        except Killed:
            pass
        finally:
            self.fault_at = None
        self.runner.run(self.worker.stop())
        self.store.close()
        before_restart = self.store.revision()
        if before_restart > len(self.history):
            state = self.state()
            self.history.append((state.active, state.profiles))
        self.start_process()

    def expect(self, before: ControlState, after: tuple[str, ProfileSet], *, committed: bool) -> None:
        state = self.state()
        assert (state.active, state.profiles) == (after if committed else (before.active, before.profiles))
        assert state.revision - before.revision in (0, 1)

    @invariant()
    def applied_is_state_is_last_audit_row(self) -> None:
        if not hasattr(self, "store"):
            return
        state = self.state()
        (last,) = self.runner.run(self.manager.audit(limit=1))
        applied = self.applier.applied[-1]
        assert (last.revision, last.profile_after, last.digest_after) == (
            state.revision,
            state.active,
            state.profiles.digest,
        )
        assert self.worker.revision == applied.revision == state.revision
        assert alias_map(applied.profiles, applied.active) == alias_map(state.profiles, state.active)

    @invariant()
    def one_audit_row_per_revision(self) -> None:
        if hasattr(self, "store"):
            assert self.store.audit.verify() == len(self.history) == self.state().revision

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.worker.stop())
            self.store.close()
            self.runner.close()
            self.place.cleanup()


ControlHistory.TestCase.settings = settings(
    max_examples=settings().max_examples // 6,  # each is a history of many steps
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestControlHistory = ControlHistory.TestCase
