"""The words of the field as types: Profile, ProfileSet, ControlState, Snapshot's parts, Decision, Receipt.

This room is pure standard library: it knows no file format, no SQL, no HTTP and no LiteLLM.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""Names of profiles and tasks (use with `fullmatch`): no dots, slashes, upper case or control characters."""

_HEADER = re.compile(r"[!-~\xa1-\xff](?:[ -~\xa0-\xff]*[!-~\xa1-\xff])?")


def fits_header(name: str) -> bool:
    """Return whether an HTTP header can carry a name as it is: printable Latin-1, no space around it."""
    return _HEADER.fullmatch(name) is not None


TASK_ALIASES: tuple[str, ...] = (
    "classification",
    "extraction",
    "synthesis",
    "validation_primary",
    "validation_secondary",
    "sentiment",
    "summary",
    "rag_query",
    "trading_analysis",
    "strategy",
    "chat",
)
"""The task aliases every profile maps."""

STABLE_ALIAS_PREFIX = "task_"
STABLE_ALIAS_PROFILE = "balanced"
"""`task_<alias>` is always available and always means the profile `balanced`."""

PROFILE_NAME_PREFIX = "@profile/"
"""`@profile/<name>` reaches a profile for one request, for its task `chat`."""


class Tier(StrEnum):
    """How heavy a model a request needs."""

    FAST = "fast"
    MEDIUM = "medium"
    COMPLEX = "complex"


TIERS = (Tier.FAST, Tier.MEDIUM, Tier.COMPLEX)
"""From the lightest to the heaviest."""

TOO_CHEAP, TOO_DEAR = 1.5, 1.0
"""What it costs to take a request for one tier lighter or heavier than it is, where a profile does not say."""

AUTO = "auto"
"""The name whose tier is found by classifying the request. As a task's target in a profile it means the same."""

AUTO_NAMES: Mapping[str, Tier | None] = MappingProxyType(
    {AUTO: None} | {f"{AUTO}:{tier.value}": tier for tier in TIERS}
)
"""`auto`, and the names that force a tier (`auto:fast`)."""


class OnOverload(StrEnum):
    """Where a request goes when its tier has no group that is well."""

    DOWN = "down"
    """To the next lower tier, and up where nothing lower is left."""
    UP = "up"
    STAY = "stay"


class OnMissing(StrEnum):
    """Where a task goes whose model group the host has not, or not any more."""

    LADDER = "ladder"
    """To the first group of the profile's tiers that is there: the `uncertain` tier, then the lower, then the upper."""
    REFUSE = "refuse"


class NothingFits(StrEnum):
    """Where a request goes that no model group can hold."""

    REFUSE = "refuse"
    """Nowhere: the client is told what it needs and what there is."""
    LEAST_BAD = "least_bad"
    """To the first group all the same, which may cut it or refuse it itself."""


class PersonalDataRule(StrEnum):
    """What becomes of requests that hold personal data of a kind that is recognised."""

    ALLOW = "allow"
    """They go wherever others go."""
    LOCAL = "local"
    """They go to the own machines only: elsewhere than others, if need be."""
    REFUSE = "refuse"
    """They are refused."""

    @classmethod
    def strictest(cls, *rules: PersonalDataRule) -> PersonalDataRule:
        """Return what holds where all of them hold together."""
        return next((rule for rule in (cls.REFUSE, cls.LOCAL) if rule in rules), cls.ALLOW)


class ConversationRule(StrEnum):
    """What a switch does to conversations that have begun."""

    KEEP = "keep"
    """They stay with their group until they have been silent for a while."""
    MOVE = "move"
    """They go where everybody goes; what another provider cannot accept is taken out of their history."""


class Stickiness(StrEnum):
    """What the requests of one session keep."""

    OFF = "off"
    TIER = "tier"
    DEPLOYMENT = "deployment"


