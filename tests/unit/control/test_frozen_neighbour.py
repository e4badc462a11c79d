"""Beside a worker that acknowledges nothing: what is done by itself waits for nobody."""

from __future__ import annotations

import asyncio

from neuronode_router.control.workers import ServedRevision
from neuronode_router.domain.audit import Actor
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import RuleFact
from tests.support.policy_host import FileHost
from tests.unit.control.conftest import make_identity

TEXT = b"""\
default: balanced
rules:
  - {name: a, outage: {group: chat_balanced}, then: {task: chat, group: chat_premium}, emergency: true}
  - name: b
    outage: {group: classification_balanced}
    then: {task: classification, group: classification_premium}
    emergency: true
"""
FAILS = RuleFact(1.0, 9, 9)


async def test_a_second_emergency_does_not_wait_for_the_first_one(host: FileHost) -> None:
    """Both are acted upon within less than one receipt may wait."""
    policy, problems = parse_policy(TEXT)
    assert policy is not None, problems
    await host.policies.take_up(policy, actor=Actor("anna"), wait="none")
    host.store.registry.announce(make_identity(), ServedRevision(host.store.revision(), host.clock.now))

    async with asyncio.timeout(4):
        for facts in ({"a": FAILS}, {"a": FAILS, "b": FAILS}):
            host.facts = facts
            receipt = await host.policies.turn()
            assert receipt is not None
            assert "waiting" in {ack.state for ack in receipt.workers}

    assert set(host.state().steering.moved) == {"chat", "classification"}
