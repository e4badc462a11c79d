"""The policy, over SQLite and PostgreSQL: two processes act in turn, are stopped, and do no act twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.manager import FILES
from neuronode_router.control.policies import LEASE
from neuronode_router.control.store import ControlStore
from neuronode_router.domain import Actor
from neuronode_router.policy.file import parse_policy
from neuronode_router.storage.tables import lease
from tests.contract.policy_process import TTL, desk
from tests.support.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("one", "two")
HANDOVERS, TRIES = 3, 20
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


def holder(store: ControlStore) -> str:
    """Return who leads."""
    with store.database.reading() as connection:
        found = connection.execute(select(lease.c.holder).where(lease.c.name == LEASE)).scalar()
    return str(found or "")


def has_acted(store: ControlStore, before: int) -> bool:
    """Return whether there was a beginning and an end since a revision."""
    return store.revision() >= before + 2


def hand_over(store: ControlStore, workers: dict[str, subprocess.Popen[str]]) -> bool:
    """Stop the leader wherever it is, until the other leads; it wakes up with what it had decided.

    One that was stopped within a transaction keeps the other out: then it goes on where it was, and nobody took over.
    """
    leads = holder(store)
    workers[leads].send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: holder(store) not in ("", leads), seconds=3 * TTL, what="another leader")
    except TimeoutError:
        return False
    else:
        return True
    finally:
        workers[leads].send_signal(signal.SIGCONT)


async def test_two_processes_never_do_an_act_twice(store: ControlStore, state_url: str) -> None:
    """Each beginning and each end of the rule is one act, one row of the audit log and one change that it remembers."""
    policies = desk(store, "parent")
    policy, problems = parse_policy(POLICY)
    assert policy is not None, problems
    await policies._manager.reload(actor=FILES)
    await policies.take_up(policy, actor=Actor("anna"))
    workers = {name: worker(state_url, name) for name in NAMES}

    try:
        handovers = 0
        for _ in range(TRIES):
            wait_until(lambda: holder(store) in NAMES, what="a leader")
            wait_until(partial(has_acted, store, store.revision()), what="acts")
            handovers += hand_over(store, workers)
            if handovers == HANDOVERS:
                break
    finally:
        outputs = {name: child.communicate(timeout=30)[0] for name, child in workers.items()}

    acts = {name: [int(line) for line in told.splitlines()] for name, told in outputs.items()}
    entries = [one for one in store.audit.page(AuditQuery(limit=200)) if one.actor.kind == "policy"]
    assert handovers == HANDOVERS
    assert all(acts.values())
    assert sorted(acts["one"] + acts["two"]) == sorted(one.revision for one in entries)
    assert len(store.policies.memory()["month"].changes) == len(entries)
    assert all(before.profile_after != after.profile_after for before, after in pairwise(entries))
    assert store.audit.verify() == store.revision()
