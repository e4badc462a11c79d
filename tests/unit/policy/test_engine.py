"""What should be active and why: precedence, holds, rollouts, and what is to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from neuronode_router.domain.names import Tier
from neuronode_router.domain.steering import Bend, Hold, Steering
from neuronode_router.policy.document import Policy, Want
from neuronode_router.policy.engine import (
    PRECEDENCE,
    Level,
    PolicyVerdict,
    Situation,
    acting,
    decide,
    preview,
)
from neuronode_router.policy.file import parse_policy
from neuronode_router.policy.rules import Memory, RuleMemory

TEXT = """\
default: balanced
schedule:
  - name: night
    zone: Europe/Berlin
    from: "20:00"
    to: "06:00"
    then: {profile: economy}
  - name: night-cap
    zone: Europe/Berlin
    from: "22:00"
    to: "23:00"
    then: {max_tier: fast}
rules:
  - name: smart-down
    outage: {group: smart}
    then: {task: chat, group: local}
    emergency: true
  - name: all-down
    outage: {group: smart}
    then: {profile: local}
    emergency: true
  - name: month
    budget: {usd: 500, enter: 0.8, return: 0.6}
    then: {profile: economy}
  - name: dear
    budget: {usd: 500, enter: 0.9, return: 0.6}
    then: {max_tier: medium}
  - name: trial
    budget: {usd: 500, enter: 0.9, return: 0.6}
    then: {profile: local}
    dry_run: true
