"""The control store's contract, over SQLite and real PostgreSQL."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from neuronode_router.control.audit import AuditQuery, read_copy
from neuronode_router.control.change import ChangeOrder, ChangeTarget
from neuronode_router.control.idempotency import Idempotency, Recalled
from neuronode_router.control.store import ControlStore
from neuronode_router.control.workers import ServedRevision, WorkerIdentity
from neuronode_router.domain.audit import Actor
from neuronode_router.domain.profiles import ProfileSet, task_changes
from neuronode_router.errors import (
    AuditBroken,
    IdempotencyMismatch,
    ProfilesReadOnly,
    RevisionConflict,
    SchemaTooNew,
    SettingsError,
    StateUnreadable,
    UnknownRevision,
)
from neuronode_router.storage.database import SCHEMA
from neuronode_router.storage.tables import VERSION_TABLE, audit, metadata
from tests.contract.conftest import MakeStore
from tests.support.clock import Clock
from tests.support.control import HOST, MemorySource, make_profile, make_set
from tests.support.servers import wait_until

_COPIED = ", ".join(column.name for column in audit.columns if column.name != "revision")
FORGED = f"INSERT INTO neuronode_audit SELECT {{number}}, {_COPIED} FROM neuronode_audit WHERE revision = 5"

EDITED = make_set(premium=make_profile("premium", chat="chat_balanced"))


ORDERED = ("action", "actor", "reason", "idempotency", "moves")


def propose(expected: int, active: str = "premium", **changed: object) -> dict[str, Any]:
    """Return what is committed for a switch to `active`, based on revision `expected`; `changed` are other fields."""
    order = {"action": "switch", "actor": Actor("anna"), "reason": "because"}
    order |= {name: changed.pop(name) for name in ORDERED if name in changed}
    changes = task_changes({"chat": "chat_balanced"}, {"chat": f"chat_{active}"})
    target = ChangeTarget(active, **{"profiles": make_set(), **changed})
    return {"order": ChangeOrder(**order), "target": target, "changes": changes, "expected": expected}


def fill(store: ControlStore, count: int, **changed: object) -> None:
    """Commit `count` revisions that alternate between two profiles."""
    for revision in range(count):
        store.commit(**propose(revision, active=("balanced", "premium")[revision % 2], **changed))


def exported(store: ControlStore) -> list[bytes]:
    """Return the log's entries as the export writes them, oldest first."""
    return [
        json.dumps(asdict(entry), ensure_ascii=False).encode()
        for entry in reversed(store.audit.page(AuditQuery()))
    ]


def tamper(url: str, statement: str) -> None:
    """Run SQL behind the store's back."""
    run(url, f"SET search_path TO {SCHEMA}; {statement}" if url.startswith("postgres") else statement)


def run(url: str, statement: str) -> None:
    """Run SQL as anybody else does."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def schemas(url: str) -> dict[str, set[str]]:
    """Return the tables of a database by schema, those of PostgreSQL itself left out."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    looking = inspect(engine)
    names = looking.get_schema_names()
    found = {name: set(looking.get_table_names(name)) for name in names if name != "information_schema"}
    engine.dispose()
    return found


