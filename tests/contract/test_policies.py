"""The policy, over SQLite and PostgreSQL: two processes act in turn, wake up too late, and do no act twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import pytest

from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.manager import FILES
from neuronode_router.control.policies import LEASE
from neuronode_router.control.policy_file import PolicyFile
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.audit import Actor
from neuronode_router.errors import LeaseLost
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import RuleMemory
from neuronode_router.profiles.memory import FilesMemory
from tests.contract.policy_process import desk
from tests.support.clock import Clock
from tests.support.leases import passed_on
from tests.support.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]
HANDOVERS = 4
POLICY = b"""\
default: balanced
rules:
  - name: month
    budget: {usd: 100, enter: 0.8, return: 0.6}
    then: {profile: premium}
    dwell: 0s
    changes: 60
"""


def worker(url: str, name: str) -> subprocess.Popen[str]:
    """Start a worker that looks as often as it can."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.policy_process", url, name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def is_stopped(child: subprocess.Popen[str]) -> bool:
    """Return whether a process has stopped itself since it was asked last."""
    return os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG) is not None


def whoever_stops(workers: Sequence[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """Wait for a leader that has stopped itself."""
    found: list[subprocess.Popen[str]] = []

    def looked() -> bool:
        found.extend(islice(filter(is_stopped, workers), 1))
        return bool(found)

    wait_until(looked, what="a stopped leader")
    return found[0]


def told(child: subprocess.Popen[str]) -> list[int]:
    """Return the revisions of its acts, once it has ended."""
    assert child.stdout is not None
    with child.stdout as lines:
        return [int(line) for line in lines]


def ended(workers: Iterable[subprocess.Popen[str]]) -> bool:
    """Return whether all have ended; one that is stopped goes on."""
    for child in workers:
        child.send_signal(signal.SIGCONT)
    return all(child.poll() is not None for child in workers)


def has_acted(store: ControlStore, before: int) -> bool:
    """Return whether there was a beginning and an end since a revision."""
    return store.revision() >= before + 2


async def test_two_processes_never_do_an_act_twice(store: ControlStore, state_url: str) -> None:
    """Each beginning and each end of the rule is one act, one row of the audit log and one change that it remembers."""
    policies = desk(store, "parent", lambda policy, now: {})
    policy, problems = parse_policy(POLICY)
    assert policy is not None, problems
    await policies._manager.reload(actor=FILES)
    await policies.take_up(policy, actor=Actor("anna"))
    workers = [worker(state_url, name) for name in ("one", "two")]

    try:
        for _ in range(HANDOVERS):
            stopped = whoever_stops(workers)
            wait_until(partial(has_acted, store, store.revision()), what="acts of the other one")
            stopped.send_signal(signal.SIGCONT)
    finally:
        for child in workers:
            assert child.stdin is not None
            child.stdin.close()
        wait_until(lambda: ended(workers), seconds=30, what="the end of both")

    acts = [told(child) for child in workers]
    entries = [one for one in store.audit.page(AuditQuery(limit=200)) if one.actor.kind == "policy"]
    assert all(acts)
    assert sorted(acts[0] + acts[1]) == sorted(one.revision for one in entries)
    assert len(store.policies.memory()["month"].changes) == len(entries)
    assert all(before.profile_after != after.profile_after for before, after in pairwise(entries))
    assert store.audit.verify() == store.revision()


async def test_a_put_that_another_host_overruled_stays_overruled(store: ControlStore, tmp_path: Path) -> None:
    """The first host's watcher finds late what was written there through the API."""
    place = PolicyPlace(tmp_path / "policy.yaml", FilesMemory(tmp_path / "state" / "policy.seen"))
    here = desk(store, "here", lambda policy, now: {}, place=place)
    late, there = PolicyFile(place, here), desk(store, "there", lambda policy, now: {})
    old, new = (parse_policy(POLICY.replace(b"100", usd))[0] for usd in (b"200", b"300"))
    assert old is not None
    assert new is not None
    await here._manager.reload(actor=FILES)
    await late.look()
    await late.look()

    await here.write(old, actor=Actor("anna"))
    await there.take_up(new, actor=Actor("anna"))
    await late.look()
    await late.look()

    assert await here.digest() == new.digest
    assert late.problems == ()


def test_who_does_not_lead_any_more_remembers_nothing(store: ControlStore) -> None:
    """What rules remember is what the present leader saw."""
    old, new = passed_on(store.database, LEASE)

    store.policies.remember({"month": RuleMemory(active=True)}, new, revision=store.revision())
    with pytest.raises(LeaseLost):
        store.policies.remember({"month": RuleMemory()}, old, revision=store.revision())

    assert store.policies.memory() == {"month": RuleMemory(active=True)}


async def test_what_applies_is_told_by_the_clock_that_all_hosts_share(
    store: ControlStore, shared_clock: Clock
) -> None:
    """As the acting worker decides it: this host's own clock is some years off."""
    policies = desk(store, "one", lambda policy, now: {})
    policy, problems = parse_policy(
        b"""\
default: balanced
schedule:
  - {name: that-day, zone: UTC, "on": ["2026-12-24"], then: {profile: premium}}
"""
    )
    assert policy is not None, problems
    await policies._manager.reload(actor=FILES)
    await policies.take_up(policy, actor=Actor("anna"))
    shared_clock.now = datetime(2026, 12, 24, 12, tzinfo=UTC).timestamp()

    verdict, view = await policies.verdict(), await policies.view()
    stretches = await policies.preview(1)

    assert verdict is not None
    assert view is not None
    assert verdict.profile == view.verdict.profile == stretches[0].verdict.profile == "premium"
    assert stretches[0].since == shared_clock.now