class Reason(StrEnum):
    """Which profile decides, and why: the first word of `x-neuronode-reason`."""

    ACTIVE_PROFILE = "active_profile"
    BINDING = "binding"
    """The caller's key or team is bound to another profile than the active one."""
    STABLE_ALIAS = "stable_alias"
    OVERRIDE_NAME = "override_name"
    OVERRIDE_HEADER = "override_header"
    OVERRIDE_DENIED = "override_denied"
    PASSTHROUGH = "passthrough"
    SEVERAL = "several"
    """Several names between commas, which are answered for different reasons."""
    FAIL_OPEN = "fail_open"
    JUDGE = "judge"
    """No client's request: the judge has answers compared."""
    MIRROR = "mirror"
    """No client's request: a shadow comparison has another profile answer one again."""


class Step(StrEnum):
    """How a group came about that no profile named for the request: the further words of `x-neuronode-reason`."""

    CLASSIFIED = "classified"
    UNCERTAIN = "uncertain"
    """The classification was not sure enough: the profile's `uncertain` tier."""
    LEARNED = "learned"
    """How such requests turned out speaks for another tier than the text alone."""
    TRIED = "tried"
    """One tier lighter, for nobody knows yet whether it suffices for such requests."""
    FORCED_TIER = "forced_tier"
    SESSION = "session"
    TOOL_LOOP = "tool_loop"
    LOOP_MOVED = "loop_moved"
    """A tool loop left its tier: no group of it can hold the request any more, or all of them are gone."""
    CONTINUED = "continued"
    """The provider keeps what was said before (`previous_response_id`): to the deployment that has it."""
    CAPPED = "capped"
    """Key or team may not use the tier: the highest they may."""
    PROBE = "probe"
    OVERLOADED = "overloaded"
    """A group of the wanted tier is not well and was put behind others."""
    ALL_OVERLOADED = "all_overloaded"
    NOTHING_FITS = "nothing_fits"
    """No group can hold the request: it is refused, or all are tried in order, as the profile says."""
    NO_GROUP = "no_group"
    """The host has no group of these tiers."""
    AUTO_OFF = "auto_off"
    """Automatic routing is switched off: the profile's `uncertain` tier."""
    SHADOW = "shadow"
    """The decision was only logged: the request went as if automatic routing were off."""
    KEPT = "kept"
    """The conversation had begun before a switch and stays with its group for a while."""
    CACHE = "cache"
    """The conversation keeps its tier: another one would gain less than what the provider has cached is worth."""
    POLICY = "policy"
    """The policy sends the task elsewhere for a while."""
    PERSONAL_DATA = "personal_data"
    """The request holds personal data, and the group that the profile names is not on the own machines."""
    GROUP_MISSING = "group_missing"
    """The host has not the group that the profile names: the task went to the profile's ladder."""


@dataclass(frozen=True, slots=True)
class GroupUse:
    """A place in a profile that names a model group."""

    profile: str
    place: str
    """`tasks.<task>` or `tiers.<tier>`."""
    group: str


@dataclass(frozen=True, slots=True)
class DeadMapping:
    """A place in a profile whose model group the host has not."""

    use: GroupUse
    instead: str | None
    """The group that answers in its place; None where nothing does."""

    def __str__(self) -> str:
        """Return it as a sentence for people."""
        use = self.use
        then = f"{self.instead!r} answers instead" if self.instead else "nothing answers instead"
        return f"{use.profile}: {use.place} names the model group {use.group!r}, which this proxy has not; {then}."