class TestRevisions:
    def test_empty_store_has_revision_zero_and_no_state(self, make_store: MakeStore, new_url: str) -> None:
        """A new database is migrated on first use and says that nothing was committed."""
        store = make_store(new_url)

        assert store.revision() == 0

        assert store.read() is None
        assert store.audit.page(AuditQuery()) == ()
        assert store.audit.verify() == 0

    def test_commit_makes_state_and_audit_row_agree(self, store: ControlStore) -> None:
        """What was proposed is what is read, and its audit row tells how it came about."""
        store.commit(**propose(0, active="balanced"))

        entry = store.commit(**propose(1, profiles=EDITED))

        state = store.read()
        assert state is not None
        assert (state.revision, state.active, state.profiles) == (2, "premium", EDITED)
        assert state.profiles.digest == EDITED.digest == entry.digest_after
        assert state.committed_at == entry.at
        assert store.audit.page(AuditQuery(limit=1)) == (entry,)
        assert (entry.profile_before, entry.profile_after) == ("balanced", "premium")
        assert entry.actor == Actor("anna")
        assert [change.after for change in entry.changes] == ["chat_premium"]

    def test_commit_on_an_older_revision_is_a_conflict_and_changes_nothing(self, store: ControlStore) -> None:
        """The loser of a race is told both revisions, and leaves no trace."""
        fill(store, 2)

        with pytest.raises(RevisionConflict) as caught:
            store.commit(**propose(1))

        assert (caught.value.expected, caught.value.actual) == (1, 2)
        assert store.revision() == store.audit.verify() == 2

    def test_read_unless_skips_the_revision_one_has(self, store: ControlStore) -> None:
        """A worker that is up to date gets nothing to parse; any other gets the current state."""
        fill(store, 2)

        assert store.read(unless=2) is None
        newer = store.read(unless=1)
        assert newer is not None
        assert newer.revision == 2

    def test_read_at_gives_an_old_revision_complete(self, store: ControlStore) -> None:
        """An earlier revision's profile and mappings are kept, whatever came after."""
        fill(store, 1)
        store.commit(**propose(1, profiles=EDITED))
        store.commit(**propose(2, active="balanced"))

        old = store.read_at(2)

        assert (old.revision, old.active, old.profiles) == (2, "premium", EDITED)
        with pytest.raises(UnknownRevision):
            store.read_at(4)

    def test_last_with_is_the_newest_revision_of_a_set(self, store: ControlStore) -> None:
        """Also switches that leave the set alone count; a set that nobody committed has none."""
        fill(store, 2)
        store.commit(**propose(2, profiles=EDITED))

        assert store.last_with(make_set().digest) == 2
        assert store.last_with(EDITED.digest) == 3
        assert store.last_with("unknown") is None

    def test_one_of_many_concurrent_commits_wins(self, make_store: MakeStore) -> None:
        """Sixteen threads over four stores commit on the same revision: one wins, fifteen conflict."""
        stores = [make_store() for _ in range(4)]
        fill(stores[0], 1)
        start = threading.Barrier(16)

        def compete(number: int) -> str:
            start.wait()
            try:
                stores[number % 4].commit(**propose(1))
            except RevisionConflict:
                return "conflict"
            return "won"

        with ThreadPoolExecutor(16) as pool:
            results = sorted(pool.map(compete, range(16)))

        assert results == ["conflict"] * 15 + ["won"]
        assert stores[0].audit.verify() == 2

    def test_stores_that_start_at_once_migrate_once(self, make_store: MakeStore, new_url: str) -> None:
        """Eight stores meet on an empty database: all work, the schema is made once."""
        stores = [make_store(new_url) for _ in range(8)]
        start = threading.Barrier(8)

        def begin(store: ControlStore) -> int:
            start.wait()
            return store.revision()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(begin, stores)) == [0] * 8

    @pytest.mark.parametrize(
        "oldest",
        [
            "UPDATE neuronode_reader SET oldest = '9998'",
            "DELETE FROM neuronode_reader",
            "DROP TABLE neuronode_reader",
        ],
    )
    def test_a_newer_schema_that_does_not_allow_for_this_release_is_refused(
        self, store: ControlStore, make_store: MakeStore, state_url: str, oldest: str
    ) -> None:
        """A store does not touch it, and who asks first is told the same; nothing is migrated for the answer."""
        fill(store, 1)
        tamper(state_url, oldest)
        tamper(state_url, "UPDATE neuronode_version SET version_num = '9999'")

        with pytest.raises(SchemaTooNew, match="schema 9999"):
            make_store().revision()
        with pytest.raises(SchemaTooNew, match="schema 9999"):
            make_store().require_readable()

    def test_a_newer_schema_that_only_adds_is_used_as_it_is(
        self, store: ControlStore, make_store: MakeStore, state_url: str
    ) -> None:
        """A release that is restarted in the middle of an upgrade, or gone back to, serves on and can be switched."""
        fill(store, 1)
        tamper(state_url, "ALTER TABLE neuronode_state ADD COLUMN newer INTEGER")
        tamper(state_url, "UPDATE neuronode_version SET version_num = '9999'")

        older = make_store()
        older.require_readable()
        older.commit(**propose(1))

        assert older.revision() == older.audit.verify() == 2

    def test_what_cannot_be_taken_up_is_told_before_a_start(
        self, store: ControlStore, make_store: MakeStore, state_url: str
    ) -> None:
        """A revision of a newer release; without one there is nothing to tell."""
        store.require_readable()
        fill(store, 1)
        tamper(state_url, "UPDATE neuronode_state SET bindings = '{\"newer\": 1}'")

        with pytest.raises(StateUnreadable, match="Revision 1 cannot be read"):
            make_store().require_readable()

    def test_asking_whether_it_can_be_read_makes_nothing(self, make_store: MakeStore, new_url: str) -> None:
        """A database that nobody has used yet stays as it is: the first start makes what it needs."""
        make_store(new_url).require_readable()

        if new_url.startswith("sqlite"):
            assert not Path(new_url.removeprefix("sqlite:///")).exists()
        else:
            assert SCHEMA not in schemas(new_url)


