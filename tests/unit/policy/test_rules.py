"""Rules over time: thresholds to enter and to return, dwell, changes an hour, and a provider that half fails."""

from __future__ import annotations

import random
from collections import deque

import pytest

from neuronode_router.policy.document import (
    BudgetPeriod,
    BudgetTrigger,
    LatencyTrigger,
    OutageScope,
    OutageTarget,
    OutageTrigger,
    Policy,
    PolicyRule,
    Trigger,
    Want,
)
from neuronode_router.policy.rules import (
    HOUR,
    RuleFact,
    RuleMemory,
    is_due,
    probed,
    remember,
)

OUTAGE = OutageTrigger(OutageTarget(OutageScope.GROUP, "smart"), 0.5, 0.1, attempts=3, within=30.0, probes=10)
BUDGET = BudgetTrigger(500.0, BudgetPeriod.MONTH, 0.8, 0.6)
LATENCY = LatencyTrigger("smart", 4000.0, 2000.0, attempts=20, within=300.0)


def one(trigger: Trigger, *, changes: int = 4, dwell: float = 60.0, dry_run: bool = False) -> Policy:
    want = Want(task="chat", group="local")
    return Policy(rules=(PolicyRule("r", trigger, want, True, dwell, changes, dry_run),))


class OneRule:
    """A rule, its memory and a clock."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.memory: dict[str, RuleMemory] = {}
        self.now = 1_000_000.0

    def look(self, fact: RuleFact, *, after: float = 1.0) -> bool:
        """Return whether the rule applies after a look at the facts."""
        self.now += after
        self.memory = remember(self.policy, self.memory, {"r": fact}, now=self.now)
        return self.memory["r"].active

    def probe(self, *, succeeded: bool) -> None:
        """Take in the answer of a probe, if one would have been sent."""
        if is_due(self.policy.rules[0], self.memory["r"], now=self.now):
            self.memory["r"] = probed(self.memory["r"], succeeded=succeeded)


def test_an_outage_begins_with_the_third_failing_attempt() -> None:
    """Two failing attempts are none, and three among many that succeed neither."""
    rule = OneRule(one(OUTAGE))

    assert not rule.look(RuleFact(1.0, 2, 2))
    assert not rule.look(RuleFact(0.03, 100, 3))
    assert rule.look(RuleFact(1.0, 3, 3))


def test_an_outage_ends_by_probes_and_not_by_silence() -> None:
    """Nobody asks a group that was left: without ten probes in a row that succeed it stays left."""
    rule = OneRule(one(OUTAGE))
    rule.look(RuleFact(1.0, 3, 3))

    assert rule.look(RuleFact(), after=3000)
    for _ in range(10):
        rule.probe(succeeded=True)
    assert not rule.look(RuleFact())


def test_a_failing_probe_begins_anew() -> None:
    """Nine probes, one that fails and nine more are not ten in a row."""
    rule = OneRule(one(OUTAGE))
    rule.look(RuleFact(1.0, 3, 3))
    rule.look(RuleFact(), after=100)

    for succeeded in (*[True] * 9, False, *[True] * 9):
        rule.probe(succeeded=succeeded)

    assert rule.look(RuleFact())


def test_failures_of_others_begin_anew_too() -> None:
    """While bound teams still ask the group and it fails them, probes do not lead back."""
    rule = OneRule(one(OUTAGE))
    rule.look(RuleFact(1.0, 3, 3))
    rule.look(RuleFact(), after=100)
    for _ in range(10):
        rule.probe(succeeded=True)

    assert rule.look(RuleFact(0.5, 4, 2))
    assert rule.look(RuleFact())


def test_no_probe_is_sent_before_the_dwell_time_is_over() -> None:
    """A group that fails is left alone at first; a dry run never asks it."""
    rule = OneRule(one(OUTAGE, dwell=60))
    rule.look(RuleFact(1.0, 3, 3))
    policy, memory = rule.policy.rules[0], rule.memory["r"]

    assert not is_due(policy, memory, now=rule.now + 59)
    assert is_due(policy, memory, now=rule.now + 60)
    assert not is_due(one(OUTAGE, dry_run=True).rules[0], memory, now=rule.now + 60)


def test_no_probe_is_sent_while_an_hour_allows_no_return() -> None:
    """Answers that came before it may end would be an hour old when it may."""
    rule = OneRule(one(OUTAGE, changes=2, dwell=60))
    rule.look(RuleFact(1.0, 3, 3))
    for _ in range(10):
        rule.look(RuleFact(), after=300)
        rule.probe(succeeded=True)

    assert rule.look(RuleFact(), after=599)
    assert rule.memory["r"].probes == 0
    assert rule.look(RuleFact())
    for _ in range(10):
        rule.probe(succeeded=True)
    assert not rule.look(RuleFact())


@pytest.mark.parametrize(
    ("trigger", "enters", "between", "back"),
    [
        (BUDGET, RuleFact(0.8), RuleFact(0.7), RuleFact(0.59)),
        (LATENCY, RuleFact(4000, 20), RuleFact(3000, 20), RuleFact(1999, 20)),
    ],
)
def test_between_the_thresholds_nothing_changes(
    trigger: Trigger, enters: RuleFact, between: RuleFact, back: RuleFact
) -> None:
    """What began stays until the value is below the threshold of return, and the dwell time is over."""
    rule = OneRule(one(trigger))

    assert not rule.look(between)
    assert rule.look(enters)
    assert rule.look(back, after=59)
    assert rule.look(between)
    assert not rule.look(back)
    assert not rule.look(between)


def test_an_unknown_budget_changes_nothing() -> None:
    """Where nobody knows what was spent, a rule neither begins nor ends."""
    rule = OneRule(one(BUDGET))

    assert not rule.look(RuleFact())
    rule.look(RuleFact(0.9))
    assert rule.look(RuleFact(), after=10_000)


def test_few_slow_answers_are_no_latency() -> None:
    """Below the least number of answers the rule does not begin."""
    assert not OneRule(one(LATENCY)).look(RuleFact(9000, 19))


@pytest.mark.parametrize("changes", [2, 3, 4, 5])
def test_an_hour_has_no_more_changes_than_allowed_and_no_return_is_lost(changes: int) -> None:
    """A value that swings every second makes at most so many changes an hour, rests left, and returns at last."""
    rule = OneRule(one(LATENCY, changes=changes, dwell=0))
    last, made = False, list[float]()
    for second in range(2 * 3600):
        now = rule.look(RuleFact(9000.0 if second % 2 else 10.0, 100))
        if now is not last:
            made.append(rule.now)
        last = now

    for at in made:
        assert sum(at - HOUR < other <= at for other in made) <= changes
    assert not rule.look(RuleFact(10.0, 100), after=HOUR)


def test_a_clock_that_jumps_loses_nothing() -> None:
    """Set back by a day, a rule ends as soon as its dwell time is over again."""
    rule = OneRule(one(LATENCY, dwell=60))
    rule.look(RuleFact(9000, 100))

    assert rule.look(RuleFact(10.0, 100), after=-86_400)
    assert not rule.look(RuleFact(10.0, 100), after=60)


class FlakyProvider:
    """A group that fails a share of what it is asked, with the attempts of the last thirty seconds."""

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self._random = random.Random(seed)
        self._seen: deque[tuple[float, bool]] = deque()

    def ask(self) -> bool:
        """Return whether it answers."""
        return self._random.random() >= self.share

    def attempt(self, at: float) -> None:
        """Ask it for a client."""
        self._seen.append((at, self.ask()))

    def fact(self, at: float) -> RuleFact:
        """Return what is known of the last thirty seconds."""
        while self._seen and self._seen[0][0] <= at - 30:
            self._seen.popleft()
        failed = sum(not good for _, good in self._seen)
        return RuleFact(failed / len(self._seen) if self._seen else None, len(self._seen), failed)


@pytest.mark.parametrize("seed", range(20))
def test_a_provider_that_half_fails_is_left_and_stays_left(seed: int) -> None:
    """In six hours of five requests a second there are at most four changes an hour, and hardly any return at all.

    When it is well again, the task is back within two minutes.
    """
    rule, provider, active, changes = OneRule(one(OUTAGE)), FlakyProvider(0.5, seed), False, 0
    for second in range(6 * 3600):
        if not active:
            for _ in range(5):
                provider.attempt(rule.now)
        now = rule.look(provider.fact(rule.now))
        changes += now is not active
        active = now
        if second % 3 == 0:
            rule.probe(succeeded=provider.ask())
    assert changes <= 12

    bound = 120 if len(rule.memory["r"].changes) < 3 else HOUR + 120
    provider.share = 0.0
    waited = 0
    while active and waited < 2 * HOUR:
        waited += 1
        active = rule.look(provider.fact(rule.now))
        if waited % 3 == 0:
            rule.probe(succeeded=provider.ask())
    assert waited <= bound
