"""`policy.yaml` to a policy, or every problem with its place.

It must not know where the bytes come from, nor which profiles and groups there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, time
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from neuronode_router.domain.names import NAME_PATTERN, Tier
from neuronode_router.durations import seconds_of
from neuronode_router.errors import Problem
from neuronode_router.policy.document import (
    DAYS,
    BudgetPeriod,
    BudgetTrigger,
    LatencyTrigger,
    OutageScope,
    OutageTarget,
    OutageTrigger,
    Policy,
    PolicyRule,
    ScheduleWindow,
    Trigger,
    Want,
    canonical,
)
from neuronode_router.safe_yaml import Source, YamlCaps, read_yaml
from neuronode_router.wrong_value import WrongValue, fix_of, place_of, said_of

ATTEMPTS_KEPT = 300.0
"""Seconds for which workers know of attempts: as long as statistics look back."""

ANSWERS_KEPT = 6 * 3600.0
"""Seconds for which usage tells minutes apart, by which answers are looked at."""

LONGEST_DWELL = 52 * 7 * 86_400.0
"""Seconds. What stays for longer is a slip of the pen, which nobody would see end."""

CAPS = YamlCaps(bytes=64 * 1024, depth=6, nodes=4000)

_QUOTE = "Write a text in quotes: YAML takes 20:00 for a number, and 2026-12-24 for a date."


def _zone(name: str) -> str:
    _known_zone(name)
    return name


@cache
def _known_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, a path, a directory
        raise WrongValue(
            f"there is no time zone {name!r} on this machine", "Write an IANA name, as Europe/Berlin."
        ) from error


def _clock(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII):
        raise WrongValue("this is no time of day", 'Write it as "20:00", in quotes.')
    return text


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise WrongValue("this is no date", 'Write it as "2026-12-24", in quotes.') from error
    return text


def _printable(text: str) -> str:
    """Names are told in one line: of why something is active, of logs and of the audit log."""
    if not text.isprintable():
        raise WrongValue("the name has control characters", "Remove them.")
    return text


def _duration(text: object) -> float:
    seconds = seconds_of(text) if isinstance(text, str) else None
    if seconds is None:
        raise WrongValue("this is no duration", "Write it as 30s, 10m or 2h.")
    return seconds


Label = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$", max_length=64)]
Named = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
Zone = Annotated[str, AfterValidator(_zone)]
ClockTime = Annotated[str, AfterValidator(_clock)]
Date = Annotated[str, AfterValidator(_day)]
Duration = Annotated[float, BeforeValidator(_duration)]
Span = Annotated[Duration, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
BudgetShare = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(gt=0, le=3_600_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _said(cls, given: Any) -> Any:
        """A key without a value is a slip: what is not meant is left out."""
        if isinstance(given, Mapping):
            for key, value in given.items():
                if value is None:
                    raise WrongValue("the key has no value", "Give it one, or leave it out.", key=str(key))
        return given


class _Want(_Entry):
    profile: Label | None = None
    task: Label | None = None
    group: Named | None = None
    max_tier: Literal["fast", "medium", "complex"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.task is None) != (self.group is None):
            raise WrongValue("task and group belong together", "Write both, or neither.")
        if sum(each is not None for each in (self.profile, self.task, self.max_tier)) != 1:
            raise WrongValue(
                "it wants nothing, or several things", "Write one of profile, task with group, max_tier."
            )
        return self

    def made(self) -> Want:
        tier = Tier(self.max_tier) if self.max_tier else None
        return Want(self.profile, self.task, self.group, tier)


class _Window(_Entry):
    name: Label
    zone: Zone
    days: (
        Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)] | None
    ) = None
    begins: ClockTime = Field("00:00", alias="from")
    ends: ClockTime = Field("00:00", alias="to")
    dates: Annotated[list[Date], Field(min_length=1)] | None = Field(None, alias="on")
    exceptions: list[Date] = Field(default_factory=list, alias="except")
    then: _Want

    @model_validator(mode="after")
    def _when(self) -> Self:
        if self.days and self.dates:
            raise WrongValue("days and on exclude each other", "Write only one of them.")
        return self

    def made(self) -> ScheduleWindow:
        return ScheduleWindow(
            name=self.name,
            want=self.then.made(),
            zone=self.zone,
            days=tuple(self.days or DAYS),
            begins=time.fromisoformat(self.begins),
            ends=time.fromisoformat(self.ends),
            dates=tuple(map(date.fromisoformat, self.dates or ())),
            exceptions=tuple(map(date.fromisoformat, self.exceptions)),
        )


class _Budget(_Entry):
    usd: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
    per: Literal["day", "month"] = "month"
    zone: Zone = "UTC"
    team: Named | None = None
    forecast: bool = False
    enter: BudgetShare
    back: BudgetShare = Field(alias="return")

    def made(self) -> Trigger:
        return BudgetTrigger(
            self.usd, BudgetPeriod(self.per), self.enter, self.back, self.zone, self.team, self.forecast
        )


class _Outage(_Entry):
    group: Named | None = None
    provider: Named | None = None
    api_base: Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_printable)] | None = None
    every_deployment: bool = False
    enter: Share = 0.5
    back: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(0.1, alias="return")
    attempts: Count = 3
    within: Span = 30.0
    probes: Annotated[int, Field(ge=1, le=100)] = 10

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if len(self._named()) != 1:
            raise WrongValue(
                "it watches nothing, or several things", "Write one of group, provider, api_base."
            )
        return self

    def _named(self) -> list[OutageTarget]:
        found = {scope: getattr(self, scope) for scope in OutageScope}
        return [OutageTarget(scope, name) for scope, name in found.items() if name is not None]

    def made(self) -> Trigger:
        return OutageTrigger(
            target=self._named()[0],
            enter=self.enter,
            back=self.back,
            attempts=self.attempts,
            within=self.within,
            probes=self.probes,
            every=self.every_deployment,
        )


class _Latency(_Entry):
    group: Named
    enter: Milliseconds = Field(alias="enter_ms")
    back: Milliseconds = Field(alias="return_ms")
    attempts: Count = 20
    within: Span = 300.0

    def made(self) -> Trigger:
        return LatencyTrigger(self.group, self.enter, self.back, self.attempts, self.within)


class _Rule(_Entry):
    name: Label
    budget: _Budget | None = None
    outage: _Outage | None = None
    latency: _Latency | None = None
    then: _Want
    emergency: bool = False
    dwell: Duration | None = None
    changes: Annotated[int, Field(ge=2, le=60)] = 4
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        found = [each for each in (self.budget, self.outage, self.latency) if each is not None]
        if len(found) != 1:
            raise WrongValue("the rule has no trigger, or several", "Write one of budget, outage, latency.")
        if found[0].back >= found[0].enter:
            raise WrongValue("return is not below enter", "Lower it: between the two nothing changes.")
        if self.outage is not None and self.then.group is not None and self.then.group == self.outage.group:
            raise WrongValue(
                "the task would go to the very group that fails", "Name another group.", key="then"
            )
        return self

    def made(self) -> PolicyRule:
        trigger = self.budget or self.outage or self.latency
        assert trigger is not None
        usual = 60.0 if self.outage else 600.0
        return PolicyRule(
            name=self.name,
            trigger=trigger.made(),
            want=self.then.made(),
            emergency=self.emergency,
            dwell=usual if self.dwell is None else self.dwell,
            changes=self.changes,
            dry_run=self.dry_run,
        )


class _Document(_Entry):
    default: Label | None = None
    schedule: Annotated[list[_Window], Field(max_length=200)] = []
    rules: Annotated[list[_Rule], Field(max_length=100)] = []

    def made(self, written: Mapping[str, Any]) -> Policy:
        return Policy(
            self.default,
            tuple(window.made() for window in self.schedule),
            tuple(rule.made() for rule in self.rules),
            canonical(written),
        )


def parse_policy(raw: bytes, *, file: str = "policy.yaml") -> tuple[Policy | None, tuple[Problem, ...]]:
    """Return what a file says, or None and every problem of it. Never raises."""
    reading = read_yaml(raw, file, caps=CAPS, typed=True)
    if reading.problems or reading.document is None:
        return None, reading.problems
    return _read(reading.document, reading.source)


def policy_of(document: Mapping[str, Any]) -> tuple[Policy | None, tuple[Problem, ...]]:
    """Return what a document says that came as JSON, or None and every problem of it. Never raises.

    What its file could not say, because it is too large, is a problem too.
    """
    policy, problems = _read(document, Source(""))
    if policy is None or policy.is_empty:
        return policy, problems
    # Lines of a file that nobody has written say nothing.
    unfit = (replace(each, file="", line=0, column=0) for each in parse_policy(written(policy))[1])
    problems = tuple(unfit)
    return (None, problems) if problems else (policy, ())


def stored_policy(document: Mapping[str, Any]) -> tuple[Policy | None, tuple[Problem, ...]]:
    """Return a policy that was in force, or None and why it cannot be read here. Never raises.

    What an earlier release let pass is not refused again: it is in force.
    """
    return _read(document, Source(""), checks=())


def written(policy: Policy) -> bytes:
    """Return a policy as the bytes of its file, which read as an equal one. Never raises."""
    text = yaml.safe_dump(json.loads(policy.source), sort_keys=False, allow_unicode=True)
    return f"# Written by the admin API.\n{text}".encode()


Check: TypeAlias = Callable[[Source, Policy], Iterator[Problem]]


def _read(
    document: Mapping[str, Any], source: Source, *, checks: Iterable[Check] | None = None
) -> tuple[Policy | None, tuple[Problem, ...]]:
    try:
        found = _Document.model_validate(document)
    except ValidationError as error:
        return None, tuple(_problem(source, detail) for detail in error.errors())
    policy = found.made(document)
    problems = tuple(
        found for check in (_CHECKS if checks is None else checks) for found in check(source, policy)
    )
    return (None, problems) if problems else (policy, ())


def _problem(source: Source, detail: ErrorDetails) -> Problem:
    unknown = detail["type"] == "extra_forbidden"
    fix = _QUOTE if detail["type"] == "string_type" else fix_of(detail)
    message = "This key is not known." if unknown else f"{said_of(detail)}."
    return source.problem("policy_invalid", place_of(detail), message, fix)


def _repeated(source: Source, policy: Policy) -> Iterator[Problem]:
    entries: Iterable[tuple[str, int, str]] = (
        *(("schedule", index, window.name) for index, window in enumerate(policy.schedule)),
        *(("rules", index, rule.name) for index, rule in enumerate(policy.rules)),
    )
    seen: set[str] = set()
    for kind, index, name in entries:
        if name in seen:
            fix = "Give each window and each rule a name of its own."
            yield source.problem("policy_repeated", (kind, index, "name"), "This name appears twice.", fix)
        seen.add(name)


def _undecided(source: Source, policy: Policy) -> Iterator[Problem]:
    """Who lets profiles come and go must say which one stays when all have gone."""
    named = any(want.profile is not None for place, want in policy.names() if place != "default")
    if named and policy.default is None:
        message = "Windows or rules name profiles, and nothing says which one is active where none applies."
        yield source.problem("policy_no_default", ("default",), message, "Add `default: <profile>`.")


def _too_long(source: Source, policy: Policy) -> Iterator[Problem]:
    """What is known is known for so long, and no longer."""
    for index, rule in enumerate(policy.rules):
        for place, said in _beyond(rule):
            message, fix = said
            yield source.problem("policy_invalid", ("rules", index, *place), message, fix)


def _beyond(rule: PolicyRule) -> Iterator[tuple[tuple[str, ...], tuple[str, str]]]:
    """Yield where a rule names too long a time, and what is said of that."""
    trigger = rule.trigger
    if isinstance(trigger, OutageTrigger) and trigger.within > ATTEMPTS_KEPT:
        yield ("outage", "within"), ("Attempts are counted over five minutes at most.", "Write 5m or less.")
    if isinstance(trigger, LatencyTrigger) and trigger.within > ANSWERS_KEPT:
        yield ("latency", "within"), ("Answers are looked at over six hours at most.", "Write 6h or less.")
    if rule.dwell > LONGEST_DWELL:
        yield ("dwell",), ("Nothing is made to stay for longer than 52 weeks.", "Write 52w or less.")


_CHECKS: tuple[Check, ...] = (_repeated, _undecided, _too_long)