class TestSchema:
    TABLES = frozenset({VERSION_TABLE, *metadata.tables})

    def test_postgresql_has_our_tables_in_a_schema_of_their_own(self, postgres_url: str) -> None:
        """`public`, which LiteLLM's migrations may clear of all they do not know, has none of them."""
        store = ControlStore(postgres_url)
        fill(store, 2)
        store.close()

        assert schemas(postgres_url) == {SCHEMA: self.TABLES, "public": set()}

    def test_tables_of_an_older_release_are_moved_there(self, postgres_url: str) -> None:
        """What an earlier release wrote into `public` is found again, and nothing is left behind."""
        before = ControlStore(postgres_url)
        fill(before, 2)
        before.close()
        for table in self.TABLES:
            run(postgres_url, f"ALTER TABLE {SCHEMA}.{table} SET SCHEMA public")
        run(postgres_url, f"DROP SCHEMA {SCHEMA}; CREATE TABLE public.theirs (id int)")

        store = ControlStore(postgres_url)
        revision, rows = store.revision(), store.audit.verify()
        store.close()

        assert (revision, rows) == (2, 2)
        assert schemas(postgres_url) == {SCHEMA: self.TABLES, "public": {"theirs"}}

    def test_a_schema_that_is_there_is_used_by_one_who_may_not_make_it(self, postgres_url: str) -> None:
        """A role without the right to create schemas needs one that is its own, and nothing else."""
        role = f"limited_{os.getpid()}"
        run(postgres_url, f"CREATE ROLE {role} LOGIN; CREATE SCHEMA {SCHEMA} AUTHORIZATION {role}")
        store = ControlStore(make_url(postgres_url).set(username=role).render_as_string(hide_password=False))

        revision = store.revision()
        store.close()

        assert revision == 0


class TestFiles:
    def test_files_are_put_back_when_the_commit_fails_after_publishing(self, make_store: MakeStore) -> None:
        """An error between publishing and COMMIT leaves the old files and the old revision."""

        def break_down(step: str) -> None:
            if step == "published":
                raise OSError("no space left")

        source = MemorySource()
        fill(make_store(), 1)
        edit = source.stage_set(EDITED, HOST)

        with pytest.raises(OSError, match="no space"):
            make_store(fault=break_down).commit(**propose(1, profiles=EDITED, edit=edit))

        assert source.read() == make_set()
        assert make_store().revision() == 1

    def test_files_that_cannot_be_written_stop_the_commit(self, store: ControlStore) -> None:
        """A read-only directory is found before COMMIT, so no revision says what the files do not."""

        class ReadOnly:
            profiles = EDITED

            def publish(self) -> None:
                raise ProfilesReadOnly("The directory is read-only.")

            def revert(self) -> None:
                raise AssertionError("nothing was published")

        fill(store, 1)

        with pytest.raises(ProfilesReadOnly):
            store.commit(**propose(1, profiles=EDITED, edit=ReadOnly()))

        assert store.revision() == 1


