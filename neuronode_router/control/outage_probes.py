"""Probes of what an outage rule has left: one at a time for each rule, until enough in a row have succeeded.

It must not know how a probe is sent, nor when a rule ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from neuronode_router.policy.document import OutageTarget, OutageTrigger, Policy, PolicyRule
from neuronode_router.policy.rules import Memory, RuleMemory, is_due, probed

AFTER_SUCCESS, AFTER_FAILURE = 3.0, 15.0
"""Seconds between a probe and the next one of the same rule: each is a real request."""

AskTarget = Callable[[OutageTarget], Awaitable[bool]]
"""Ask one of a target's deployments something small; whether it is there. Bounded, never raises."""


class OutageProbes:
    """The probes of one worker: those that run, and when the next ones may."""

    def __init__(self, ask: AskTarget) -> None:
        self._ask = ask
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self._asked_again: dict[str, float] = {}
        """From when on a rule may ask again."""

    def look(self, policy: Policy, memory: Memory, now: float) -> dict[str, RuleMemory]:
        """Take in the answers of probes, and send the next ones. Return what rules remember then."""
        found = dict(memory)
        for rule in policy.rules:
            task = self._asking.get(rule.name)
            if task is not None and not task.done():
                continue
            self._asking.pop(rule.name, None)
            if not is_due(rule, found[rule.name], now=now):
                continue
            if task is not None and not task.cancelled():
                succeeded = task.exception() is None and task.result()
                found[rule.name] = probed(found[rule.name], succeeded=succeeded)
                self._asked_again[rule.name] = now + (AFTER_SUCCESS if succeeded else AFTER_FAILURE)
            self._ask_next(rule, found[rule.name], now)
        return found

    async def stop(self) -> None:
        """End the probes that run."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _ask_next(self, rule: PolicyRule, memory: RuleMemory, now: float) -> None:
        # More than the longest pause: the clock was set back.
        waits = 0 < self._asked_again.get(rule.name, now) - now <= AFTER_FAILURE
        if not waits and is_due(rule, memory, now=now) and isinstance(rule.trigger, OutageTrigger):
            self._asking[rule.name] = asyncio.ensure_future(self._ask(rule.trigger.target))
