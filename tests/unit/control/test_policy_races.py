"""A policy that is replaced while somebody looks at it, or replaces it too: nothing of another one's rules is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from neuronode_router.control.audit import AuditQuery
from neuronode_router.domain.audit import Actor, AuditEntry
from neuronode_router.policy.document import Policy
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import RuleFact, RuleMemory
from tests.support.policy_host import FileHost

ANNA = Actor("anna")


def month(usd: float, *, default: str = "balanced", dry_run: bool = False) -> Policy:
    """Return a policy with one rule, always of the same name."""
    text = f"""
default: {default}
rules:
  - name: month
    budget: {{usd: {usd}, enter: 0.8, return: 0.6}}
    then: {{profile: cost_effective}}
    dwell: 1h
    dry_run: {str(dry_run).lower()}
"""
    policy, problems = parse_policy(text.encode())
    assert policy is not None, problems
    return policy


def remembered(host: FileHost) -> RuleMemory:
    """Return what the rule remembers."""
    return host.store.policies.memory().get("month", RuleMemory())


@pytest.fixture
def overtaken(
    host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Coroutine[Any, Any, object]], None]:
    """Let something happen after the next look has decided and before it has written anything."""

    def overtake(happens: Coroutine[Any, Any, object]) -> None:
        carry_out = host.policies._carry_out

        async def late(look: Any) -> Any:
            receipt = await carry_out(look)
            monkeypatch.undo()
            await happens
            return receipt

        monkeypatch.setattr(host.policies, "_carry_out", late)

    return overtake


async def test_a_late_look_makes_no_rule_of_another_policy_begin(
    host: FileHost, overtaken: Callable[[Coroutine[Any, Any, object]], None]
) -> None:
    """90 of 100 USD were spent when it looked; of the 1000 USD of the rule that is in force now it says nothing."""
    await host.policies.take_up(month(100, dry_run=True), actor=ANNA, wait="none")
    host.facts = {"month": RuleFact(0.9)}
    overtaken(host.worker("other").take_up(month(1000), actor=ANNA, wait="none"))
    assert await host.policies.turn() is None
    assert remembered(host) == RuleMemory()

    host.facts = {"month": RuleFact(0.09)}
    assert await host.policies.turn() is None
    assert host.state().active == "balanced"


async def test_what_a_look_found_is_remembered_by_the_next_one(
    host: FileHost, overtaken: Callable[[Coroutine[Any, Any, object]], None]
) -> None:
    """Where somebody changed something else meanwhile, it is only a look late."""
    await host.policies.take_up(month(100, dry_run=True), actor=ANNA, wait="none")
    host.facts = {"month": RuleFact(0.9)}
    overtaken(host.manager.edit_task("premium", "chat", "chat_balanced", actor=ANNA, wait="none"))
    await host.policies.turn()
    await host.policies.turn()

    assert remembered(host).active


async def test_what_replaces_a_policy_is_compared_with_the_one_it_replaces(
    host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that come at once the later one goes by the earlier one, in what rules remember and in what is told."""
    await host.policies.take_up(month(100), actor=ANNA, wait="none")
    other, commit = host.worker("other"), host.store.commit

    def late(*order: Any, **based: Any) -> AuditEntry:
        monkeypatch.undo()
        with asyncio.Runner() as runner:  # this is a thread of its own
            runner.run(other.take_up(month(50), actor=ANNA, wait="none"))
            host.facts = {"month": RuleFact(0.9)}
            runner.run(other.turn())
        assert remembered(host).active
        return commit(*order, **based)

    monkeypatch.setattr(host.store, "commit", late)
    await host.policies.take_up(month(100, default="premium"), actor=ANNA, wait="none", reason="dearer")

    assert remembered(host) == RuleMemory()
    (entry,) = host.store.audit.page(AuditQuery(limit=1))
    assert entry.reason == "default balanced -> premium; ~ rules month; dearer"