@dataclass(frozen=True, slots=True)
class Profile:
    """A named, complete map of task aliases to model groups, with its tier ladder and metadata."""

    name: str
    description: str
    cost_level: str
    performance_level: str
    tasks: Mapping[str, str]
    tiers: Mapping[Tier, tuple[str, ...]]
    allowed_teams: tuple[str, ...] = ()
    hidden: bool = False
    uncertain: Tier = Tier.MEDIUM
    """The tier of an `auto` request whose classification is not sure enough."""
    on_overload: OnOverload = OnOverload.DOWN
    stickiness: Stickiness = Stickiness.OFF
    on_missing: OnMissing = OnMissing.LADDER
    nothing_fits: NothingFits = NothingFits.REFUSE
    too_cheap: float = TOO_CHEAP
    """What it costs that `auto` takes a request for a tier lighter: only the ratio to `too_dear` counts."""
    too_dear: float = TOO_DEAR
    """What it costs that it takes one for a tier heavier."""
    conversations: ConversationRule = ConversationRule.KEEP
    """What becomes of conversations that have begun when this profile begins to answer them."""
    residency: tuple[str, ...] = ()
    """The places, one of which must be where the data of its requests goes; empty where it may go anywhere."""
    personal_data: PersonalDataRule = PersonalDataRule.ALLOW

    @property
    def confines(self) -> bool:
        """Whether it says anything of where the data of its requests may go."""
        return bool(self.residency) or self.personal_data is not PersonalDataRule.ALLOW

    def group_of(self, name: str) -> str:
        """Return the group that a task alias, `auto` or `auto:<tier>` means to LiteLLM alone. Raises `KeyError`.

        What is classified then goes to the `uncertain` tier: LiteLLM alone cannot tell a better one.
        """
        target = AUTO if name in AUTO_NAMES else self.tasks[name]
        if target != AUTO:
            return target
        return self.tiers[AUTO_NAMES.get(name) or self.uncertain][0]

    def answering(self, name: str, groups: Container[str]) -> str | None:
        """Return the one of `groups` that answers a task alias, `auto` or `auto:<tier>`, None where none does.

        It is `group_of` where that is there. Raises `KeyError` for no such task.
        """
        first = self.group_of(name)
        if first in groups:
            return first
        by_tier = name in AUTO_NAMES or self.tasks[name] == AUTO
        if self.on_missing is OnMissing.REFUSE and not by_tier:
            return None
        return self._stand_in(AUTO_NAMES.get(name) or self.uncertain, groups)

    def dead(self, groups: Container[str]) -> Iterator[DeadMapping]:
        """Yield every place that names a model group that is none of `groups`."""
        for use in self.uses():
            if use.group not in groups:
                kind, _, name = use.place.partition(".")
                instead = (
                    self.answering(name, groups) if kind == "tasks" else self._stand_in(Tier(name), groups)
                )
                yield DeadMapping(use, instead)

    def _stand_in(self, tier: Tier, groups: Container[str]) -> str | None:
        place = TIERS.index(tier)
        order = (*TIERS[place::-1], *TIERS[place + 1 :])
        return next((group for each in order for group in self.tiers[each] if group in groups), None)

    def to_document(self) -> dict[str, Any]:
        """Return the profile as JSON-ready data: the YAML file's keys plus `name`."""
        return {
            "name": self.name,
            "description": self.description,
            "cost_level": self.cost_level,
            "performance_level": self.performance_level,
            "tasks": dict(self.tasks),
            "tiers": {tier.value: list(groups) for tier, groups in self.tiers.items()},
            "allowed_teams": list(self.allowed_teams),
            "hidden": self.hidden,
            "uncertain": self.uncertain.value,
            "on_overload": self.on_overload.value,
            "stickiness": self.stickiness.value,
            "on_missing": self.on_missing.value,
            "nothing_fits": self.nothing_fits.value,
            "too_cheap": self.too_cheap,
            "too_dear": self.too_dear,
            "conversations": self.conversations.value,
            "residency": list(self.residency),
            "personal_data": self.personal_data.value,
        }

    def uses(self) -> Iterator[GroupUse]:
        """Yield every place that names a model group."""
        for task, group in self.tasks.items():
            if group != AUTO:
                yield GroupUse(self.name, f"tasks.{task}", group)
        for tier, groups in self.tiers.items():
            for group in groups:
                yield GroupUse(self.name, f"tiers.{tier.value}", group)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Profile:
        """Rebuild a profile from `to_document`'s form, which was validated before it was stored."""
        return cls(
            name=document["name"],
            description=document["description"],
            cost_level=document["cost_level"],
            performance_level=document["performance_level"],
            tasks=MappingProxyType(dict(document["tasks"])),
            tiers=MappingProxyType({Tier(t): tuple(g) for t, g in document["tiers"].items()}),
            allowed_teams=tuple(document["allowed_teams"]),
            hidden=document["hidden"],
            # Sets that were stored before these keys existed do not have them.
            uncertain=Tier(document.get("uncertain", Tier.MEDIUM)),
            on_overload=OnOverload(document.get("on_overload", OnOverload.DOWN)),
            stickiness=Stickiness(document.get("stickiness", Stickiness.OFF)),
            on_missing=OnMissing(document.get("on_missing", OnMissing.LADDER)),
            nothing_fits=NothingFits(document.get("nothing_fits", NothingFits.REFUSE)),
            too_cheap=float(document.get("too_cheap", TOO_CHEAP)),
            too_dear=float(document.get("too_dear", TOO_DEAR)),
            conversations=ConversationRule(document.get("conversations", ConversationRule.KEEP)),
            residency=tuple(document.get("residency", ())),
            personal_data=PersonalDataRule(document.get("personal_data", PersonalDataRule.ALLOW)),
        )