"""
PROFILES = frozenset({"balanced", "economy", "local", "premium"})
GROUPS = frozenset({"smart", "local"})
HELD = Hold("premium", "anna")
ON = RuleMemory(active=True, since=1.0, evidence="so it was")


def policy() -> Policy:
    found, problems = parse_policy(TEXT.encode())
    assert found is not None, problems
    return found


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


NOON, EVENING, LATE = at("2026-11-30T12:00"), at("2026-11-30T21:00"), at("2026-11-30T22:30")


def verdict(
    *active: str,
    now: float = NOON,
    hold: Hold | None = None,
    rolling: str | None = None,
    bends: tuple[Bend, ...] = (),
    groups: frozenset[str] = GROUPS,
) -> PolicyVerdict:
    memory: Memory = dict.fromkeys(active, ON)
    situation = Situation("balanced", Steering("digest", hold, bends), rolling, PROFILES, groups)
    return decide(policy(), memory, situation, now=now)


def test_precedence_is_written_down() -> None:
    """The order is the one of the documentation."""
    assert PRECEDENCE == ("emergency", "manual", "rollout", "rule", "schedule", "default")


@pytest.mark.parametrize(
    ("active", "now", "hold", "rolling", "profile", "level"),
    [
        ((), NOON, None, None, "balanced", Level.DEFAULT),
        ((), EVENING, None, None, "economy", Level.SCHEDULE),
        (("month",), NOON, None, None, "economy", Level.RULE),
        (("month",), EVENING, None, None, "economy", Level.RULE),
        (("month",), NOON, None, "r-1", "balanced", Level.ROLLOUT),
        ((), EVENING, HELD, None, "premium", Level.MANUAL),
        (("month",), EVENING, HELD, "r-1", "premium", Level.MANUAL),
        (("all-down", "month"), EVENING, HELD, "r-1", "local", Level.EMERGENCY),
        (("trial",), NOON, None, None, "balanced", Level.DEFAULT),
    ],
)
def test_who_goes_first(
    active: tuple[str, ...],
    now: float,
    hold: Hold | None,
    rolling: str | None,
    profile: str,
    level: Level,
) -> None:
    """Emergencies go before people, people before rollouts, these before rules, and rules before windows."""
    found = verdict(*active, now=now, hold=hold, rolling=rolling)

    assert (found.profile, found.level) == (profile, level)


def test_a_task_and_a_cap_are_decided_beside_the_profile() -> None:
    """A rule that moves a task leaves the window its profile; of two caps the rule's goes before the window's."""
    found = verdict("smart-down", "dear", now=LATE)

    assert found.profile == "economy"
    assert [(bend.by, bend.task or bend.max_tier) for bend in found.bends] == [
        ("smart-down", "chat"),
        ("dear", Tier.MEDIUM),
    ]


def test_a_hold_leaves_only_emergencies() -> None:
    """What a person switched to is what they get: no cap of a window, but no failing group either."""
    found = verdict("smart-down", "dear", now=LATE, hold=HELD)

    assert [bend.by for bend in found.bends] == ["smart-down"]


def test_a_rollout_is_not_disturbed() -> None:
    """While it runs, ordinary changes stay as they are, begun or ended; emergencies come and go."""
    cap = Bend("dear", False, max_tier=Tier.MEDIUM)

    assert verdict("month", rolling="r-1", bends=(cap,)).bends == (cap,)
    assert [bend.by for bend in verdict("smart-down", rolling="r-1", bends=(cap,)).bends] == [
        "smart-down",
        "dear",
    ]
    assert verdict(rolling="r-1", bends=(Bend("smart-down", True, "chat", "local"),)).bends == ()


def test_a_hold_ends_at_its_time() -> None:
    """From that second on the policy decides."""
    hold = Hold("premium", "anna", until=NOON)

    assert verdict(hold=hold, now=NOON - 1).level is Level.MANUAL
    after = verdict(hold=hold, now=NOON)
    assert (after.level, after.hold) == (Level.DEFAULT, None)


def test_without_a_default_a_timed_hold_leads_back() -> None:
    """Where no policy names a profile, what was active before comes back."""
    hold = Hold("premium", "anna", until=NOON, before="local")
    situation = Situation("premium", Steering("", hold), None, PROFILES)

    assert decide(Policy(), {}, situation, now=NOON).profile == "local"


def test_what_was_before_comes_back_after_a_rollout() -> None:
    """A hold whose time is over while a rollout runs is kept for that, and decides nothing meanwhile."""
    hold = Hold("premium", "anna", until=NOON, before="local")
    during = decide(Policy(), {}, Situation("premium", Steering("", hold), "r-1", PROFILES), now=NOON)
    assert (during.profile, during.level, during.hold) == ("premium", Level.ROLLOUT, None)

    left = during.steering(Steering("", hold))
    after = decide(Policy(), {}, Situation("premium", left, None, PROFILES), now=NOON)
    assert (after.profile, after.hold) == ("local", None)


def test_a_hold_on_a_profile_that_is_gone_holds_nothing() -> None:
    """Windows and rules decide again."""
    situation = Situation("balanced", Steering("digest", Hold("gone", "anna")), None, PROFILES)
    found = decide(policy(), {"dear": ON}, situation, now=EVENING)

    assert (found.profile, found.hold) == ("economy", None)
    assert [bend.by for bend in found.bends] == ["dear"]


def test_a_profile_that_is_gone_is_passed_over() -> None:
    """A window that names a profile nobody has any more does not count."""
    situation = Situation("balanced", Steering("digest"), None, frozenset({"balanced"}))

    assert decide(policy(), {}, situation, now=EVENING).profile == "balanced"


def test_a_group_that_is_gone_is_passed_over() -> None:
    """A task is moved nowhere, or by the next rule that wants something of it; a rollout keeps no such move either."""
    spare = replace(policy().rules[0], name="spare", want=Want(task="chat", group="smart"))
    both = replace(policy(), rules=(*policy().rules, spare))
    situation = Situation("balanced", Steering("digest"), None, PROFILES, frozenset({"smart"}))
    found = decide(both, {"smart-down": ON, "spare": ON}, situation, now=NOON)

    assert [(bend.by, bend.group) for bend in found.bends] == [("spare", "smart")]
    assert "smart-down" not in found.why
    kept = (Bend("smart-down", False, "chat", "local"),)
    assert verdict(rolling="r-1", bends=kept).bends == kept
    assert verdict(rolling="r-1", bends=kept, groups=frozenset()).bends == ()


def test_why_is_one_line() -> None:
    """It names who decides, and what else is different."""
    why = verdict("smart-down", now=EVENING).why

    assert why == (
        "economy: window night (Europe/Berlin time); task chat to local: emergency rule smart-down (so it was)"
    )
    assert (
        "held by anna until 2026-11-30 11:00 UTC, then "
        in verdict(hold=Hold("premium", "anna (4f0c9a)", until=NOON), now=NOON - 1).why
    )


@pytest.mark.parametrize(
    ("until", "active", "then"),
    [
        (at("2026-11-30T14:00"), (), "balanced"),
        (EVENING, (), "economy"),
        (at("2026-11-30T14:00"), ("month",), "economy"),
        (EVENING, ("all-down",), "local"),
        (None, (), None),
    ],
)
def test_what_follows_a_hold_is_told(until: float | None, active: tuple[str, ...], then: str | None) -> None:
    """By the window that is open then, and by the rules as they are now; nobody knows when a hold is released."""
    found = verdict(*active, hold=Hold("premium", "anna", until=until))

    assert found.then == then
    assert until is None or verdict(*active, hold=found.hold, now=until).profile == then


def test_without_a_policy_a_hold_leads_back() -> None:
    """To what was active before it."""
    held = Hold("premium", "anna", until=NOON, before="economy")
    situation = Situation("premium", Steering("", held), None, PROFILES)

    assert decide(Policy(), {}, situation, now=NOON - 1).then == "economy"


@pytest.mark.parametrize(
    ("active", "now", "bends", "level"),
    [
        ((), EVENING, (), Level.SCHEDULE),
        (("month",), NOON, (), Level.RULE),
        (("smart-down",), EVENING, (), Level.EMERGENCY),
        (("dear",), NOON, (), Level.RULE),
        ((), LATE, (), Level.SCHEDULE),
        ((), NOON, (Bend("smart-down", True, task="chat", group="local"),), Level.EMERGENCY),
        ((), NOON, (), Level.DEFAULT),
    ],
)
def test_an_act_is_of_the_highest_level_that_it_changes(
    active: tuple[str, ...], now: float, bends: tuple[Bend, ...], level: Level
) -> None:
    """Beginning or ending: a task that an emergency moves while a window opens is an emergency's act."""
    situation = Situation("balanced", Steering("digest", None, bends), None, PROFILES)

    assert acting(policy(), verdict(*active, now=now), situation) is level