class TestAudit:
    def test_pages_follow_the_cursor_and_the_filters(self, store: ControlStore) -> None:
        """Pages are newest first, end at the cursor, and every filter leaves what it names."""
        fill(store, 7)
        store.commit(**propose(7, active="cost_effective", actor=Actor("bert (4f1a)"), action="edit"))
        at = {entry.revision: entry.at for entry in store.audit.page(AuditQuery())}

        def revisions(**query: object) -> list[int]:
            return [entry.revision for entry in store.audit.page(AuditQuery(**query))]  # type: ignore[arg-type]

        assert revisions(limit=3) == [8, 7, 6]
        assert revisions(limit=3, before=6) == [5, 4, 3]
        assert revisions(after=5) == [8, 7, 6]
        assert revisions(actor="bert") == revisions(actor="bert (4f1a)") == revisions(action="edit") == [8]
        assert revisions(actor="ber") == revisions(actor="b%") == []
        assert revisions(profile="cost_effective") == [8]
        assert revisions(profile="premium", after=5) == [7, 6]
        assert revisions(since=at[7]) == [8, 7]
        assert revisions(until=at[3]) == [2, 1]

    @pytest.mark.parametrize(
        ("statement", "first_bad"),
        [
            ("UPDATE neuronode_audit SET reason = 'forged' WHERE revision = 3", 3),
            ("UPDATE neuronode_audit SET at = at + 1 WHERE revision = 2", 2),
            ("UPDATE neuronode_audit SET actor_name = 'bert' WHERE revision = 1", 1),
            ("UPDATE neuronode_audit SET changes = 'x' WHERE revision = 4", 4),
            ("DELETE FROM neuronode_audit WHERE revision = 3", 3),
            ("DELETE FROM neuronode_audit WHERE revision = 1", 1),
            ("DELETE FROM neuronode_audit WHERE revision > 3", 4),
            ("DELETE FROM neuronode_audit", 1),
            (
                "UPDATE neuronode_audit SET revision = CASE revision WHEN 2 THEN -3 ELSE -2 END"
                " WHERE revision IN (2, 3); UPDATE neuronode_audit SET revision = -revision WHERE revision < 0",
                2,
            ),
            (FORGED.format(number=6), 6),
            (FORGED.format(number=900), 900),
            (FORGED.format(number=0), 0),
            (FORGED.format(number=-7), -7),
            ("UPDATE neuronode_state SET active = 'cost_effective'", 5),
            ("UPDATE neuronode_state SET head = 'x'", 5),
            ("UPDATE neuronode_profile_set SET document = '{}'", 1),
        ],
    )
    def test_tampering_is_found_and_named(
        self, store: ControlStore, state_url: str, statement: str, first_bad: int
    ) -> None:
        """Edited, deleted, reordered and truncated rows, state and sets: verify names the first bad revision."""
        fill(store, 5)
        assert store.audit.verify() == 5

        for part in statement.split(";"):
            tamper(state_url, part)

        with pytest.raises(AuditBroken) as caught:
            store.audit.verify()
        assert caught.value.revision == first_bad

    @pytest.mark.parametrize("numbers", [(6,), (6, 7, 900), (-1, 6)])
    def test_a_row_that_nobody_committed_keeps_nobody_from_committing(
        self, store: ControlStore, state_url: str, numbers: tuple[int, ...]
    ) -> None:
        """It is set aside: the log goes on, its pages do not show it, and verify names it until it is deleted."""
        fill(store, 5)
        for number in numbers:
            tamper(state_url, FORGED.format(number=number))

        store.commit(**propose(5))

        assert [entry.revision for entry in store.audit.page(AuditQuery())] == [6, 5, 4, 3, 2, 1]
        with pytest.raises(AuditBroken, match="Nobody committed row -") as caught:
            store.audit.verify()
        assert caught.value.revision < 0
        tamper(state_url, "DELETE FROM neuronode_audit WHERE revision < 1")
        assert store.audit.verify() == 6

    def test_a_log_that_was_computed_anew_differs_from_a_copy(
        self, store: ControlStore, make_store: MakeStore, tmp_path: Path
    ) -> None:
        """Whoever may write to the database can make a chain that verifies; a copy kept elsewhere shows it."""
        fill(store, 5)
        copy = read_copy(exported(store))
        other = ControlStore(f"sqlite:///{tmp_path / 'forged.db'}")
        fill(other, 5, reason="never said")

        assert store.audit.verify(against=copy) == other.audit.verify() == 5
        with pytest.raises(AuditBroken, match="another one than in the copy") as differs:
            other.audit.verify(against=copy)
        assert differs.value.revision == 1
        other.close()

    def test_a_log_that_was_cut_off_is_shorter_than_its_copy(
        self, store: ControlStore, tmp_path: Path
    ) -> None:
        """The first revision that is gone is named; a log that has gone on holds the copy all the same."""
        fill(store, 5)
        copy = read_copy(exported(store))
        shorter = ControlStore(f"sqlite:///{tmp_path / 'shorter.db'}")

        store.commit(**propose(5))
        assert store.audit.verify(against=copy) == 6
        with pytest.raises(AuditBroken, match="goes on to revision 5") as cut:
            shorter.audit.verify(against=copy)
        assert cut.value.revision == 1
        shorter.close()

    @pytest.mark.parametrize(
        "changed", [{"reason": "forged"}, {"bindings": '{"team:a": {}}'}, {"hash": "0" * 64}]
    )
    def test_a_copy_that_was_edited_is_no_witness(self, store: ControlStore, changed: dict[str, str]) -> None:
        """Nor is a line that is no entry."""
        fill(store, 2)
        first, second = exported(store)

        with pytest.raises(AuditBroken, match="Line 2 of the copy was edited"):
            read_copy([first, json.dumps(json.loads(second) | changed).encode()])
        for line in (b"{}", b"\xff"):
            with pytest.raises(AuditBroken, match="Line 1 of the copy is no entry"):
                read_copy([line])

    def test_copies_that_are_joined_must_be_of_one_log(
        self, store: ControlStore, make_store: MakeStore, tmp_path: Path
    ) -> None:
        """Whatever overlaps is the same, and what is beside each other follows: of a forged log nothing is left out."""
        fill(store, 4)
        other = ControlStore(f"sqlite:///{tmp_path / 'forged.db'}")
        fill(other, 4, reason="never said")
        genuine, forged = exported(store), exported(other)
        other.close()

        assert len(read_copy([*genuine[2:], b"\n", *genuine])) == 4
        for joined in ([*genuine, *forged], [*genuine, forged[0]]):
            with pytest.raises(AuditBroken, match="another revision"):
                read_copy(joined)
        with pytest.raises(AuditBroken, match="Revision 3 of the copy does not follow"):
            read_copy([*genuine[:2], *forged[2:]])

    @pytest.mark.parametrize("lines", [[], [b"\n"], [b'{"table": "neuronode_profile_set", "row": {}}\n']])
    def test_a_copy_without_an_entry_proves_nothing(self, lines: list[bytes]) -> None:
        """As one that could not be fetched."""
        with pytest.raises(AuditBroken, match="holds no entry"):
            read_copy(lines)