@dataclass(frozen=True, slots=True)
class ProfileEdit:
    """A change to mappings of a profile: of tasks, and of ladders as wholes."""

    tasks: Mapping[str, str] = field(default_factory=dict)
    tiers: Mapping[Tier, tuple[str, ...]] = field(default_factory=dict)

    def of(self, profile: Profile, *, name: str | None = None) -> Profile:
        """Return the profile as the edit makes it, under another name if one is given. Never raises."""
        return replace(
            profile,
            name=name or profile.name,
            tasks=MappingProxyType({**profile.tasks, **self.tasks}),
            tiers=MappingProxyType({**profile.tiers, **self.tiers}),
        )

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        ladders = {f"tiers.{tier}": ", ".join(groups) for tier, groups in self.tiers.items()}
        return "; ".join(f"{place}: {group}" for place, group in sorted({**self.tasks, **ladders}.items()))

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-ready data, with the keys of a profile's file."""
        ladders = {tier.value: list(groups) for tier, groups in sorted(self.tiers.items())}
        return {"tasks": dict(sorted(self.tasks.items())), "tiers": ladders}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ProfileEdit:
        """Rebuild it from `to_document`'s form."""
        ladders = {Tier(tier): tuple(groups) for tier, groups in document["tiers"].items()}
        return cls(MappingProxyType(dict(document["tasks"])), MappingProxyType(ladders))


EDITED = "+edit"
"""What the name of an edited profile ends with while a rollout tries it. No profile is called so."""

MOST_NAME = 64
"""Characters of the name of a profile."""


def edited_name(profile: str) -> str:
    """Return what an edited profile is called while a rollout tries it."""
    return profile[: MOST_NAME - len(EDITED)] + EDITED


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """All profiles by name. Equal sets have equal digests, whatever the order of files and keys."""

    profiles: Mapping[str, Profile]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "profiles", MappingProxyType(dict(self.profiles)))
        object.__setattr__(self, "digest", hashlib.sha256(self.canonical().encode()).hexdigest())

    def canonical(self) -> str:
        """Return the set as canonical JSON: sorted keys, no white space, ASCII."""
        document = {name: profile.to_document() for name, profile in self.profiles.items()}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @classmethod
    def from_canonical(cls, text: str) -> ProfileSet:
        """Rebuild a set from `canonical`'s form."""
        return cls({name: Profile.from_document(doc) for name, doc in json.loads(text).items()})


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a LiteLLM configuration offers, as far as profiles must know it."""

    groups: frozenset[str]
    """`model_name`s of the model list."""
    aliases: frozenset[str] = frozenset()
    """The operator's own `model_group_alias` names: not ours, and no valid targets (aliases hop only once)."""
    places: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    """Where the deployments of each group are, None where nobody can tell."""
    committed: frozenset[GroupUse] = frozenset()
    """What is committed already: where its group has vanished that is no reason to refuse a change."""


