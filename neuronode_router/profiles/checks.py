"""What must hold between profiles and the host: groups exist, tasks are complete, names neither chain nor collide.

It must not know files. It looks at drafts, valid or not, so that one broken key does not hide the other problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice

from neuronode_router.domain.names import (
    AUTO,
    NAME_PATTERN,
    STABLE_ALIAS_PREFIX,
    STABLE_ALIAS_PROFILE,
    TASK_ALIASES,
    fits_header,
)
from neuronode_router.domain.profiles import GroupUse, HostFacts, Profile
from neuronode_router.errors import Problem
from neuronode_router.profiles.problems import Code, suggestion
from neuronode_router.profiles.schema import MAX_LADDER, MAX_TASKS, NAME_MEND, to_profile
from neuronode_router.safe_yaml import MAX_PROBLEMS, Path, Source, shown

MAX_SUGGESTIONS = 5
"""How many unknown groups of one profile get a "Did you mean": each costs milliseconds on a host with many groups."""

RESERVED_PROFILE_NAMES = frozenset({"list", "status", "switch", "ui"})
"""What addresses beside `/admin/profiles/{name}` take: a profile of such a name could not be reached."""

_FOLLOW_UPS = (Code.WRONG_TYPE, Code.BAD_NAME)
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)


@dataclass(frozen=True, slots=True)
class Draft:
    """One profile as it was read or sent, not yet known to be valid."""

    name: str
    document: Mapping[str, object] | None
    source: Source
    problems: tuple[Problem, ...] = ()
    """What reading already found."""

    def tasks(self) -> dict[str, object]:
        """Return the mapping of tasks as far as there is one."""
        tasks = (self.document or {}).get("tasks")
        return dict(list(tasks.items())[:MAX_TASKS]) if isinstance(tasks, Mapping) else {}

    def groups(self) -> Iterator[tuple[Path, str]]:
        """Yield every place that names a model group, and the name."""
        for task, group in self.tasks().items():
            if isinstance(group, str) and group != AUTO:
                yield ("tasks", task), group
        tiers = (self.document or {}).get("tiers")
        for tier, ladder in tiers.items() if isinstance(tiers, Mapping) else ():
            for index, group in enumerate(ladder[:MAX_LADDER] if isinstance(ladder, list) else ()):
                if isinstance(group, str):
                    yield ("tiers", tier, index), group


def name_problem(name: str, source: Source) -> Problem | None:
    """Return why no profile may have this name, or None. Never raises, whatever the text is."""
    if not NAME_PATTERN.fullmatch(name):
        return source.problem(Code.BAD_NAME, (), f"{shown(name)!r} cannot name a profile.", NAME_MEND)
    if name in _DEVICES or name in RESERVED_PROFILE_NAMES:
        return source.problem(Code.BAD_NAME, (), f"The name {name!r} is reserved.", "Choose another name.")
    return None


def check_drafts(drafts: Sequence[Draft], host: HostFacts) -> tuple[dict[str, Profile], list[Problem]]:
    """Return the valid profiles by name, and every problem of every draft. Never raises."""
    profiles: dict[str, Profile] = {}
    problems: list[Problem] = []
    named = Counter(task for draft in drafts for task in draft.tasks() if _can_name(task))
    tasks = dict.fromkeys((*TASK_ALIASES, *named))
    # What one profile alone has is said once, where it stands: it may be a slip of the finger.
    several = sum(bool(draft.tasks()) for draft in drafts) > 1
    alone = {task for task, count in named.items() if several and count == 1} - set(TASK_ALIASES)
    for draft in drafts:
        problems += draft.problems
        if draft.document is None:
            continue
        profile, complaints = to_profile(draft.name, draft.document, draft.source)
        # What reading refused already (`hidden: yes`, `<<`) has no right type or name either: one problem is enough.
        refused = {problem.path for problem in draft.problems}
        problems += [c for c in complaints if c.code not in _FOLLOW_UPS or c.path not in refused]
        found = chain(_check_tasks(draft, tasks, alone, host), _check_groups(draft, tasks, host))
        problems += islice(found, MAX_PROBLEMS)
        if profile is not None:
            profiles[draft.name] = profile
    if not any(draft.name == STABLE_ALIAS_PROFILE for draft in drafts):
        problems.append(_missing_balanced())
    return profiles, problems


def _check_tasks(
    draft: Draft, tasks: Mapping[str, None], alone: Set[str], host: HostFacts
) -> Iterator[Problem]:
    mine = draft.tasks()
    for task in tasks if mine else ():
        if task in alone and task in mine:
            message = f"No other profile has the task {task!r}, and all must have the same tasks."
            fix = f"{suggestion(task, tasks.keys() - mine.keys())}Add it to the others, or take it out here."
            yield draft.source.problem(Code.MISSING_TASK, ("tasks", task), message, fix)
        elif task not in mine and task not in alone and not _may_lack(draft.name, task, host):
            why = "" if task in TASK_ALIASES else " Other profiles have it, and all must have the same tasks."
            fix = f"Add `{task}: <model group>`."
            yield draft.source.problem(
                Code.MISSING_TASK, ("tasks", task), f"The task {task!r} is missing.{why}", fix
            )
    for task in mine:
        path = ("tasks", task)
        if task == AUTO or task.startswith(STABLE_ALIAS_PREFIX):
            message = f"{shown(task)!r} cannot name a task: `auto` and names with `task_` in front are taken."
            yield draft.source.problem(Code.BAD_NAME, path, message, "Choose another name.")
            continue
        for alias in (task, STABLE_ALIAS_PREFIX + task):
            # A group that was added after the task was committed is told in the status; it stops no edit.
            if alias in host.groups and task not in host.tasked.get(draft.name, ()):
                message = f"The host has a model group named {alias!r}, which this task alias would hide."
                fix = (
                    "Rename the group where it was added (litellm_config.yaml or LiteLLM's UI), or the task."
                )
                yield draft.source.problem(Code.NAME_COLLISION, path, message, fix)


def _may_lack(profile: str, task: str, host: HostFacts) -> bool:
    """Return whether a profile need not have a task: the host has a group of its name, or had when it was committed."""
    hidden = task in host.groups or STABLE_ALIAS_PREFIX + task in host.groups
    return hidden or (profile in host.tasked and task not in host.tasked[profile])


def _check_groups(draft: Draft, tasks: Mapping[str, None], host: HostFacts) -> Iterator[Problem]:
    suggestions = MAX_SUGGESTIONS
    for path, group in draft.groups():
        # What is committed, and stays where it is, an edit elsewhere does not break.
        if not group or GroupUse(draft.name, f"{path[0]}.{path[1]}", group) in host.committed:
            continue
        if not fits_header(group):
            message = f"{shown(group)!r} cannot be written into the headers of an answer."
            yield draft.source.problem(
                Code.BAD_NAME, path, message, "Name a group of Latin letters and signs."
            )
            continue
        if group in host.groups:
            continue  # where a task has this name too, that is reported as a collision
        of_ours = group in tasks or group.removeprefix(STABLE_ALIAS_PREFIX) in tasks
        if of_ours or group in host.aliases:
            alias = "a task alias itself" if of_ours else "an alias of LiteLLM's configuration"
            message = f"{shown(group)!r} is {alias}, and LiteLLM follows only one."
            yield draft.source.problem(Code.ALIAS_CHAIN, path, message, "Name the model group it leads to.")
        else:
            message = f"The host has no model group {shown(group)!r}."
            hint = suggestion(group, host.groups) if suggestions > 0 else ""
            suggestions -= 1
            fix = f"{hint}Name a model_name of litellm_config.yaml or of LiteLLM's UI."
            yield draft.source.problem(Code.UNKNOWN_GROUP, path, message, fix)


def _can_name(task: str) -> bool:
    """Return whether other profiles may be asked to have this task too."""
    return bool(NAME_PATTERN.fullmatch(task)) and task != AUTO and not task.startswith(STABLE_ALIAS_PREFIX)


def _missing_balanced() -> Problem:
    message = (
        f"There is no profile {STABLE_ALIAS_PROFILE!r}, to which the names {STABLE_ALIAS_PREFIX}<alias> lead."
    )
    source = Source(f"{STABLE_ALIAS_PROFILE}.yaml")
    return source.problem(Code.MISSING_BALANCED, (), message, f"Add {STABLE_ALIAS_PROFILE}.yaml.")
