"""Proposes the five profiles from what is known of the model groups.

It must not know files. Every proposal is complete: each task and each tier gets a group, however few there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from neuronode_router.cli.effective import alias_target
from neuronode_router.cli.init.groups import Group
from neuronode_router.domain.names import STABLE_ALIAS_PREFIX, TASK_ALIASES, TIERS, Tier
from neuronode_router.profiles.configuration import section

WEIGHTS: Mapping[str, Tier] = {
    **dict.fromkeys(TASK_ALIASES, Tier.MEDIUM),
    **dict.fromkeys(("classification", "sentiment"), Tier.FAST),
    **dict.fromkeys(
        ("synthesis", "validation_primary", "validation_secondary", "trading_analysis", "strategy"),
        Tier.COMPLEX,
    ),
}
"""How heavy each task is."""
LADDER = 4
"""Groups of one tier that `auto` gets at most."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the configuration does with the names of tasks already: whoever asks for them shall get the same."""

    kept: Mapping[str, str]
    """From a task to the group that an alias of the operator sends it to."""
    other: Mapping[str, str]
    """From a task to what its alias leads to, where that is no group that answers with text."""
    taken: frozenset[str]
    """Tasks that the operator's own model groups are named like: no profile has them."""


NO_NAMES = Names({}, {}, frozenset())

Pick = Callable[[Sequence[Group], str], Group]
"""Chooses the group for a task."""
Rank = Callable[[Group], tuple[Any, ...]]
"""Orders the groups of a tier, best first."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a profile stands for, and how it chooses."""

    description: str
    cost_level: str
    performance_level: str
    pick: Pick
    rank: Rank


def names_in_use(config: Mapping[str, Any], groups: Sequence[Group], known: Set[str]) -> Names:
    """Return what a configuration does with names of tasks. `known` are all its model groups. Never raises."""
    aliases = section(section(config, "router_settings"), "model_group_alias")
    targets = {task: alias_target(aliases[task]) for task in TASK_ALIASES if task in aliases}
    usable = {group.name for group in groups}
    return Names(
        kept={task: target for task, target in targets.items() if target in usable},
        other={task: target for task, target in targets.items() if target not in usable},
        taken=frozenset(task for task in TASK_ALIASES if {task, STABLE_ALIAS_PREFIX + task} & known),
    )


def propose(groups: Sequence[Group], names: Names = NO_NAMES) -> dict[str, dict[str, Any]]:
    """Return the five profiles as documents of their files. `groups` must not be empty."""
    return {name: _document(name, style, groups, names) for name, style in STYLES.items()}


def _document(name: str, style: Style, groups: Sequence[Group], names: Names) -> dict[str, Any]:
    tasks = {task: _named(groups, task, name) or style.pick(groups, task).name for task in TASK_ALIASES}
    tasks |= {"validation_secondary": _second_opinion(tasks, groups, style, name), **names.kept}
    return {
        "description": style.description,
        "cost_level": style.cost_level,
        "performance_level": style.performance_level,
        "tasks": {task: group for task, group in tasks.items() if task not in names.taken},
        "tiers": {tier.value: [group.name for group in _ladder(groups, tier, style.rank)] for tier in TIERS},
    }


def _named(groups: Sequence[Group], task: str, profile: str) -> str | None:
    """Return the group whose name says that it is for this task of this profile."""
    wanted = f"{task}_{profile}"
    return next((group.name for group in groups if group.name == wanted), None)


def _second_opinion(tasks: Mapping[str, str], groups: Sequence[Group], style: Style, profile: str) -> str:
    """Return a group of another vendor than the first validation's, as long as it is as heavy."""
    first = next(group for group in groups if group.name == tasks["validation_primary"])
    others = [g for g in groups if g.vendor != first.vendor and g.tier == first.tier]
    if _named(groups, "validation_secondary", profile) or not others:
        return tasks["validation_secondary"]
    return min(others, key=style.rank).name


def _near(groups: Sequence[Group], tier: Tier) -> list[Group]:
    """Return the groups of a tier; where it has none those of the next heavier one, else of the next lighter."""
    at = TIERS.index(tier)
    for candidate in (*TIERS[at:], *reversed(TIERS[:at])):
        if found := [group for group in groups if group.tier == candidate]:
            return found
    raise ValueError("there are no groups")


def _ladder(groups: Sequence[Group], tier: Tier, rank: Rank) -> list[Group]:
    return sorted(_near(groups, tier), key=rank)[:LADDER]


def _dearest_first(group: Group) -> tuple[Any, ...]:
    return -TIERS.index(group.tier), -group.price, group.name


def _cheapest_first(group: Group) -> tuple[Any, ...]:
    return group.price, group.latency, group.name


def _fastest_first(group: Group) -> tuple[Any, ...]:
    return group.latency, TIERS.index(group.tier), group.price, group.name


def _best(groups: Sequence[Group], task: str) -> Group:
    return min(groups, key=_dearest_first)


def _middle(groups: Sequence[Group], task: str) -> Group:
    """Return the group in the middle of the prices of the task's tier."""
    candidates = sorted(_near(groups, WEIGHTS[task]), key=_cheapest_first)
    return candidates[(len(candidates) - 1) // 2]


def _cheapest(groups: Sequence[Group], task: str) -> Group:
    """Return the cheapest group that is at most one tier too light for the task."""
    least = max(TIERS.index(WEIGHTS[task]) - 1, 0)
    heavy_enough = [group for group in groups if TIERS.index(group.tier) >= least]
    return min(heavy_enough or groups, key=_cheapest_first)


def _specialist(groups: Sequence[Group], task: str) -> Group:
    """Return the cheapest group that notes say is good at the task, or that is named for it."""
    able = [group for group in groups if task in group.capabilities or task in group.name]
    return min(able, key=_cheapest_first) if able else _middle(groups, task)


def _fastest(groups: Sequence[Group], task: str) -> Group:
    return min(groups, key=_fastest_first)


STYLES: Mapping[str, Style] = {
    "premium": Style(
        "The best models, for work where quality comes first", "high", "maximum", _best, _dearest_first
    ),
    "balanced": Style(
        "A group that fits the weight of each task", "medium", "high", _middle, _cheapest_first
    ),
    "cost_effective": Style(
        "The cheapest group that is good enough", "low", "good", _cheapest, _cheapest_first
    ),
    "specialized": Style(
        "For each task the group that is made for it", "medium", "high", _specialist, _cheapest_first
    ),
    "ultra_fast": Style("The shortest time to an answer", "low", "good", _fastest, _fastest_first),
}