SUBJECT_PATTERN = re.compile(r"(team|key):[\x21-\x7e]{1,128}", re.ASCII)
"""Who may be bound to a profile (use with `fullmatch`): `team:<id>` or `key:<hash or name>`."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Another profile once a share of a budget is spent."""

    share: float
    """0 to 1."""
    profile: str
    monthly_usd: float | None = None
    """The budget, where LiteLLM keeps none for the subject: of a calendar month (UTC), from our own sums."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Which profile answers a team or key, while others follow the active one."""

    profile: str | None
    """None: the active one, until `beyond` says otherwise."""
    beyond: Beyond | None = None

    @property
    def profiles(self) -> tuple[str, ...]:
        """Every profile that the binding may lead to."""
        return tuple(name for name in (self.profile, self.beyond and self.beyond.profile) if name)

    def __str__(self) -> str:
        """Return it as the audit log shows it."""
        base = self.profile or "active"
        if self.beyond is None:
            return base
        return f"{base}, beyond {self.beyond.share:.0%} {self.beyond.profile}"


Bindings = Mapping[str, Binding]
"""By subject (see `SUBJECT_PATTERN`)."""

NO_BINDINGS: Bindings = MappingProxyType({})


def in_use(active: str, bindings: Bindings, canary: Canary | None) -> tuple[str, ...]:
    """Return the names of the profiles that answer somebody who chose none, sorted."""
    bound = {name for binding in bindings.values() for name in binding.profiles}
    tried = {canary.profile} if canary else set()
    return tuple(sorted({active, STABLE_ALIAS_PROFILE} | tried | bound))


def bindings_text(bindings: Bindings) -> str:
    """Return bindings as canonical JSON; the empty text where there are none."""
    if not bindings:
        return ""
    document = {subject: asdict(binding) for subject, binding in bindings.items()}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def bindings_from_text(text: str) -> Bindings:
    """Rebuild bindings from `bindings_text`'s form."""
    found = {
        subject: Binding(entry["profile"], Beyond(**entry["beyond"]) if entry["beyond"] else None)
        for subject, entry in (json.loads(text) if text else {}).items()
    }
    return MappingProxyType(found)


class Arm(StrEnum):
    """Which of the two profiles of a rollout answers."""

    CONTROL = "control"
    """The active one."""
    CANARY = "canary"
    """The one that is tried."""


@dataclass(frozen=True, slots=True)
class Canary:
    """The second arm of a revision: another profile than the active one answers a share of those who chose none."""

    rollout: str
    """The id of the rollout that it belongs to."""
    profile: str
    """Its name; `edited_name` of the active one where an edit of that is tried."""
    salt: str
    """Hexadecimal; keys the hash by which arms are chosen: another one in each rollout."""
    share: int
    """Thousandths of the conversations."""
    since: float
    """Unix time at which the share became that: who was placed before is not compared with those placed after."""
    edit: ProfileEdit | None = None
    """What is tried of the active profile; None where it is another profile that is tried."""

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        edit = f" ({self.edit})" if self.edit else ""
        return f"{self.profile} {self.share / 10:g} %{edit}"


def canary_text(canary: Canary | None) -> str:
    """Return a canary as canonical JSON; the empty text where there is none."""
    if canary is None:
        return ""
    told = {each.name: getattr(canary, each.name) for each in fields(canary)}
    told["edit"] = canary.edit.to_document() if canary.edit else None
    # What has none reads as it did before there were edits.
    told = {name: value for name, value in told.items() if value is not None}
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def canary_from_text(text: str) -> Canary | None:
    """Rebuild a canary from `canary_text`'s form."""
    if not text:
        return None
    told = json.loads(text)
    edit = told.pop("edit", None)
    return Canary(**told, edit=ProfileEdit.from_document(edit) if edit else None)


def answering(profiles: ProfileSet, active: str, canary: Canary | None) -> Mapping[str, Profile]:
    """Return the profiles that can answer requests, by name: those of the files, and the edited one that is tried.

    Raises `KeyError` where an edit of a profile is tried that the set does not have.
    """
    if canary is None or canary.edit is None:
        return profiles.profiles
    tried = canary.edit.of(profiles.profiles[active], name=canary.profile)
    return MappingProxyType({**profiles.profiles, tried.name: tried})