def test_where_nothing_decides_why_speaks_of_no_policy() -> None:
    """What was put in force last stays, whether there is no policy or one that says nothing of profiles."""
    found = decide(Policy(), {}, Situation("balanced", Steering(""), None, PROFILES), now=NOON)

    assert (found.level, found.why) == (Level.NOTHING, "balanced: what was put in force last")


def test_a_preview_is_what_will_be_decided() -> None:
    """Stretch follows stretch without a gap, and in the middle of each the engine says the same."""
    situation = Situation("balanced", Steering("d", Hold("premium", "anna", until=EVENING)), None, PROFILES)
    stretches = preview(policy(), {}, situation, now=NOON, days=3)

    assert stretches[0].since == NOON
    assert stretches[-1].until == NOON + 3 * 86_400
    assert [one.until for one in stretches[:-1]] == [one.since for one in stretches[1:]]
    assert [one.verdict.profile for one in stretches][:3] == ["premium", "economy", "economy"]
    for one in stretches:
        assert decide(policy(), {}, situation, now=(one.since + one.until) / 2) == one.verdict


def test_a_preview_knows_summer_time() -> None:
    """The night in which the clocks go back is an hour longer."""
    situation = Situation("balanced", Steering("d"), None, PROFILES)
    stretches = preview(policy(), {}, situation, now=at("2026-10-24T12:00"), days=2)
    night = [one for one in stretches if one.verdict.profile == "economy"]

    assert sum(one.until - one.since for one in night[:3]) == 11 * 3600
