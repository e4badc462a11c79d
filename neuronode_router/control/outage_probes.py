"""Probes of what an outage rule has left: one at a time for each rule, until enough in a row have succeeded.

It must not know how a probe is sent, nor when a rule ends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from neuronode_router.background import cancel
from neuronode_router.policy.document import OutageTarget, OutageTrigger, Policy, PolicyRule
from neuronode_router.policy.rules import Memory, RuleMemory, is_due, probed

AFTER_SUCCESS, AFTER_FAILURE = 3.0, 15.0
"""Seconds between a probe and the next one of the same rule: each is a real request."""

OLD_SECONDS = 15.0
"""Where a worker has looked at nothing for longer, answers that came meanwhile count for nothing, and rows begin anew.
"""

AskTarget = Callable[[OutageTarget, int], Awaitable[bool]]
"""Ask one of a target's deployments something small, another one for the next number; whether it is there. Bounded,
never raises."""


@dataclass(frozen=True, slots=True)
class _Probe:
    """One that was sent, and what it asks."""

    target: OutageTarget
    since: float
    """When the rule began that it is to end."""
    answer: asyncio.Task[bool]

    def tells_of(self, rule: PolicyRule, memory: RuleMemory) -> bool:
        """Return whether its answer counts: the rule is still about that outage of that target."""
        same = rule.trigger.target == self.target if isinstance(rule.trigger, OutageTrigger) else False
        return same and memory.since == self.since

    def succeeded(self) -> bool:
        """Return its answer, once there is one."""
        return not self.answer.cancelled() and self.answer.exception() is None and self.answer.result()


class OutageProbes:
    """The probes of one worker: those that run, and when the next ones may."""

    def __init__(self, ask: AskTarget) -> None:
        self._ask = ask
        self._asking: dict[str, _Probe] = {}
        self._asked_again: dict[str, float] = {}
        """From when on a rule may ask again."""
        self._asked: Counter[str] = Counter()
        """How often each rule has asked: two that share deployments must not share them out between them."""
        self._looked_at = float("-inf")

    def look(self, policy: Policy, memory: Memory, now: float) -> dict[str, RuleMemory]:
        """Take in the answers of probes, and send the next ones. Return what rules remember then."""
        followed = 0 <= now - self._looked_at <= OLD_SECONDS  # else the clock was set back, or others led
        self._looked_at = now
        found = {name: one if followed else probed(one, succeeded=False) for name, one in memory.items()}
        for rule in policy.rules:
            probe = self._asking.get(rule.name)
            if probe is not None and not probe.answer.done():
                continue
            self._asking.pop(rule.name, None)
            if not is_due(rule, found[rule.name], now=now):
                continue
            if followed and probe is not None and probe.tells_of(rule, found[rule.name]):
                succeeded = probe.succeeded()
                found[rule.name] = probed(found[rule.name], succeeded=succeeded)
                self._asked_again[rule.name] = now + (AFTER_SUCCESS if succeeded else AFTER_FAILURE)
            self._ask_next(rule, found[rule.name], now)
        return found

    async def stop(self) -> None:
        """End the probes that run."""
        await cancel(*(probe.answer for probe in self._asking.values()))

    def _ask_next(self, rule: PolicyRule, memory: RuleMemory, now: float) -> None:
        # More than the longest pause: the clock was set back.
        waits = 0 < self._asked_again.get(rule.name, now) - now <= AFTER_FAILURE
        if not waits and is_due(rule, memory, now=now) and isinstance(rule.trigger, OutageTrigger):
            target = rule.trigger.target
            answer = asyncio.ensure_future(self._ask(target, self._asked[rule.name]))
            self._asked[rule.name] += 1
            self._asking[rule.name] = _Probe(target, memory.since, answer)