class TestIdempotency:
    @pytest.mark.parametrize("ahead", [0, 48 * 3600, -48 * 3600])
    def test_a_key_leads_to_its_revision_for_24_hours(
        self, make_store: MakeStore, shared_clock: Clock, ahead: float
    ) -> None:
        """A key finds its first run's revision, for its actor only, until it is a day old; a host's clock may err."""
        first, store = make_store(), make_store(clock=lambda: shared_clock() + ahead)
        wanted = Idempotency("k", "f" * 64)
        assert store.keys.recall(wanted, actor="anna") is None

        first.commit(**propose(0, idempotency=wanted))

        assert store.keys.recall(wanted, actor="anna") == Recalled(1, changed=True)
        assert store.keys.recall(wanted, actor="bert") is None
        shared_clock.now += 24 * 3600 + 1
        assert store.keys.recall(wanted, actor="anna") is None
        store.commit(**propose(1, idempotency=wanted))
        assert store.keys.recall(wanted, actor="anna") == Recalled(2, changed=True)

    def test_a_request_that_found_nothing_to_do_keeps_its_key(self, store: ControlStore) -> None:
        """It is told apart from the request that made the revision; at another revision it is to look anew."""
        wanted = Idempotency("k", "f" * 64)
        store.commit(**propose(0))
        store.claim(wanted, actor="anna", revision=1)

        assert store.keys.recall(wanted, actor="anna") == Recalled(1, changed=False)
        with pytest.raises(RevisionConflict):
            store.claim(wanted, actor="anna", revision=1)
        with pytest.raises(IdempotencyMismatch):
            store.claim(Idempotency("k", "0" * 64), actor="anna", revision=1)
        with pytest.raises(RevisionConflict):
            store.claim(Idempotency("other", "f" * 64), actor="anna", revision=0)

    def test_another_request_with_the_same_key_is_refused(self, store: ControlStore) -> None:
        """A key belongs to one request."""
        store.commit(**propose(0, idempotency=Idempotency("k", "f" * 64)))

        with pytest.raises(IdempotencyMismatch):
            store.keys.recall(Idempotency("k", "0" * 64), actor="anna")

    def test_a_key_that_appeared_meanwhile_stops_the_commit(self, store: ControlStore) -> None:
        """Between recall and commit the same key may come in elsewhere: the second commit does not happen, be it of the
        same request, which is looked for again, or of another one.
        """
        wanted = Idempotency("k", "f" * 64)
        store.commit(**propose(0, idempotency=wanted))

        with pytest.raises(RevisionConflict):
            store.commit(**propose(1, idempotency=wanted))
        with pytest.raises(IdempotencyMismatch):
            store.commit(**propose(1, idempotency=replace(wanted, fingerprint="0" * 64)))

        assert store.revision() == 1