@dataclass(frozen=True, slots=True)
class Shadow:
    """Another profile that answers a share of the requests once more, unseen, to be compared with what clients got."""

    id: str
    profile: str
    salt: str
    """Hexadecimal; keys the hash by which requests are chosen, so that no client can choose its own."""
    share: int
    """Thousandths of the requests."""
    until: float
    """Unix time at which it ends by itself."""
    budget_usd: float
    """What its answers and the judge's may cost in all workers together."""
    concurrency: int
    """How many requests one worker answers again at the same time."""
    tasks: tuple[str, ...] = ()
    """The tasks it is for, `auto` for what names no task; empty for all."""
    judge: str | None = None
    """The model group that is asked whether the other answer would have done."""
    sample_text: bool = False
    """Whether a few requests are kept with both answers."""


def shadow_text(shadow: Shadow) -> str:
    """Return it as canonical JSON."""
    return json.dumps(asdict(shadow), sort_keys=True, separators=(",", ":"))


def shadow_from_text(text: str | None) -> Shadow | None:
    """Rebuild it from `shadow_text`'s form; None where there is none."""
    if not text:
        return None
    told = json.loads(text)
    return Shadow(**{**told, "tasks": tuple(told["tasks"])})


@dataclass(frozen=True, slots=True)
class Hold:
    """What a person switched to while a policy is in force: it goes before windows and ordinary rules."""

    profile: str
    by: str
    """Who holds it."""
    until: float | None = None
    """Unix time in seconds at which it ends; None: when it is released."""
    before: str | None = None
    """What was active before, for a hold that ends by itself: that returns where the policy names no default."""

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        ending = (
            ""
            if self.until is None
            else datetime.fromtimestamp(self.until, UTC).strftime(" until %Y-%m-%d %H:%M UTC")
        )
        return f"{self.profile} by {self.by}{ending}"


@dataclass(frozen=True, slots=True)
class Bend:
    """What the policy has changed of the active profile for a while: where a task goes, or the highest tier."""

    by: str
    """The window or the rule."""
    emergency: bool
    task: str | None = None
    group: str | None = None
    max_tier: Tier | None = None

    def __str__(self) -> str:
        """Return it as receipts and the audit log tell it."""
        return f"{self.group or self.max_tier} ({self.by})"


@dataclass(frozen=True, slots=True)
class Steering:
    """What a policy and people's holds make of a revision. Without a policy it is empty."""

    policy: str = ""
    """The digest of the policy in force; "" for none."""
    hold: Hold | None = None
    bends: tuple[Bend, ...] = ()

    @property
    def cap(self) -> Tier:
        """The highest tier of who follows the active profile."""
        return min(
            (bend.max_tier for bend in self.bends if bend.max_tier), key=TIERS.index, default=TIERS[-1]
        )

    @property
    def moved(self) -> Mapping[str, str]:
        """The model groups of the tasks that do not go where the active profile says."""
        return {bend.task: bend.group for bend in self.bends if bend.task and bend.group}


NOT_STEERED = Steering()


