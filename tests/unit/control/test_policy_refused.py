"""What the policy wants and is refused: it keeps nothing else from being done, and is told while it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from neuronode_router.control.audit import AuditQuery
from neuronode_router.control.manager import FILES
from neuronode_router.control.policies import REFUSED_SECONDS
from neuronode_router.domain.audit import Actor
from neuronode_router.policy.engine import Level
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import Facts, RuleFact, RuleMemory
from tests.support.policy_host import FileHost

ANNA = Actor("anna")
TEXT = b"""\
default: balanced
schedule:
  - {name: all, zone: UTC, then: {profile: premium}}
rules:
  - name: down
    outage: {group: chat_balanced, probes: 2}
    then: {task: chat, group: chat_cost_effective}
    emergency: true
    dwell: 0s
  - name: gone
    outage: {group: classification_balanced, probes: 2}
    then: {profile: cost_effective}
    emergency: true
    dwell: 0s
  - name: month
    budget: {usd: 100, enter: 0.8, return: 0.6}
    then: {max_tier: medium}
"""
FAILS, WELL = RuleFact(1.0, 3, 3), RuleFact()
CALM: Facts = {"down": WELL, "gone": WELL, "month": RuleFact(0.1)}


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FileHost]:
    """A host whose policy wants a profile that cannot be put in force."""
    opened = FileHost(tmp_path)
    opened.facts = CALM
    policy, problems = parse_policy(TEXT)
    assert policy is not None, problems
    await opened.manager.reload(actor=FILES, wait="none")
    await opened.policies.take_up(policy, actor=ANNA, wait="none")
    opened.lacks("chat_premium")
    assert await opened.policies.turn() is None
    assert [problem.code for problem in opened.policies.problems()] == ["policy_refused"]
    assert opened.acted == [(Level.SCHEDULE, False)]
    yield opened
    opened.store.close()


def memory(host: FileHost, name: str) -> RuleMemory:
    """Return what a rule remembers."""
    return host.store.policies.memory()[name]


async def until(host: FileHost, condition: Callable[[], bool]) -> None:
    """Let the worker look again and again until something is so; probes take a while."""
    async with asyncio.timeout(10):
        while not condition():
            host.clock.now += 10
            await host.policies.turn()
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("facts", "moved", "capped"),
    [
        (CALM | {"down": FAILS}, {"chat": "chat_cost_effective"}, False),
        (CALM | {"month": RuleFact(0.9)}, {}, True),
        (CALM | {"down": FAILS, "month": RuleFact(0.9)}, {"chat": "chat_cost_effective"}, True),
    ],
)
async def test_a_refused_profile_keeps_nothing_else_back(
    host: FileHost, facts: Facts, moved: dict[str, str], capped: bool
) -> None:
    """Emergencies and ordinary rules begin at once, though a window's profile was refused a moment ago, and end."""
    host.facts = facts
    receipt = await host.policies.turn()

    steering = host.state().steering
    assert receipt is not None
    assert (dict(steering.moved), steering.cap == "medium") == (moved, capped)
    assert host.state().active == "balanced"
    reason = host.store.audit.page(AuditQuery(limit=1))[0].reason
    assert "balanced: stays, premium is refused; " in reason
    assert len(host.policies.problems()) == 1

    host.facts = CALM
    await until(host, lambda: not host.state().steering.bends)
    assert host.state().active == "balanced"


async def test_an_emergency_that_wants_a_profile_is_not_the_one_that_was_refused(host: FileHost) -> None:
    """It begins at once; what was refused is told no more, for nobody wants it."""
    host.facts = CALM | {"gone": FAILS}

    assert await host.policies.turn() is not None
    assert host.state().active == "cost_effective"
    assert host.policies.problems() == ()


async def test_rules_remember_what_happened_while_an_act_is_refused(host: FileHost) -> None:
    """Probes that were answered count, though the profile to go back to is refused."""
    host.facts = CALM | {"gone": FAILS}
    await host.policies.turn()
    host.facts = CALM
    await until(host, lambda: not memory(host, "gone").active)
    assert host.state().active == "cost_effective"
    assert [problem.code for problem in host.policies.problems()] == ["policy_refused"]


async def test_the_same_is_not_tried_at_every_look(host: FileHost) -> None:
    """Only after a while, or when the clock was set back; then it is done once it can be."""
    tries = len(host.acted)
    await host.policies.turn()
    assert len(host.acted) == tries
    host.clock.now += REFUSED_SECONDS
    await host.policies.turn()
    assert len(host.acted) == tries + 1
    host.clock.now -= 3600
    await host.policies.turn()
    assert len(host.acted) == tries + 2

    host.lacks("nothing")
    host.clock.now += REFUSED_SECONDS
    receipt = await host.policies.turn()
    assert receipt is not None
    assert receipt.profile == "premium"
    assert host.policies.problems() == ()


async def test_a_refusal_is_logged_once(host: FileHost, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is tried again, all night; another one is logged too."""
    caplog.clear()
    for _ in range(4):
        host.clock.now += REFUSED_SECONDS
        await host.policies.turn()
    same = [record.message for record in caplog.records if "refused" in record.message]
    host.facts = CALM | {"gone": FAILS}
    host.lacks("chat_cost_effective")
    await host.policies.turn()

    other = [record.message for record in caplog.records if "refused" in record.message]
    assert (same, len(other)) == ([], 1)


async def test_who_acts_no_more_tells_no_refusal(host: FileHost) -> None:
    """Another worker tries now, and tells what becomes of it."""
    host.clock.now += 60
    other = host.worker("other")
    await other.turn()
    await host.policies.turn()

    assert (len(other.problems()), host.policies.problems()) == (1, ())
