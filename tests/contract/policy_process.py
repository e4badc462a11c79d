"""A process that looks at the policy again and again, as a worker does, until it is told to end.

Usage: python -m tests.contract.policy_process STATE_URL NAME
What it knows of the rule's budget flips five times a second, by the clock of the store: there is always something.
Prints the revision of each of its acts, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import LEASE, Policies
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.errors import StoreUnavailable
from neuronode_router.policy.document import OutageTarget, Policy
from neuronode_router.policy.rules import RuleFact
from neuronode_router.storage.lease import Lease
from tests.support.control import HOST, MemorySource

TTL = 0.5
"""Seconds of a lease: who is stopped for longer wakes up when another one leads."""
FLIPS = 5


def desk(store: ControlStore, name: str) -> Policies:
    """Return the policies of one worker over a store."""

    async def answers(target: OutageTarget) -> bool:
        return True

    def facts(policy: Policy, now: float) -> dict[str, RuleFact]:
        return {rule.name: RuleFact(float(int(now * FLIPS) % 2)) for rule in policy.rules}

    return Policies(
        manager=ProfileManager(store=store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(())),
        store=store.policies,
        facts=facts,
        probes=OutageProbes(answers),
        lease=Lease(store.database, LEASE, holder=name, ttl=TTL),
        host=lambda: HOST,
        members=lambda target: (),
        file=Path("policy.yaml"),
    )


async def look(url: str, name: str) -> None:
    """Look until standard input ends."""
    store = ControlStore(url)
    policies = desk(store, name)
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    print("ready", flush=True)
    while not ended.done():
        try:
            receipt = await policies.turn()
        except StoreUnavailable:  # who is stopped may hold a lock
            receipt = None
        if receipt is not None:
            print(receipt.revision, flush=True)
        await asyncio.wait({ended}, timeout=0.02)
    store.close()


if __name__ == "__main__":
    asyncio.run(look(*sys.argv[1:]))
