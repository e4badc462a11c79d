"""ProfileManager: every change, its refusals and its receipt."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from neuronode_router.control.change import ChangeOrder, ChangeTarget
from neuronode_router.control.idempotency import Idempotency
from neuronode_router.control.manager import FILES, ProfileManager
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import FileWake
from neuronode_router.control.worker import Worker
from neuronode_router.control.workers import DRAINED, HELD, ServedRevision
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.receipts import Receipt
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import (
    IdempotencyMismatch,
    NotReady,
    ProfilesInvalid,
    ProfilesReadOnly,
    RevisionConflict,
    StaleFiles,
    UnknownProfile,
    UnknownRevision,
)
from tests.support.control import HOST, MemorySource, RecordingApplier, make_profile, make_set
from tests.support.servers import wait_until
from tests.unit.control.conftest import make_identity

ANNA = Actor("anna")


class TestSwitch:
    async def test_receipt_proves_that_the_worker_serves_the_revision(
        self, ready: ProfileManager, worker: Worker[ControlState], applier: RecordingApplier
    ) -> None:
        """When a switch returns complete, the worker's live state is the new one."""
        receipt = await ready.switch("premium", actor=ANNA, reason="demo")

        assert (receipt.revision, receipt.profile, receipt.previous_profile) == (2, "premium", "balanced")
        assert receipt.complete
        assert [ack.state for ack in receipt.workers] == ["applied"]
        assert worker.revision == 2
        assert applier.applied[-1].active == "premium"
        assert {change.task for change in receipt.changes} == {"classification", "chat"}

    async def test_unchanged_switch_makes_no_revision(self, ready: ProfileManager) -> None:
        """Switching to the active profile says so and commits nothing."""
        receipt = await ready.switch("balanced", actor=ANNA)

        assert (receipt.changed, receipt.revision, receipt.changes) == (False, 1, ())
        assert len(await ready.audit()) == 1

    async def test_a_move_is_a_revision_of_its_own(self, ready: ProfileManager, store: ControlStore) -> None:
        """Also to the active profile; the state remembers it beyond later changes, and the audit log says it."""
        kept = await ready.switch("premium", actor=ANNA)
        moved = await ready.switch("premium", actor=ANNA, moves=True, reason="it is down")
        later = await ready.switch("balanced", actor=ANNA)

        rules = [receipt.conversations.value for receipt in (kept, moved, later)]
        assert rules == ["keep", "move", "keep"]
        assert (moved.changed, moved.revision) == (True, 3)
        state = store.read()
        assert state is not None
        assert (state.revision, state.moved) == (4, 3)
        assert (await ready.audit())[1].reason == "conversations moved; it is down"

    async def test_the_receipt_counts_what_the_workers_report(
        self, ready: ProfileManager, store: ControlStore
    ) -> None:
        """Of workers that have applied the revision; others do not know yet."""
        current, behind = make_identity(), make_identity()
        for identity, revision in ((current, 2), (behind, 1)):
            report = {HELD: 3, DRAINED: 1}
            store.registry.announce(identity, ServedRevision(revision, 1.0, report=report))

        receipt = await ready.switch("premium", actor=ANNA, wait="none")

        held = {ack.instance: (ack.held, ack.drained) for ack in receipt.workers}
        assert (held[current.instance], held[behind.instance]) == ((3, 1), (0, 0))
        assert (receipt.held, receipt.drained) == (3, 1)

    async def test_dry_run_tells_the_changes_and_makes_none(self, ready: ProfileManager) -> None:
        """A dry run validates and shows what would change."""
        receipt = await ready.switch("premium", actor=ANNA, dry_run=True)

        assert (receipt.changed, receipt.dry_run, receipt.complete) == (True, True, False)
        assert len(receipt.changes) == 2
        assert (await ready.get_current_profile())["active_profile"] == "balanced"

    async def test_refusals_change_nothing(self, ready: ProfileManager) -> None:
        """Unknown profiles and stale If-Match are refused before anything happens."""
        with pytest.raises(UnknownProfile):
            await ready.switch("gold", actor=ANNA)
        with pytest.raises(RevisionConflict):
            await ready.switch("premium", actor=ANNA, if_match=7)

        assert len(await ready.audit()) == 1

    async def test_a_profile_the_host_cannot_serve_is_refused(
        self, store: ControlStore, source: MemorySource, wake: FileWake
    ) -> None:
        """With the whole ladder gone nothing answers the task: the switch is refused, and says which group it wants."""
        groups = set(HOST.groups)
        manager = ProfileManager(
            store=store, source=source, host=lambda: HostFacts(frozenset(groups)), wake=wake
        )
        await manager.reload(actor=FILES)
        groups -= {"chat_premium", "tier"}

        with pytest.raises(ProfilesInvalid) as caught:
            await manager.switch("premium", actor=ANNA)

        assert {(p.code, p.path) for p in caught.value.problems} >= {("unknown_group", "premium.tasks.chat")}

    async def test_a_dead_mapping_is_told_and_stops_no_switch(
        self, store: ControlStore, source: MemorySource, wake: FileWake
    ) -> None:
        """What the ladder answers instead is a warning in the receipt; edits elsewhere and those that mend pass."""
        groups = set(HOST.groups)
        manager = ProfileManager(
            store=store, source=source, host=lambda: HostFacts(frozenset(groups)), wake=wake
        )
        await manager.reload(actor=FILES)
        groups -= {"chat_premium", "chat_balanced"}

        switched = await manager.switch("premium", actor=ANNA)
        elsewhere = await manager.edit_task("premium", "classification", "tier", actor=ANNA)
        mended = await manager.edit_task("premium", "chat", "tier", actor=ANNA)

        assert "premium: tasks.chat names the model group 'chat_premium'" in switched.warnings[0]
        assert "'tier' answers instead" in switched.warnings[0]
        assert len(elsewhere.warnings) == 1
        assert mended.warnings == ()

    async def test_the_host_looks_once_more_before_a_group_is_unknown(
        self, store: ControlStore, source: MemorySource, wake: FileWake
    ) -> None:
        """A group that another process has just stored may be named; one that nobody has is refused after one look."""
        groups, looks = set(HOST.groups), []

        async def look() -> None:
            looks.append(len(looks))
            groups.add("fresh")

        manager = ProfileManager(
            store=store, source=source, host=lambda: HostFacts(frozenset(groups)), wake=wake, refresh=look
        )
        await manager.reload(actor=FILES)

        receipt = await manager.edit_task("premium", "chat", "fresh", actor=ANNA)
        with pytest.raises(ProfilesInvalid):
            await manager.edit_task("premium", "chat", "nobodys", actor=ANNA)

        assert receipt.changed
        assert looks == [0, 1]

    async def test_a_change_may_not_name_a_group_that_is_gone_elsewhere(
        self, store: ControlStore, source: MemorySource, wake: FileWake
    ) -> None:
        """A dead mapping is tolerated where it stands: another task may not be sent there."""
        groups = set(HOST.groups)
        manager = ProfileManager(
            store=store, source=source, host=lambda: HostFacts(frozenset(groups)), wake=wake
        )
        await manager.reload(actor=FILES)
        groups.remove("chat_balanced")

        with pytest.raises(ProfilesInvalid):
            await manager.edit_task("balanced", "classification", "chat_balanced", actor=ANNA)

    async def test_before_the_first_commit_there_is_nothing_to_switch(self, manager: ProfileManager) -> None:
        """An empty store answers NotReady, not something made up."""
        assert await manager.current() is None
        with pytest.raises(NotReady):
            await manager.switch("premium", actor=ANNA)

    async def test_log_line_cannot_be_forged(
        self, ready: ProfileManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Newlines, escapes, NUL and lone surrogates in names and reasons stay data; the log keeps one line."""
        with caplog.at_level(logging.INFO, logger="neuronode_router"):
            await ready.switch("premium", actor=Actor("a\nb"), reason="x\r\n\x1b[31m\0\ud800" + "y" * 1000)

        (record,) = [record for record in caplog.records if "committed" in record.message]
        assert record.message.isprintable()
        assert (
            json.loads(record.message.partition("{")[1] + record.message.partition("{")[2])["actor"] == "a\nb"
        )
        (entry, _) = await ready.audit()
        assert entry.reason.startswith("x\r\n\x1b[31m\N{REPLACEMENT CHARACTER}?y")
        assert len(entry.reason) == 500


class TestReceipts:
    async def test_a_busy_event_loop_keeps_no_worker_waiting(
        self, ready: ProfileManager, store: ControlStore, wake: FileWake
    ) -> None:
        """From the commit on all goes from thread to thread: the loop's next turn may be far away."""
        applier, identity = RecordingApplier(), make_identity()
        worker = Worker(store=store, applier=applier, wake=wake, identity=identity, poll_seconds=60)
        await worker.start()
        switched = asyncio.create_task(ready.switch("premium", actor=ANNA))
        await asyncio.sleep(0)

        wait_until(lambda: worker.revision == 2, seconds=10, what="the switch, while the loop has no turn")

        assert (await switched).complete
        await worker.stop()

    async def test_a_late_worker_is_shown_as_waiting(
        self, ready: ProfileManager, store: ControlStore
    ) -> None:
        """A live worker that does not answer makes the receipt incomplete after the time-out, and is named."""
        store.registry.announce(make_identity(), ServedRevision(revision=1))
        ready._carrier._receipt_timeout = 0.1

        receipt = await ready.switch("premium", actor=ANNA)

        (ack,) = receipt.workers
        assert (ack.state, ack.revision, ack.detail) == ("waiting", 1, "serves revision 1")
        assert not receipt.complete

    async def test_wait_none_and_one_return_early(
        self, ready: ProfileManager, store: ControlStore, worker: Worker[ControlState]
    ) -> None:
        """`none` does not wait, `one` is content with the first; neither calls an unfinished switch complete."""
        store.registry.announce(make_identity(), ServedRevision(revision=1))

        started = time.monotonic()
        none = await ready.switch("premium", actor=ANNA, wait="none")
        one = await ready.switch("balanced", actor=ANNA, wait="one")

        assert time.monotonic() - started < 2.0, "it waited for the late worker"
        assert sorted(ack.state for ack in one.workers) == ["applied", "waiting"]
        assert not none.complete
        assert not one.complete

    async def test_a_receipt_that_names_nobody_proves_nothing(self, ready: ProfileManager) -> None:
        """Where no worker is known not even the one that answers serves the revision."""
        receipt = await ready.switch("premium", actor=ANNA)

        assert (receipt.changed, receipt.workers, receipt.complete) == (True, (), False)

    async def test_a_refusal_is_in_the_receipt(
        self, ready: ProfileManager, worker: Worker[ControlState], applier: RecordingApplier
    ) -> None:
        """A worker that cannot take up the revision says why, at once."""
        await ready.reload(actor=FILES)
        applier.refusal = ProfilesInvalid([])

        receipt = await ready.switch("premium", actor=ANNA)

        (ack,) = receipt.workers
        assert (ack.state, ack.revision) == ("refused", 1)
        assert "0 problems" in ack.detail
        assert not receipt.complete

    async def test_on_receipt_is_called_after_committed_changes_only(
        self, store: ControlStore, source: MemorySource, wake: FileWake
    ) -> None:
        """Rendering follows every committed revision, and nothing else."""
        seen: list[Receipt] = []
        manager = ProfileManager(
            store=store, source=source, host=lambda: HOST, wake=wake, on_receipt=seen.append
        )

        await manager.reload(actor=FILES)
        await manager.reload(actor=FILES)
        await manager.switch("premium", actor=ANNA, dry_run=True)
        await manager.switch("premium", actor=ANNA)
        await asyncio.sleep(0)

        assert [receipt.revision for receipt in seen] == [1, 2]


class TestIdempotency:
    async def test_a_repeated_rollback_rolls_back_once(self, ready: ProfileManager) -> None:
        """The retry of a rollback gets the first one's receipt instead of toggling back."""
        key = Idempotency("k", "f" * 64)
        await ready.switch("premium", actor=ANNA)

        first = await ready.rollback(actor=ANNA, idempotency=key)
        again = await ready.rollback(actor=ANNA, idempotency=key)

        assert (first.replayed, again.replayed) == (False, True)
        volatile = ("replayed", "duration_ms")
        one, two = asdict(first), asdict(again)
        assert {k: v for k, v in one.items() if k not in volatile} == {
            k: v for k, v in two.items() if k not in volatile
        }
        assert (await ready.get_current_profile())["active_profile"] == "balanced"

    async def test_the_same_key_for_another_request_is_refused(self, ready: ProfileManager) -> None:
        """A key that comes back with another fingerprint is a mistake of the client."""
        await ready.switch("premium", actor=ANNA, idempotency=Idempotency("k", "f" * 64))

        with pytest.raises(IdempotencyMismatch):
            await ready.switch("balanced", actor=ANNA, idempotency=Idempotency("k", "0" * 64))

    async def test_two_at_once_act_once(self, ready: ProfileManager) -> None:
        """Two requests with one key at the same moment: one acts, the other is its replay."""
        key = Idempotency("k", "f" * 64)

        receipts = await asyncio.gather(
            *(ready.switch("premium", actor=ANNA, idempotency=key) for _ in range(2))
        )

        assert sorted(receipt.replayed for receipt in receipts) == [False, True]
        assert {receipt.revision for receipt in receipts} == {2}


class TestRollback:
    async def test_restores_profile_mappings_and_files(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """A rollback over an edit brings back the old mapping, in force and in the files, as a new revision."""
        await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA)
        await ready.switch("premium", actor=ANNA)

        receipt = await ready.rollback(1, actor=ANNA)

        assert (receipt.revision, receipt.action, receipt.profile) == (4, "rollback", "balanced")
        assert source.read() == make_set()
        assert (await ready.get_current_profile())["active_mappings"]["chat"] == "chat_balanced"

    async def test_previous_twice_leads_back(self, ready: ProfileManager) -> None:
        """ "previous" is the revision before the current one."""
        await ready.switch("premium", actor=ANNA)

        back = await ready.rollback(actor=ANNA)
        forth = await ready.rollback(actor=ANNA)

        assert (back.profile, forth.profile) == ("balanced", "premium")

    async def test_unknown_revisions_are_refused(self, ready: ProfileManager) -> None:
        """There is nothing before the first revision, nor after the last."""
        with pytest.raises(UnknownRevision):
            await ready.rollback(actor=ANNA)
        with pytest.raises(UnknownRevision):
            await ready.rollback(9, actor=ANNA)

    async def test_works_without_touching_files_that_need_no_change(
        self, ready: ProfileManager, source: MemorySource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On read-only files a rollback of a switch works, and one of an edit is refused whole."""

        def read_only(*_: object) -> None:
            raise ProfilesReadOnly("The directory is read-only.")

        await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA)
        await ready.switch("premium", actor=ANNA)
        monkeypatch.setattr(source, "stage_set", read_only)

        assert (await ready.rollback(2, actor=ANNA)).revision == 4
        with pytest.raises(ProfilesReadOnly):
            await ready.rollback(1, actor=ANNA)
        assert len(await ready.audit()) == 4


class TestFiles:
    async def test_edit_takes_effect_like_a_switch(
        self,
        ready: ProfileManager,
        worker: Worker[ControlState],
        applier: RecordingApplier,
        source: MemorySource,
    ) -> None:
        """One mapping is changed in the file and in every worker."""
        receipt = await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA, if_match=1)

        assert receipt.complete
        assert applier.applied[-1].profiles == source.read()
        assert source.read().profiles["balanced"].tasks["chat"] == "chat_premium"
        assert ("chat", "chat_premium") in {(change.task, change.after) for change in receipt.changes}

    async def test_edit_of_a_whole_profile_can_add_one(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """PUT of an unknown name adds the profile; it is not active."""
        document = make_profile(
            "night", chat="chat_premium", classification="classification_premium"
        ).to_document()

        receipt = await ready.edit_profile("night", document, actor=ANNA)

        assert (receipt.profile, receipt.changed) == ("balanced", True)
        assert {change.before for change in receipt.changes} == {None}
        assert ("night.description", "the night one") in {(each.task, each.after) for each in receipt.changes}
        assert "night" in source.read().profiles
        assert (await ready.switch("night", actor=ANNA)).revision == 3

    async def test_dry_run_of_an_edit_writes_no_file(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """A dry run validates the document and leaves file and state alone."""
        await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA, dry_run=True)

        assert source.read() == make_set()
        assert len(await ready.audit()) == 1

    async def test_reload_commits_what_the_files_say_once(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """Changed files become a revision; files that say the same do not."""
        source.write(make_set(premium=make_profile("premium", chat="chat_balanced")))

        changed = await ready.reload(actor=FILES)
        same = await ready.reload(actor=FILES)

        assert (changed.revision, changed.action, changed.changed) == (2, "reload", True)
        assert (same.revision, same.changed) == (2, False)

    async def test_broken_files_leave_the_last_good_set(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """Problems are raised and listed; switching among the last good profiles still works."""
        source.invalid = True

        with pytest.raises(ProfilesInvalid):
            await ready.reload(actor=FILES)

        assert [problem.code for problem in await ready.validate()] == ["broken"]
        assert (await ready.switch("premium", actor=ANNA)).revision == 2

    async def test_an_edit_on_an_old_copy_is_refused(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """An edit is staged on this host's files: where they lag behind, it would bring back all they say."""
        await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA)
        source.write(make_set())

        with pytest.raises(StaleFiles):
            await ready.edit_task("premium", "chat", "chat_balanced", actor=ANNA)

        assert (await ready.get_current_profile())["revision"] == 2

    async def test_an_old_copy_is_refused_where_that_is_asked_for(
        self, ready: ProfileManager, source: MemorySource
    ) -> None:
        """Only what an earlier revision said is stale: not the current set, and not one that nobody has seen."""
        await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA)
        assert not (await ready.reload("unless_stale", actor=FILES)).changed
        source.write(make_set())

        with pytest.raises(StaleFiles):
            await ready.reload("unless_stale", actor=FILES)
        left = await ready.reload("if_empty", actor=FILES)
        source.write(make_set(premium=make_profile("premium", chat="chat_balanced")))
        new = await ready.reload("unless_stale", actor=FILES)

        assert (left.changed, left.revision) == (False, 2)
        assert (new.changed, new.revision) == (True, 3)

    async def test_files_that_a_neighbour_commits_meanwhile_are_not_stale(
        self, ready: ProfileManager, store: ControlStore, wake: FileWake
    ) -> None:
        """Of two processes that start with the same files, the slower one finds nothing to do."""
        await ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA)

        class Overtaken(MemorySource):
            def load(self, host: HostFacts) -> ProfileSet:
                if store.revision() == 2:
                    order, target = ChangeOrder("reload", FILES), ChangeTarget("balanced", self.read())
                    store.commit(order, target, (), expected=2)
                return super().load(host)

        slower = ProfileManager(store=store, source=Overtaken(), host=lambda: HOST, wake=wake)
        receipt = await slower.reload("unless_stale", actor=FILES)

        assert (receipt.changed, receipt.revision) == (False, 3)

    async def test_first_reload_is_the_bootstrap(self, manager: ProfileManager) -> None:
        """The first revision is made of the files and the default profile."""
        receipt = await manager.reload(actor=FILES)

        assert (receipt.revision, receipt.action, receipt.profile) == (1, "bootstrap", "balanced")
        assert receipt.previous_profile is None
        assert await manager.validate() == ()


async def test_the_current_profile_shows_what_is_committed(ready: ProfileManager) -> None:
    """The fields of the current profile."""
    current = await ready.get_current_profile()

    assert current == {
        "active_profile": "balanced",
        "active_mappings": {"classification": "classification_balanced", "chat": "chat_balanced"},
        "profile_metadata": {
            "description": "the balanced one",
            "cost_level": "low",
            "performance_level": "high",
        },
        "revision": 1,
    }


async def test_concurrent_changes_without_if_match_all_happen(
    ready: ProfileManager, store: ControlStore, source: MemorySource, tmp_path: Path
) -> None:
    """Two managers (as in two processes) edit different tasks at once: neither edit is lost."""
    other = ProfileManager(store=store, source=source, host=lambda: HOST, wake=FileWake(tmp_path / "w" / "r"))

    await asyncio.gather(
        ready.edit_task("balanced", "chat", "chat_premium", actor=ANNA),
        other.edit_task("balanced", "classification", "classification_premium", actor=ANNA),
    )

    assert dict(source.read().profiles["balanced"].tasks) == {
        "chat": "chat_premium",
        "classification": "classification_premium",
    }
    state = await ready.current()
    assert state is not None
    assert (state.revision, state.profiles) == (3, source.read())
