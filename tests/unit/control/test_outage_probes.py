"""Probes of outages: each answer counts once, for the outage that was asked about."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from neuronode_router.control.outage_probes import OLD_SECONDS, OutageProbes
from neuronode_router.policy.document import OutageTarget, Policy
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import RuleMemory

BEGAN, NOW = 100.0, 1000.0
ACTIVE = RuleMemory(active=True, since=BEGAN)


def watching(group: str, *others: str) -> Policy:
    """Return a policy whose rule watches a group, always by the same name; `others` are rules like it."""
    rule = """
  - name: {name}
    outage: {{group: {group}, probes: 2}}
    then: {{task: chat, group: chat_premium}}
    dwell: 10s
"""
    text = "rules:" + "".join(rule.format(name=name, group=group) for name in ("down", *others))
    policy, problems = parse_policy(text.encode())
    assert policy is not None, problems
    return policy


class ProbedWorker:
    """A worker whose probes are all answered at once, and well unless the target is down."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.numbers: list[int] = []
        self.down: set[str] = set()
        self.probes = OutageProbes(self._ask)

    async def look(self, policy: Policy, memory: RuleMemory, now: float) -> RuleMemory:
        """Return what the rule remembers after a look; what is asked by it is answered afterwards."""
        found = self.probes.look(policy, {"down": memory}, now)["down"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return found

    async def _ask(self, target: OutageTarget, number: int) -> bool:
        self.asked.append(target.name)
        self.numbers.append(number)
        return target.name not in self.down


async def test_answers_in_a_row_are_counted() -> None:
    """One at a time, with a pause; one that fails begins the row again."""
    worker, policy = ProbedWorker(), watching("chat_balanced")
    first = await worker.look(policy, ACTIVE, NOW)
    second = await worker.look(policy, first, NOW + 1)
    worker.down = {"chat_balanced"}
    third = await worker.look(policy, second, NOW + 4)
    last = await worker.look(policy, third, NOW + 5)

    assert [memory.probes for memory in (first, second, third, last)] == [0, 1, 1, 0]
    assert worker.asked == ["chat_balanced"] * 2


@pytest.mark.parametrize(
    ("policy", "memory", "now"),
    [
        (watching("chat_cost_effective"), ACTIVE, NOW + 1),
        (watching("chat_balanced"), replace(ACTIVE, since=NOW - 20), NOW + 1),
        (watching("chat_balanced"), ACTIVE, NOW + OLD_SECONDS + 1),
        (watching("chat_balanced"), ACTIVE, NOW - 1),
    ],
    ids=["another target", "a later outage", "long ago", "the clock was set back"],
)
async def test_an_answer_to_something_else_counts_for_nothing(
    policy: Policy, memory: RuleMemory, now: float
) -> None:
    """The rule was edited, began anew, or another worker led meanwhile: it is asked again."""
    worker = ProbedWorker()
    await worker.look(watching("chat_balanced"), ACTIVE, NOW)

    assert (await worker.look(policy, memory, now)).probes == 0
    assert len(worker.asked) == 2
    assert (await worker.look(policy, memory, now + 1)).probes == 1


async def test_rules_do_not_share_their_deployments_out_between_them() -> None:
    """Each of several that ask in step asks one deployment after the other."""
    worker, policy = ProbedWorker(), watching("chat_balanced", "down-too")
    for second in range(0, 16, 2):
        worker.probes.look(policy, dict.fromkeys(("down", "down-too"), ACTIVE), NOW + second)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert worker.numbers == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("later", [OLD_SECONDS + 1, -1.0], ids=["long ago", "the clock was set back"])
async def test_a_row_that_nobody_followed_begins_anew(later: float) -> None:
    """What was there before the workers were stopped may have gone since."""
    worker, policy = ProbedWorker(), watching("chat_balanced")
    await worker.look(policy, ACTIVE, NOW)
    one = await worker.look(policy, ACTIVE, NOW + 1)

    assert one.probes == 1
    assert (await worker.look(policy, one, NOW + 1 + later)).probes == 0
    assert (await ProbedWorker().look(policy, one, NOW + 2)).probes == 0
