"""A process that looks at the policy again and again, as a worker does, until it is told to end.

Usage: python -m tests.contract.policy_process STATE_URL NAME
What it knows of the rule's budget flips five times a second, by the clock of the store: there is always something.
Prints the revision of each of its acts, and ends when its standard input does. After every other act it stops itself
(SIGSTOP) when it leads and knows of something to do, before it does it: whoever lets it go on lets it act too late.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from pathlib import Path

from neuronode_router.control.manager import ProfileManager
from neuronode_router.control.outage_probes import OutageProbes
from neuronode_router.control.policies import LEASE, Policies, ReadFacts
from neuronode_router.control.policy_place import PolicyPlace
from neuronode_router.control.store import ControlStore
from neuronode_router.control.wake import WakeGroup
from neuronode_router.policy.document import OutageTarget, Policy
from neuronode_router.policy.rules import RuleFact
from neuronode_router.profiles.memory import FilesMemory
from neuronode_router.storage.lease import Lease
from tests.support.control import HOST, MemorySource

TTL = 0.5
"""Seconds of a lease: who is stopped for longer wakes up when another one leads."""
FLIPS = 5


class Frozen:
    """What a worker knows of its rules, and where it is stopped."""

    def __init__(self, after: int) -> None:
        self.acts = 0
        self._after = after
        self._value: float | None = None

    def __call__(self, policy: Policy, now: float) -> dict[str, RuleFact]:
        """Return the facts; while the process is stopped they grow old."""
        value = float(int(now * FLIPS) % 2)
        news, self._value = self._value not in (None, value), value
        if news and self._after and self.acts >= self._after:
            self.acts = 0
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # this thread, not any
        return {rule.name: RuleFact(value) for rule in policy.rules}


def desk(store: ControlStore, name: str, facts: ReadFacts, *, place: PolicyPlace | None = None) -> Policies:
    """Return the policies of one worker over a store; who gives no place neither reads nor writes a file."""

    async def answers(target: OutageTarget, _number: int) -> bool:
        return True

    return Policies(
        manager=ProfileManager(store=store, source=MemorySource(), host=lambda: HOST, wake=WakeGroup(())),
        store=store.policies,
        facts=facts,
        probes=OutageProbes(answers),
        lease=Lease(store.database, LEASE, holder=name, ttl=TTL),
        host=lambda: HOST,
        members=lambda target: (),
        place=place or PolicyPlace(Path("policy.yaml"), FilesMemory(Path("policy.seen"))),
    )


async def look(url: str, name: str) -> None:
    """Look until standard input ends."""
    store, facts = ControlStore(url), Frozen(after=2)
    policies = desk(store, name, facts)
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    print("ready", flush=True)
    while not ended.done():
        receipt = await policies.turn()
        if receipt is not None:
            facts.acts += 1
            print(receipt.revision, flush=True)
        await asyncio.wait({ended}, timeout=0.02)
    store.close()


if __name__ == "__main__":
    asyncio.run(look(*sys.argv[1:]))