def steering_text(steering: Steering) -> str:
    """Return it as canonical JSON; the empty text where nothing is steered."""
    if steering == NOT_STEERED:
        return ""
    return json.dumps(asdict(steering), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def steering_from_text(text: str) -> Steering:
    """Rebuild it from `steering_text`'s form."""
    if not text:
        return NOT_STEERED
    told = json.loads(text)
    bends = (
        Bend(**{**bend, "max_tier": Tier(bend["max_tier"]) if bend["max_tier"] else None})
        for bend in told["bends"]
    )
    return Steering(told["policy"], Hold(**told["hold"]) if told["hold"] else None, tuple(bends))


@dataclass(frozen=True, slots=True)
class ControlState:
    """What is committed: a revision names one active profile, one exact set of profiles, and who is bound to which."""

    revision: int
    active: str
    profiles: ProfileSet
    committed_at: float
    """Unix time in seconds, clock of the host that committed."""
    bindings: Bindings = field(default_factory=lambda: NO_BINDINGS)
    moved: int = 0
    """The last revision that moved all conversations, whatever the profiles say; 0 for none."""
    canary: Canary | None = None
    """None while no rollout runs."""
    steering: Steering = NOT_STEERED
    shadow: Shadow | None = None
    """None while no profile is compared with what clients get."""

    @property
    def answering(self) -> Mapping[str, Profile]:
        """The profiles that can answer requests; see `answering`."""
        return answering(self.profiles, self.active, self.canary)


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task alias whose model group differs between two states; None where the side has no such task."""

    task: str
    before: str | None
    after: str | None


def task_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[TaskChange, ...]:
    """Return what differs between two maps of task alias to group, sorted by task. Never raises."""
    return tuple(
        TaskChange(task, before.get(task), after.get(task))
        for task in sorted(before.keys() | after.keys())
        if before.get(task) != after.get(task)
    )


def alias_map(profiles: ProfileSet, active: str) -> dict[str, str]:
    """Return what LiteLLM's `model_group_alias` says while `active` is the profile.

    Every task alias, `auto` and `auto:<tier>` lead to the active profile's group, and `task_<alias>` to the
    group of `balanced` (a set without `balanced`, which validation refuses, has no stable aliases). Raises
    `KeyError` when the set has no profile `active`.
    """
    profile = profiles.profiles[active]
    aliases = {name: profile.group_of(name) for name in (*profile.tasks, *AUTO_NAMES)}
    second = profiles.profiles.get(STABLE_ALIAS_PROFILE)
    if second is not None:
        aliases.update({STABLE_ALIAS_PREFIX + task: second.group_of(task) for task in second.tasks})
    return aliases


Action = Literal["bootstrap", "switch", "rollback", "edit", "reload", "bind", "rollout", "policy", "shadow"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `name` is a key alias, a user id or a process name: never a key."""

    name: str
    kind: str = "operator"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the audit log. There is exactly one for every committed revision."""

    revision: int
    at: float
    action: Action
    actor: Actor
    reason: str
    profile_before: str | None
    profile_after: str
    digest_before: str | None
    digest_after: str
    changes: tuple[TaskChange, ...]
    previous_hash: str
    hash: str
    bindings: str = ""
    """All bindings after the change, as `bindings_text` writes them."""
    canary: str = ""
    """The second arm after the change, as `canary_text` writes it."""
    steering: str = ""
    """What a policy and holds make of it after the change, as `steering_text` writes it."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says of a change that it lets pass."""

    warnings: tuple[str, ...] = ()
    """For the receipt."""
    remark: str = ""
    """For the audit log, before the reason given."""


AckState = Literal["applied", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class WorkerAck:
    """How one worker process stands to a revision."""

    instance: str
    host: str
    pid: int
    state: AckState
    revision: int
    """The revision this worker serves now."""
    applied_at: float | None = None
    """Unix time in seconds at which it began to serve that revision, by its own clock."""
    after_ms: float | None = None
    """Milliseconds from the commit to `applied_at`."""
    detail: str = ""
    """Why it refused, or that it is late."""
    held: int = 0
    """Conversations that stay with the group they began on."""
    drained: int = 0
    """Those of them that have ended, or have moved, since the revision."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process as the store knows it."""

    instance: str
    host: str
    pid: int
    version: str
    started_at: float
    heartbeat_at: float
    live: bool
    revision: int
    applied_at: float | None
    detail: str
    report: Mapping[str, Any]
    """What the worker says of itself: drift count, wake mode, warnings. JSON-ready, no secrets."""


@dataclass(frozen=True, slots=True)
class CacheLoss:
    """What providers' caches have done for the requests that leave their group: a move loses it at first."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompts' tokens, those that caches answered."""
    usd: float | None = 0.0
    """What the caches have saved; None where the price of a cached token is unknown for some of them."""
    share: float | None = None
    """Of the prompts' tokens that caches answered, 0 to 1; None without tokens."""


WarmMode = Literal["wait", "background", "off"]
"""Whether a change waits until the local models of what it puts in force are in memory, has them loaded afterwards, or
leaves that to the first request."""


class WarmOrder(StrEnum):
    """In which order local models are loaded and let go."""

    READY = "ready"
    """Nothing is to be loaded."""
    MAKE_BEFORE_BREAK = "make_before_break"
    """There is room for what comes beside what is there."""
    ORDERED_SWAP = "ordered_swap"
    """Something that nobody needs any more goes first."""
    UNKNOWN = "unknown"
    """Nobody said how much room there is: it is loaded, and the server makes room as it sees fit."""


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """The weights of a local model on one server."""

    server: str
    """Host and port, no more."""
    model: str
    bytes: int | None = None
    """What they are taken to need in memory; None where unknown."""
    seconds: float | None = None
    """How long loading or pulling took."""
    why: str = ""
    """Why that failed."""


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What became of the local models of what a change puts in force."""

    mode: WarmMode
    order: WarmOrder | None
    """None where the servers have not answered yet."""
    to_load: tuple[LocalWeights, ...] = ()
    """What is still to be loaded: on a dry run, and in the background."""
    loaded: tuple[LocalWeights, ...] = ()
    unloaded: tuple[LocalWeights, ...] = ()
    missing: tuple[LocalWeights, ...] = ()
    """What a server does not have; `pull` fetches it."""
    failed: tuple[LocalWeights, ...] = ()
    waited_s: float = 0.0
    """How long the change waited."""
    said: tuple[str, ...] = ()
    """All of it as sentences for people."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof of a switch, edit, rollback or reload."""

    revision: int
    changed: bool
    dry_run: bool
    action: Action
    profile: str
    previous_profile: str | None
    changes: tuple[TaskChange, ...]
    committed_at: float | None
    workers: tuple[WorkerAck, ...]
    complete: bool
    """True when every worker that was waited for has applied the revision."""
    duration_ms: float
    warnings: tuple[str, ...] = ()
    replayed: bool = False
    """True when an Idempotency-Key came back: nothing was done now, this is what its first request did."""
    conversations: ConversationRule = ConversationRule.KEEP
    """What becomes of conversations that have begun."""
    held: int = 0
    """Conversations that stay with the group they began on, in the workers that have applied the revision."""
    drained: int = 0
    """Those of them that have ended, or have moved, since."""
    caches: CacheLoss | None = None
    """Of the requests of the last ten minutes that would go to another group now: what moving their conversations
    costs at most. None where nothing changes its group, or it is not known.
    """
    warm: WarmReport | None = None
    """None where no Ollama answers for what comes into force, or warmth is off."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What admission decided for one request. It stays with the request through retries, fallbacks and streams."""

    original_model: str
    """The name the client sent."""
    group: str
    """The model group the request goes to."""
    reason: Reason
    auto: bool = False
    """Whether tier and ladder are found for each request; `group` then is what LiteLLM alone would serve."""
    revision: int = 0
    profile: str | None = None
    task: str | None = None
    tier: Tier | None = None
    """The tier of `group`, for an `auto` request; before it is routed, the tier that its name forces."""
    ladder: tuple[str, ...] = ()
    """Groups to try after `group`, in order; where `auto` is false, empty leaves the group's own configured
    fallbacks in force.
    """
    tiers: tuple[Tier, ...] = ()
    """The tiers of `group` and of each group of `ladder`, for an `auto` request."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Groups that cannot hold the request, each with a word that says why (`fallback_chain.Misfit`)."""
    steps: tuple[Step, ...] = ()
    """How `group`, `tier` and `ladder` came about; empty where a profile named the group itself."""
    wanted: Tier | None = None
    """The tier that was wanted; another one than `tier` where overload moved the request."""
    confidence: float | None = None
    """How sure the classification is, 0 to 1; None where nothing was classified."""
    keep: str | None = None
    """The deployment id that the session keeps while it is well."""
    arm: Arm | None = None
    """Whose answer it gets while a rollout runs; None where it takes no part in one."""
    instead: Tier | None = None
    """What the text alone would have chosen, where outcomes or a trial led to another tier."""
