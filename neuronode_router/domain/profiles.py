"""Profiles, sets of them, and what a host offers them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from neuronode_router.domain.names import (
    AUTO,
    AUTO_NAMES,
    STABLE_ALIAS_PREFIX,
    STABLE_ALIAS_PROFILE,
    TIERS,
    TOO_CHEAP,
    TOO_DEAR,
    Tier,
)
from neuronode_router.domain.rules import (
    ConversationRule,
    NothingFits,
    OnMissing,
    OnOverload,
    PersonalDataRule,
    Stickiness,
)

ALWAYS_STORED = frozenset(
    {
        "name",
        "description",
        "cost_level",
        "performance_level",
        "tasks",
        "tiers",
        "allowed_teams",
        "hidden",
        "uncertain",
        "on_overload",
        "stickiness",
        "on_missing",
        "nothing_fits",
        "too_cheap",
        "too_dear",
        "conversations",
    }
)
"""Keys that every stored profile has. One that a release adds is stored only where it is not the default, which
therefore never changes: so sets keep their digests, and older releases read every set that does not use it.
"""


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
        said = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        ladders = {tier.value: list(groups) for tier, groups in self.tiers.items()}
        return said | {"tasks": dict(self.tasks), "tiers": ladders}

    def to_stored(self) -> dict[str, Any]:
        """Return `to_document` as sets keep it; see `ALWAYS_STORED`."""
        unsaid = {
            each.name
            for each in fields(self)
            if each.name not in ALWAYS_STORED and getattr(self, each.name) == each.default
        }
        return {key: value for key, value in self.to_document().items() if key not in unsaid}

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
        """Rebuild a profile from the form of `to_document` or `to_stored`, which was validated before it was stored.

        Raises `ValueError`, `KeyError` or `TypeError` for what a newer release wrote: it is not dropped in silence.
        """
        defaults: dict[str, Any] = {each.name: each.default for each in fields(cls)}
        if unknown := document.keys() - defaults.keys():
            raise ValueError(f"a profile has the unknown keys {', '.join(sorted(unknown))}")
        # What has a default is of its type; sets that were stored before there was such a key do not have it.
        said = {
            name: value if defaults[name] is MISSING else type(defaults[name])(value)
            for name, value in document.items()
        }
        ladders = {Tier(tier): tuple(groups) for tier, groups in document["tiers"].items()}
        said |= {"tasks": MappingProxyType(dict(document["tasks"])), "tiers": MappingProxyType(ladders)}
        return cls(**said)


def _plain(value: Any) -> Any:
    """Return what JSON has for one of a profile's words, or for a list of its."""
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


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
        """Rebuild it from `to_document`'s form. Raises `TypeError` for keys that it does not know."""
        ladders = {Tier(tier): tuple(groups) for tier, groups in document["tiers"].items()}
        tasks = MappingProxyType(dict(document["tasks"]))
        return cls(**{**document, "tasks": tasks, "tiers": MappingProxyType(ladders)})


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
        document = {name: profile.to_stored() for name, profile in self.profiles.items()}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @classmethod
    def from_canonical(cls, text: str) -> ProfileSet:
        """Rebuild a set from `canonical`'s form. Raises as `Profile.from_document`."""
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
    tasked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The tasks of each committed profile: a change answers for those alone that it adds or takes away."""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What differs between two states, None where a side has none: the model group of a task, or something else."""

    task: str
    """A task alias. In receipts and the audit log also `team:` and `key:` with who is bound, `premium.residency` for
    what a profile says, and a name behind an `@`: the rollout, the policy, who holds which profile, the highest tier.
    """
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
