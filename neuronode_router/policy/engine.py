"""What should be active now and why: emergency > manual > rollout > rule > schedule > default.

Rules and windows are the two halves of the document's ordinary level. It must not know stores or how anything is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from neuronode_router.domain.steering import Bend, Hold, Steering
from neuronode_router.policy.document import Policy, Want
from neuronode_router.policy.rules import Memory, RuleMemory
from neuronode_router.policy.schedule import is_open, turns

DAY = 86_400.0
_NO_MEMORY = RuleMemory()


class Level(StrEnum):
    """Who decides, in the order in which they go before each other."""

    EMERGENCY = "emergency"
    MANUAL = "manual"
    ROLLOUT = "rollout"
    RULE = "rule"
    SCHEDULE = "schedule"
    DEFAULT = "default"
    NOTHING = "nothing"
    """Nothing decides about a profile: what was put in force last stays."""


PRECEDENCE = tuple(level for level in Level if level is not Level.NOTHING)

_KINDS: Mapping[Level, str] = {
    Level.EMERGENCY: "emergency rule",
    Level.RULE: "rule",
    Level.SCHEDULE: "window",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What is committed."""

    active: str
    steering: Steering
    rolling: str | None = None
    """The id of the rollout that runs."""
    profiles: Collection[str] = field(default_factory=frozenset)
    """Those there are: what names another one is passed over."""
    groups: Collection[str] = field(default_factory=frozenset)
    """The model groups of the proxy that decides: what leads to another one is passed over, too."""

    def has(self, group: str | None) -> bool:
        """Return whether tasks can be moved to a group; None: nothing is moved."""
        return group is None or group in self.groups


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What should be active."""

    profile: str
    level: Level
    profile_why: str
    """Why that profile."""
    hold: Hold | None
    """Who holds what now."""
    bends: tuple[Bend, ...]
    bends_why: tuple[str, ...] = ()
    """What each bend does and why."""
    kept: Hold | None = None
    """A hold that is over, and kept for what was active before."""
    then: str | None = None
    """The profile that follows when the hold ends by itself, if rules and rollouts stay as they are."""

    @property
    def why(self) -> str:
        """Why all of it is so, in one line."""
        return "; ".join([f"{self.profile}: {self.profile_why}", *self.bends_why])

    def steering(self, before: Steering) -> Steering:
        """Return what becomes of the steering."""
        return Steering(before.policy, self.hold or self.kept, self.bends)

    def differs(self, situation: Situation) -> bool:
        """Return whether something is to be done."""
        return self.profile != situation.active or self.steering(situation.steering) != situation.steering


@dataclass(frozen=True, slots=True)
class _Wish:
    level: Level
    by: str
    want: Want
    why: str


@dataclass(frozen=True, slots=True)
class PreviewStretch:
    """From `since` up to `until` (Unix seconds) the same is active for the same reason."""

    since: float
    until: float
    verdict: PolicyVerdict


def decide(policy: Policy, memory: Memory, situation: Situation, *, now: float) -> PolicyVerdict:
    """Return what should be active at `now`, Unix time. Never raises."""
    hold = _held(situation, now)
    wishes = list(_wishes(policy, memory, situation, hold, now))
    ends = None if hold is None else hold.until
    then = None if ends is None else decide(policy, memory, situation, now=ends).profile
    profile, level, why = _profile(policy, wishes, situation, hold, then)
    bends = _bends(wishes, situation, hold)
    bends_why = tuple(
        f"{_what(bend)}: {_KINDS[_level(bend, policy)]} {bend.by}{_because(bend, memory)}" for bend in bends
    )
    return PolicyVerdict(profile, level, why, hold, bends, bends_why, _coming_back(situation), then)


def undecided(situation: Situation, why: str) -> PolicyVerdict:
    """Return that all stays as it is, and why: nobody here can tell what the policy wants. Never raises."""
    steering = situation.steering
    return PolicyVerdict(situation.active, Level.NOTHING, why, steering.hold, steering.bends)


def without_profile(verdict: PolicyVerdict, situation: Situation) -> PolicyVerdict:
    """Return a verdict that leaves the profile, and who holds it, as they are: another one is refused. Never raises."""
    why = f"stays, {verdict.profile} is refused"
    return replace(verdict, profile=situation.active, profile_why=why, kept=situation.steering.hold)


def acting(policy: Policy, verdict: PolicyVerdict, situation: Situation) -> Level:
    """Return at which level lies what a verdict changes: the highest, where it changes several things. Never raises."""
    changed = {verdict.level} if verdict.profile != situation.active else set()
    for bend in set(verdict.bends) ^ set(situation.steering.bends):
        changed.add(_level(bend, policy))
    return min(changed or {verdict.level}, key=list(Level).index)


def preview(
    policy: Policy, memory: Memory, situation: Situation, *, now: float, days: float
) -> tuple[PreviewStretch, ...]:
    """Return what will be active in the days to come, if rules and rollouts stay as they are now. Never raises."""
    until = now + days * DAY
    hold = situation.steering.hold
    moments = set(turns(policy.schedule, now, until))
    if hold is not None and hold.until is not None and now < hold.until < until:
        moments.add(hold.until)
    stretches: list[PreviewStretch] = []
    since, verdict = now, decide(policy, memory, situation, now=now)
    for moment in sorted(moments):
        after = decide(policy, memory, situation, now=moment)
        if after != verdict:
            stretches.append(PreviewStretch(since, moment, verdict))
            since, verdict = moment, after
    return (*stretches, PreviewStretch(since, until, verdict))


def _held(situation: Situation, now: float) -> Hold | None:
    """Return the hold that applies: its time is not over, and there is such a profile."""
    hold = situation.steering.hold
    if hold is None or hold.profile not in situation.profiles:
        return None
    return None if hold.until is not None and now >= hold.until else hold


def _coming_back(situation: Situation) -> Hold | None:
    """Return the hold that is over and kept while a rollout runs: what was active before comes back after that."""
    hold = situation.steering.hold
    return hold if situation.rolling is not None and hold is not None and hold.before is not None else None


def _wishes(
    policy: Policy, memory: Memory, situation: Situation, hold: Hold | None, now: float
) -> Iterator[_Wish]:
    """Yield what emergencies, ordinary rules and open windows want, the first before the others."""
    found: list[_Wish] = []
    for rule in policy.rules:
        known = memory.get(rule.name, _NO_MEMORY)
        if known.active and not rule.dry_run:
            level = Level.EMERGENCY if rule.emergency else Level.RULE
            found.append(_Wish(level, rule.name, rule.want, known.evidence))
    emergencies = [wish for wish in found if wish.level is Level.EMERGENCY]
    ordinary = [wish for wish in found if wish.level is Level.RULE]
    ordinary += [
        _Wish(Level.SCHEDULE, window.name, window.want, f"{window.zone} time")
        for window in policy.schedule
        if is_open(window, now)
    ]
    waiting = hold is not None or situation.rolling is not None
    for wish in (*emergencies, *(() if waiting else ordinary)):
        profile = wish.want.profile
        if (profile is None or profile in situation.profiles) and situation.has(wish.want.group):
            yield wish


def _profile(
    policy: Policy, wishes: list[_Wish], situation: Situation, hold: Hold | None, then: str | None
) -> tuple[str, Level, str]:
    wish = next((wish for wish in wishes if wish.want.profile is not None), None)
    if wish is not None and wish.level is Level.EMERGENCY:
        return _chosen(wish)
    if hold is not None:
        return hold.profile, Level.MANUAL, f"held by {_name(hold)}{_ending(hold, then)}"
    if situation.rolling is not None:
        return situation.active, Level.ROLLOUT, f"rollout {situation.rolling} runs"
    if wish is not None:
        return _chosen(wish)
    if policy.default is not None and policy.default in situation.profiles:
        return policy.default, Level.DEFAULT, "no rule and no window applies"
    ended = situation.steering.hold if hold is None else None
    if ended is not None and ended.before is not None and ended.before in situation.profiles:
        return ended.before, Level.DEFAULT, f"what {_name(ended)} held has ended"
    return situation.active, Level.NOTHING, "what was put in force last"


def _chosen(wish: _Wish) -> tuple[str, Level, str]:
    assert wish.want.profile is not None
    return wish.want.profile, wish.level, f"{_KINDS[wish.level]} {wish.by} ({wish.why})"


def _name(hold: Hold) -> str:
    """Return who holds, without the digest or id that follows a name in brackets; the audit log has it."""
    name, bracket, identity = hold.by.rpartition(" (")
    return name if bracket and identity.endswith(")") else hold.by


def _ending(hold: Hold, then: str | None) -> str:
    if hold.until is None:
        return " until it is released"
    return datetime.fromtimestamp(hold.until, UTC).strftime(" until %Y-%m-%d %H:%M UTC") + f", then {then}"


def _bends(wishes: list[_Wish], situation: Situation, hold: Hold | None) -> tuple[Bend, ...]:
    """Return the first wish for each task and for the cap; while a rollout runs ordinary ones stay as they are."""
    bends: dict[str, Bend] = {}
    for wish in wishes:
        want = wish.want
        if want.profile is None and want.aspect not in bends:
            emergency = wish.level is Level.EMERGENCY
            bends[want.aspect] = Bend(wish.by, emergency, want.task, want.group, want.max_tier)
    if situation.rolling is not None and hold is None:
        for bend in situation.steering.bends:
            if not bend.emergency and situation.has(bend.group):
                bends.setdefault(f"task {bend.task}" if bend.task else "max_tier", bend)
    return tuple(bends.values())


def _because(bend: Bend, memory: Memory) -> str:
    evidence = memory.get(bend.by, _NO_MEMORY).evidence
    return f" ({evidence})" if evidence else ""


def _what(bend: Bend) -> str:
    return f"task {bend.task} to {bend.group}" if bend.task else f"no tier above {bend.max_tier}"


def _level(bend: Bend, policy: Policy) -> Level:
    if bend.emergency:
        return Level.EMERGENCY
    return Level.SCHEDULE if any(window.name == bend.by for window in policy.schedule) else Level.RULE