class TestWorkers:
    def test_a_row_is_registration_acknowledgement_and_heartbeat(self, make_store: MakeStore) -> None:
        """A worker appears, acknowledges with its time, refuses with its reason, and retires."""
        store = make_store(clock=lambda: 100.0)
        me = WorkerIdentity("w1", "here", os.getpid(), "1.0", 50.0)

        store.registry.announce(me, ServedRevision(report={"mode": "inotify"}))
        (waiting,) = store.registry.acknowledgements(3, committed_at=100.0)
        store.registry.announce(me, ServedRevision(revision=3, applied_at=100.25))
        (applied,) = store.registry.acknowledgements(3, committed_at=100.0)
        store.registry.announce(
            me, ServedRevision(revision=3, applied_at=100.25, refused=4, detail="no group")
        )
        (refused,) = store.registry.acknowledgements(4, committed_at=101.0)

        assert (waiting.state, waiting.revision, waiting.detail) == ("waiting", 0, "serves revision 0")
        assert (applied.state, applied.after_ms) == ("applied", 250.0)
        assert (refused.state, refused.revision, refused.detail) == ("refused", 3, "no group")
        (status,) = store.registry.workers()
        assert (status.instance, status.live, status.version, status.started_at) == ("w1", True, "1.0", 50.0)
        store.registry.retire("w1")
        assert store.registry.workers() == ()

    def test_a_worker_of_another_host_lives_by_its_heartbeat(
        self, make_store: MakeStore, state_url: str
    ) -> None:
        """Where the pid says nothing to us, silence longer than the TTL is death, and an hour of it is oblivion."""

        def silent(seconds: float) -> list[bool]:
            store.registry.announce(far, ServedRevision())
            tamper(
                state_url,
                f"UPDATE neuronode_worker SET mark = 'other', heartbeat_at = heartbeat_at - {seconds}",
            )
            return [worker.live for worker in store.registry.workers()]

        store = make_store(worker_ttl=60.0)
        far = WorkerIdentity("far", "there", 1, "1.0", 50.0)

        assert silent(5) == [True]
        assert silent(61) == [False]
        assert store.registry.acknowledgements(1, committed_at=0.0) == ()
        assert silent(4000) == [False]
        store.registry.announce(WorkerIdentity("me", "here", os.getpid(), "1.0", 3000.0), ServedRevision())
        assert [worker.instance for worker in store.registry.workers()] == ["me"]

    @pytest.mark.parametrize("ahead", [3600, 0, -3600])
    def test_hosts_whose_clocks_differ_by_an_hour_see_each_other(
        self, postgres_url: str, ahead: float
    ) -> None:
        """A receipt waits for a host whose clock is wrong: heartbeats are by the database's clock."""
        skewed, ours = (
            ControlStore(postgres_url, clock=lambda: time.time() + ahead),
            ControlStore(postgres_url),
        )
        skewed.registry.announce(WorkerIdentity("far", "there", 1, "1.0", 50.0), ServedRevision())
        tamper(postgres_url, "UPDATE neuronode_worker SET mark = 'other'")

        acks = [store.registry.acknowledgements(1, committed_at=0.0) for store in (skewed, ours)]
        skewed.close()
        ours.close()

        assert [ack.state for seen in acks for ack in seen] == ["waiting", "waiting"]

    def test_a_process_of_this_host_is_dead_when_it_is_gone_and_alive_when_frozen(
        self, make_store: MakeStore
    ) -> None:
        """A killed neighbour is not waited for; a frozen one is, however old its heartbeat."""
        now = [100.0]
        store = make_store(clock=lambda: now[0], worker_ttl=10.0)
        process = subprocess.Popen(["sleep", "60"])
        store.registry.announce(WorkerIdentity("child", "here", process.pid, "1.0", 50.0), ServedRevision())

        now[0] = 500.0
        assert [ack.state for ack in store.registry.acknowledgements(1, committed_at=0.0)] == ["waiting"]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert store.registry.acknowledgements(1, committed_at=0.0) == (), "a zombie serves nobody"
        process.wait(10)
        assert store.registry.acknowledgements(1, committed_at=0.0) == ()


