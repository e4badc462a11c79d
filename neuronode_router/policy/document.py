"""What a policy says, as types: windows of a week, rules with their triggers, and what each wants.

It must not know how the document is written down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, time
from enum import StrEnum
from typing import Any, TypeAlias

from neuronode_router.domain.names import Tier

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Want:
    """What a window or a rule wants: exactly one of a profile, a task's group, a highest tier."""

    profile: str | None = None
    task: str | None = None
    group: str | None = None
    max_tier: Tier | None = None

    @property
    def aspect(self) -> str:
        """What it decides about: of several that want something of the same, one can have it."""
        if self.profile is not None:
            return "profile"
        return "max_tier" if self.max_tier is not None else f"task {self.task}"

    def __str__(self) -> str:
        """Return it as people read it."""
        if self.profile is not None:
            return f"profile {self.profile}"
        if self.max_tier is not None:
            return f"no tier above {self.max_tier}"
        return f"task {self.task} to {self.group}"


@dataclass(frozen=True, slots=True)
class ScheduleWindow:
    """A part of a week, by the clock on the wall of a zone. It begins on a day and may end on the next."""

    name: str
    want: Want
    zone: str
    """IANA name."""
    days: tuple[str, ...] = DAYS
    begins: time = time(0)
    ends: time = time(0)
    """The same as `begins`: a whole day."""
    dates: tuple[date, ...] = ()
    """It begins on these days only, where there are any."""
    exceptions: tuple[date, ...] = ()
    """It does not begin on these days."""


class BudgetPeriod(StrEnum):
    """What a budget is for."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class BudgetTrigger:
    """Enough of a budget is spent, or will be by the end of its period."""

    usd: float
    per: BudgetPeriod
    enter: float
    """Share of it, from which on the rule applies."""
    back: float
    """Share below which it ends."""
    zone: str = "UTC"
    team: str | None = None
    forecast: bool = False
    """By what will be spent at the end of the period, and not by what is."""


class OutageScope(StrEnum):
    """By what deployments belong together in an outage."""

    GROUP = "group"
    PROVIDER = "provider"
    """As LiteLLM calls it."""
    API_BASE = "api_base"
    """The address of a server."""


@dataclass(frozen=True, slots=True)
class OutageTarget:
    """The deployments that an outage rule watches."""

    scope: OutageScope
    name: str

    @property
    def named(self) -> str:
        """What its name is the name of."""
        return {OutageScope.GROUP: "model group", OutageScope.API_BASE: "address"}.get(self.scope, "provider")

    @property
    def key(self) -> str:
        """Under which name workers report attempts."""
        return f"{self.scope}:{self.name}"

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"provider {self.name}" if self.scope is OutageScope.PROVIDER else self.name


@dataclass(frozen=True, slots=True)
class OutageTrigger:
    """Enough attempts at the deployments of a model group, a provider or a server fail."""

    target: OutageTarget
    enter: float
    """Share of the attempts that fail."""
    back: float
    """Share of the attempts at or below which it may end; the probes must succeed too."""
    attempts: int
    """Failing attempts without which it does not apply."""
    within: float
    """Seconds over which attempts are counted, in tens."""
    probes: int
    """Probes in a row that must succeed before it ends."""
    every: bool = False
    """Whether it takes every deployment: then shares are those of the one that fails least."""


@dataclass(frozen=True, slots=True)
class LatencyTrigger:
    """Answers of a model group take too long."""

    group: str
    enter: float
    """Milliseconds that 95 of 100 answers take at most."""
    back: float
    attempts: int
    """Answers without which it does not apply."""
    within: float
    """Seconds over which answers are looked at, in minutes."""


Trigger: TypeAlias = BudgetTrigger | OutageTrigger | LatencyTrigger


class RuleMode(StrEnum):
    """What a rule may do."""

    EMERGENCY = "emergency"
    ORDINARY = "ordinary"
    DRY_RUN = "dry_run"


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """While its trigger says so, it wants something."""

    name: str
    trigger: Trigger
    want: Want
    emergency: bool
    """Whether it goes before what people hold and what is rolled out."""
    dwell: float
    """Seconds that it stays at least."""
    changes: int
    """How often it may begin and end, together, within an hour."""
    dry_run: bool

    @property
    def mode(self) -> RuleMode:
        """Whether it goes before people, before windows, or does nothing."""
        if self.dry_run:
            return RuleMode.DRY_RUN
        return RuleMode.EMERGENCY if self.emergency else RuleMode.ORDINARY


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole document. Equal policies have equal digests."""

    default: str | None = None
    """The profile where nothing else applies; None: no profile is decided about."""
    schedule: tuple[ScheduleWindow, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    source: str = "{}"
    """The document as canonical JSON, as it was written."""

    @property
    def digest(self) -> str:
        """SHA-256 of the document; "" of an empty one."""
        return "" if self.is_empty else hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self.default is None and not self.schedule and not self.rules

    def names(self) -> Iterator[tuple[str, Want]]:
        """Yield what must be there, under the path that says so: what it wants, and whose latency it watches."""
        if self.default is not None:
            yield "default", Want(profile=self.default)
        for index, window in enumerate(self.schedule):
            yield f"schedule[{index}].then", window.want
        for index, rule in enumerate(self.rules):
            yield f"rules[{index}].then", rule.want
            if isinstance(rule.trigger, LatencyTrigger):
                yield f"rules[{index}]", Want(group=rule.trigger.group)

    def outages(self) -> Iterator[tuple[str, PolicyRule]]:
        """Yield its outage rules, each under its path."""
        for index, rule in enumerate(self.rules):
            if isinstance(rule.trigger, OutageTrigger):
                yield f"rules[{index}]", rule

    def watched(self) -> frozenset[OutageTarget]:
        """Return what its outage rules watch."""
        return frozenset(
            rule.trigger.target for rule in self.rules if isinstance(rule.trigger, OutageTrigger)
        )


def canonical(document: Mapping[str, Any]) -> str:
    """Return a document as canonical JSON: sorted keys, no white space, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def difference(before: Policy, after: Policy) -> tuple[str, ...]:
    """Return what two policies say differently, a line for each entry. Never raises."""
    lines = []
    if before.default != after.default:
        lines.append(f"default {before.default or 'none'} -> {after.default or 'none'}")
    for kind in ("schedule", "rules"):
        old = {entry.name: asdict(entry) for entry in getattr(before, kind)}
        new = {entry.name: asdict(entry) for entry in getattr(after, kind)}
        lines += [f"- {kind} {name}" for name in old if name not in new]
        lines += [f"+ {kind} {name}" for name in new if name not in old]
        lines += [f"~ {kind} {name}" for name in new if name in old and old[name] != new[name]]
        kept = [name for name in old if name in new]
        if kept != [name for name in new if name in old]:
            lines.append(f"~ order of {kind}")
    return tuple(lines)