def test_a_mark_that_stays_hides_no_commit(store: ControlStore, state_url: str) -> None:
    """Whoever saw a mark and sees it again may keep what he has read; there is none while a clock cannot tell."""
    fill(store, 1)
    database = store.database
    if not state_url.startswith("sqlite"):
        assert database.mark() is None
        return
    wait_until(lambda: database.mark() is not None, what="a mark")
    resting = database.mark()

    untouched = database.mark()
    store.commit(**propose(1, active="premium"))
    at_once = database.mark()
    wait_until(lambda: database.mark() is not None, what="a mark")

    assert untouched == resting
    assert at_once is None
    assert database.mark() != resting


def test_a_connection_in_use_while_all_are_closed_is_closed_when_it_comes_back(store: ControlStore) -> None:
    """A thread that still waits for the database when its host stops leaves nothing open."""
    fill(store, 1)
    with store.database.reading() as used:
        taken = used.connection.dbapi_connection
        store.close()
        assert used.execute(text("SELECT 1")).scalar() == 1

    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        taken.execute("SELECT 1")


def test_a_url_that_can_never_work_is_a_settings_error() -> None:
    """Other databases and unreadable URLs are refused when the store is built."""
    for url in ("mysql://x/y", "no url"):
        with pytest.raises(SettingsError):
            ControlStore(url)


def test_sets_that_differ_only_in_order_are_stored_once(store: ControlStore) -> None:
    """The digest does not depend on the order of files, so a re-sorted directory is no new set."""
    store.commit(**propose(0))
    shuffled = ProfileSet(dict(reversed(make_set().profiles.items())))

    store.commit(**propose(1, profiles=shuffled, active="balanced"))

    assert len({entry.digest_after for entry in store.audit.page(AuditQuery())}) == 1
